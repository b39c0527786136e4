"""Messages of the simulated shop's customers, what they wanted, what was answered, and how sure one can be.

Messages are misspelt, carry what has nothing to do with the matter, ask two things at once, say too little, or are
about something else altogether. The oracle knows which asks a message holds, and not which of two was labelled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from triad.sources.simulated.catalogue import Floats
from triad.sources.simulated.chance import generator
from triad.sources.simulated.taxonomy import COLOURS, LEAVES
from triad.sources.simulated.topics import AFTER, BEFORE, OUTSIDE, OUTSIDE_REPLY, TOPICS, VAGUE, WHEN
from triad.tasks.intent import OUT_OF_SCOPE
from triad.tasks.reply import NONE, code
from triad.text.masking import masked

SHARES = np.array([topic.share for topic in TOPICS]) / sum(topic.share for topic in TOPICS)
OUTSIDE_SHARE, VAGUE_SHARE, TWO_SHARE = 0.1, 0.06, 0.12
FIRST = 0.7
"""How often the label of a message with two asks is that of the first."""
ANSWERED, USUAL = 0.85, 0.85
"""Share of messages that are answered, and of a topic's answers that are its first."""
IN_PERSON, IF_VAGUE = 0.02, 0.6
"""Share of answers that are no standard ones, and of those to messages that say too little."""
MISSPELT = 0.12
"""Share of words."""
AGENTS = ("Ada", "Ben", "Chi", "Dora")
THINGS = tuple(kind for leaf in LEAVES for kind in leaf.kinds)
INTENTS = (OUT_OF_SCOPE, *sorted({topic.intent for topic in TOPICS}))
REPLIES = (NONE, *sorted({code(masked(reply)) for topic in TOPICS for reply in topic.replies} | {code(OUTSIDE_REPLY)}))


def conversations(seed: int, mean: float, first: int, last: int) -> tuple[pa.Table, pa.Table]:
    """The table `conversations` of the days from `first` to `last`, both included, and its truth.

    Args:
        mean: messages a day.
    """
    rows: dict[str, list[str | None]] = {"message_id": [], "message": [], "intent": [], "reply": []}
    truth: list[Floats] = []
    for day in range(first, last + 1):
        random = generator(seed, "messages", day)
        for number in range(random.poisson(mean)):
            message, intent, reply, chances = _one(random)
            rows["message_id"].append(f"m{day}-{number:05d}")
            rows["message"].append(message)
            rows["intent"].append(intent)
            rows["reply"].append(reply)
            truth.append(chances)
    names = [f"p_{name}" for name in (*INTENTS, *REPLIES)]
    table = np.array(truth).reshape(-1, len(names))
    columns = {name: pa.array(table[:, place]) for place, name in enumerate(names)}
    said = pa.table({name: pa.array(values, pa.string()) for name, values in rows.items()})
    return said, pa.table({"message_id": said["message_id"], **columns})


def _one(random: np.random.Generator) -> tuple[str, str, str | None, Floats]:
    """A message, its intent, its reply, and the chances of each of `INTENTS` and `REPLIES`."""
    kind, share, in_person = random.random(), np.zeros(len(TOPICS)), IN_PERSON
    if kind < OUTSIDE_SHARE:
        text = _say(OUTSIDE, random)
        if random.random() < 0.3:
            text = f"{_say(BEFORE, random)}. {text}"
        chances = np.zeros(len(INTENTS) + len(REPLIES))
        chances[0] = chances[len(INTENTS) + REPLIES.index(code(OUTSIDE_REPLY))] = 1
        return _misspelt(text, random), OUT_OF_SCOPE, OUTSIDE_REPLY if random.random() < 0.3 else None, chances
    if kind < OUTSIDE_SHARE + VAGUE_SHARE:
        share[:], in_person = SHARES, IF_VAGUE
        parts = [_say(VAGUE, random)]
    else:
        one, two = random.choice(len(TOPICS), 2, p=SHARES)
        parts = [_say(TOPICS[one].asks, random)]
        share[one] = 1
        if kind > 1 - TWO_SHARE and one != two:
            share[one], share[two] = FIRST, 1 - FIRST
            parts.append(f"{_say(('also', 'and', 'besides'), random)} {_say(TOPICS[two].asks, random)}")
    if random.random() < 0.4:
        parts.insert(0, _say(BEFORE, random))
    if random.random() < 0.4:
        parts.append(_say(AFTER, random))
    topic = TOPICS[int(random.choice(len(TOPICS), p=share))]
    return (
        _misspelt(". ".join(parts), random),
        topic.intent,
        _answer(topic.replies, in_person, random),
        _chances(share, in_person),
    )


def _answer(replies: Sequence[str], in_person: float, random: np.random.Generator) -> str | None:
    if random.random() > ANSWERED:
        return None
    if random.random() < in_person:
        who, what, which = _at(AGENTS, random), _value("thing", random), random.integers(10**4)
        return f"Hello, {who} here. I look into the {what} of {_value('when', random)} myself, {which}."
    return replies[int(len(replies) > 1 and random.random() > USUAL)]


def _chances(share: Floats, in_person: float) -> Floats:
    chances = np.zeros(len(INTENTS) + len(REPLIES))
    for part, topic in zip(share, TOPICS, strict=True):
        chances[INTENTS.index(topic.intent)] += part
        usual = (USUAL, 1 - USUAL) if len(topic.replies) > 1 else (1.0,)
        for reply, how_often in zip(topic.replies, usual, strict=True):
            chances[len(INTENTS) + REPLIES.index(code(masked(reply)))] += part * (1 - in_person) * how_often
    chances[len(INTENTS)] = in_person
    return chances


def _say(ways: Sequence[str], random: np.random.Generator) -> str:
    return _filled(_at(ways, random), random)


def _filled(text: str, random: np.random.Generator) -> str:
    text = re.sub(r"\[([^]]*)\]", lambda match: _at(match[1].split("|"), random), text)
    return re.sub(r"\{(\w+)\}", lambda match: _value(match[1], random), text)


def _value(name: str, random: np.random.Generator) -> str:
    number = int(random.integers(10**8, 10**9))
    if name in ("number", "phone", "email"):
        return {"number": f"A-{number}", "phone": f"+49 170 {number}", "email": f"customer{number}@mail.example"}[name]
    return _at({"thing": THINGS, "when": WHEN, "colour": COLOURS}[name], random)


def _misspelt(text: str, random: np.random.Generator) -> str:
    """`text` with a letter dropped, swapped or doubled in some of its longer words."""
    words = text.split(" ")
    for place in np.flatnonzero(random.random(len(words)) < MISSPELT):
        word = words[place]
        if len(word) > 3 and word.isalpha():
            at = int(random.integers(1, len(word) - 1))
            ways = (word[at + 1 :], word[at + 1] + word[at] + word[at + 2 :], word[at] + word[at:])
            words[place] = word[:at] + _at(ways, random)
    text = " ".join(words)
    return text if random.random() < 0.4 else text[0].upper() + text[1:]


def _at(choices: Sequence[str], random: np.random.Generator) -> str:
    return choices[int(random.integers(len(choices)))]
