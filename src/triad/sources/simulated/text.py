"""Product titles and descriptions. English, from templates."""

from __future__ import annotations

from triad.sources.simulated.catalogue import Ints, Products
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
        words, form = words_of(goods, int(number)), int(goods.words[number, 3])
        titles.append(_sentence(TITLES[form % len(TITLES)].format(**words)))
        descriptions.append(_sentences(DESCRIPTIONS[(form // 4) % len(DESCRIPTIONS)].format(**words)))
    return titles, descriptions


def words_of(goods: Products, number: int) -> dict[str, str]:
    """What a product is called by."""
    leaf, top = LEAVES[goods.leaf[number]], TOPS[TOP_OF_LEAF[goods.leaf[number]]]
    kind, material, colour, form, merit = (int(word) for word in goods.words[number])
    grades = GRADES[0 if merit < -4 else 1 if merit < 5 else 2]
    return {
        "brand": BRANDS[goods.brand[number]],
        "grade": grades[form % len(grades)],
        "material": top.materials[material % len(top.materials)],
        "kind": leaf.kinds[kind % len(leaf.kinds)],
        "colour": COLOURS[colour % len(COLOURS)],
        "purpose": top.purposes[(kind + material) % len(top.purposes)],
    }


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _sentences(text: str) -> str:
    return ". ".join(_sentence(part) for part in text.split(". "))
