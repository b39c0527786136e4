"""Product titles and descriptions, customer messages and replies. English, from templates."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from triad.sources.simulated.catalogue import Ints, Products
from triad.sources.simulated.chance import generator
from triad.sources.simulated.taxonomy import BRANDS, COLOURS, GRADES, LEAVES, TOP_OF_LEAF, TOPS

TITLES = (
    "{brand} {grade} {material} {kind}, {colour}",
    "{brand} {kind} in {colour}, {material}",
    "{grade} {kind} by {brand}, {material}, {colour}",
    "{brand} {material} {kind} {colour}",
)
DESCRIPTIONS = (
    "A {grade} {kind} in {material}, made by {brand} with {purpose} in mind. Comes in {colour}.",
    "{brand} designed this {grade} {kind} for {purpose}. {material}, finished in {colour}.",
    "For {purpose}: a {kind} from {brand}'s {grade} range. The {colour} {material} is easy to care for.",
    "Our customers choose this {colour} {kind} for {purpose}. {brand} makes it from {material}; it is a {grade} piece.",
)


def product_texts(goods: Products, shown: Ints) -> tuple[list[str], list[str]]:
    """Titles and descriptions of the products `shown`. The adjective follows perceived quality, the rest is free."""
    titles, descriptions = [], []
    for number in shown:
        leaf, top = LEAVES[goods.leaf[number]], TOPS[TOP_OF_LEAF[goods.leaf[number]]]
        kind, material, colour, form, merit = (int(word) for word in goods.words[number])
        grades = GRADES[0 if merit < -4 else 1 if merit < 5 else 2]
        words = {
            "brand": BRANDS[goods.brand[number]],
            "grade": grades[form % len(grades)],
            "material": top.materials[material % len(top.materials)],
            "kind": leaf.kinds[kind % len(leaf.kinds)],
            "colour": COLOURS[colour % len(COLOURS)],
            "purpose": top.purposes[(kind + material) % len(top.purposes)],
        }
        titles.append(_sentence(TITLES[form % len(TITLES)].format(**words)))
        descriptions.append(_sentences(DESCRIPTIONS[(form // 4) % len(DESCRIPTIONS)].format(**words)))
    return titles, descriptions


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _sentences(text: str) -> str:
    return ". ".join(_sentence(part) for part in text.split(". "))


INTENTS: dict[str, tuple[float, tuple[str, ...], tuple[str, ...]]] = {
    "order_status": (
        0.28,
        (
            "Where is my {thing}? I ordered it {when}.",
            "My order from {when} has not arrived yet. Can you check?",
            "Hi, is there a tracking number for the {thing} I bought {when}?",
        ),
        (
            "It left our warehouse and should be with you in two days.",
            "The parcel is with the carrier; here is its link.",
        ),
    ),
    "return": (
        0.2,
        (
            "I would like to send the {thing} back, it does not fit.",
            "How do I return a {thing} I bought {when}?",
            "The {thing} is not what I expected. Can I have my money back?",
        ),
        (
            "Of course. Print the label in your account and bring the parcel to any shop.",
            "You have 30 days; a refund takes up to five.",
        ),
    ),
    "product_question": (
        0.17,
        (
            "Is the {thing} also available in {colour}?",
            "Does the {thing} come with a warranty?",
            "Can you tell me whether the {thing} is suitable for a gift?",
        ),
        ("Yes, it is.", "It comes with two years of warranty."),
    ),
    "complaint": (
        0.12,
        (
            "The {thing} arrived broken. This is the second time!",
            "I am disappointed: the {thing} I got is {colour}, not what I ordered {when}.",
            "The {thing} stopped working after a week.",
        ),
        (
            "We are sorry. A new one is on its way, free of charge.",
            "That should not happen. Please keep it, we refund you.",
        ),
    ),
    "promotion": (
        0.13,
        (
            "My discount code does not work on the {thing}.",
            "Will the {thing} be on sale again soon?",
            "I bought the {thing} {when} and now it is cheaper. Can I get the difference?",
        ),
        ("The code holds for full-price products only.", "We cannot say yet; the newsletter will."),
    ),
    "cancel": (
        0.1,
        (
            "Please cancel my order of {when}.",
            "I ordered the {thing} twice by mistake, please cancel one.",
            "Can I still change or cancel the {thing} I ordered {when}?",
        ),
        ("Done; nothing will be charged.", "It was packed already. Please refuse the parcel."),
    ),
}
"""Share, messages and replies of each intent."""
WHEN = ("yesterday", "on Monday", "last week", "ten days ago", "on Friday")
ANSWERED = 0.85


def conversations(seed: int, mean: float, first: int, last: int) -> pa.Table:
    """The `conversations` table of the days from `first` to `last`, both included; `mean` messages a day."""
    names, shares = list(INTENTS), np.array([share for share, _, _ in INTENTS.values()])
    nouns = [kind for leaf in LEAVES for kind in leaf.kinds]
    rows: dict[str, list[str | None]] = {"message_id": [], "message": [], "intent": [], "reply": []}
    for day in range(first, last + 1):
        random = generator(seed, "messages", day)
        for number in range(random.poisson(mean)):
            intent = names[random.choice(len(names), p=shares / shares.sum())]
            _, asks, replies = INTENTS[intent]
            ask, reply, thing, when, colour = random.random(5)
            words = {"thing": _at(nouns, thing), "when": _at(WHEN, when), "colour": _at(COLOURS, colour)}
            rows["message_id"].append(f"m{day}-{number:05d}")
            rows["message"].append(_at(asks, ask).format(**words))
            rows["intent"].append(intent)
            rows["reply"].append(_at(replies, reply / ANSWERED) if reply < ANSWERED else None)
    return pa.table({name: pa.array(values, pa.string()) for name, values in rows.items()})


def _at(choices: tuple[str, ...] | list[str], uniform: float) -> str:
    return choices[int(uniform * len(choices))]
