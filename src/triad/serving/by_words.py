"""Which words of a query or a message carry an answer: the models are asked again without some of them.

As with a customer's deeds, shares sum to the score less that of a text without a word.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from triad.arrays import Bools, Floats
from triad.examples.searches import UNIT as SEARCHES
from triad.examples.searches import asked
from triad.fusion.searching import Shown
from triad.serving.night import Night
from triad.statistics.shapley import coalitions, shares
from triad.tracking.answering import scores_of

IN_QUERY, IN_MESSAGE = 8, 16
"""Words told apart, the last of which is all the others."""
LONGEST = 500
"""Characters of a query that are looked at; search reads as many."""
PRODUCTS, MESSAGES = 10, 5
"""Of an answer, that are explained."""
_CHARACTERS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_CHARACTERS}]|[^\s{_CHARACTERS}]+")


@dataclass(frozen=True)
class Word:
    """A word as it was typed, and its share of a score; `text` None: of all the others, "" of a text without any."""

    text: str | None
    value: float


def of_products(night: Night, query: str, shown: Shown) -> list[list[Word]]:
    """What each of the first `PRODUCTS` found rests on, largest first; nothing where no word matched."""
    items = shown.items[:PRODUCTS]
    if not shown.is_of_words or not len(items):
        return []
    words, texts = variants(query[:LONGEST], IN_QUERY)
    fused = night.model.fused
    (task,) = fused.of_unit(night.data, SEARCHES.name)
    number = np.repeat(np.arange(len(texts)), len(items))
    # pairs of a query stand by item, as they do where products are found
    order = np.argsort(items, kind="stable")
    pairs = asked(night.data, texts, number, np.tile(items[order], len(texts)))
    scores = fused.predict(pairs, np.arange(len(number)), [task], SEARCHES.name)[task].reshape(len(texts), -1)
    return told(words, scores[:, np.argsort(order)])


def of_answers(night: Night, message: str, tasks: Collection[str]) -> dict[str, list[Word]]:
    """Task → what the confidence in its answer rests on, largest first."""
    words, texts = variants(message, IN_MESSAGE)
    scores = scores_of(night.model.state, night.model.fused, texts, tasks)
    return {task: told(words, each[:, [1 + int(each[-1, 1:].argmax())]])[0] for task, each in scores.items()}


def variants(text: str, players: int) -> tuple[list[str | None], list[str]]:
    """The words told apart, None being all the others; the text with those that are in each of `coalitions`."""
    matches = list(_WORD.finditer(text))
    words: list[str | None] = [each[0] for each in matches[:players]]
    if len(matches) > players:
        words[-1] = None
    player = np.minimum(np.arange(len(matches)), players - 1)
    return words, [_kept(text, matches, there[player]) for there in coalitions(players)]


def _kept(text: str, words: list[re.Match[str]], there: Bools) -> str:
    parts, at = list[str](), 0
    for word, stays in zip(words, there.tolist(), strict=True):
        parts += [text[at : word.start()], word[0] if stays else " "]
        at = word.end()
    return "".join([*parts, text[at:]])


def told(words: list[str | None], scores: Floats) -> list[list[Word]]:
    """Of (coalitions, n) scores of what `variants` made, largest first."""
    values = shares(scores)
    return [
        sorted(
            [Word("", float(scores[0, at])), *(Word(w, float(v)) for w, v in zip(words, values[:, at], strict=False))],
            key=lambda word: -abs(word.value),
        )
        for at in range(scores.shape[1])
    ]
