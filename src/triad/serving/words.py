"""What parts of a score are called, in a merchant's words."""

from __future__ import annotations

from collections.abc import Sequence

from triad.fusion.contributions import BASE, CONTEXT, LIMIT, MIXING, Part
from triad.images.patches import GRID
from triad.schema import EVENT_KINDS
from triad.serving.by_patches import Patch
from triad.serving.by_words import Word
from triad.serving.deeds import Deed
from triad.serving.night import Night

WORDS = {
    BASE: "what holds for every item",
    LIMIT: "no likelier than what must happen first",
    MIXING: "what the models say together",
    CONTEXT: "what the last days taught of the moment, the price and the page",
    "own": "what this customer did with the item before",
    "item": "how the item has sold lately, its age and price",
    "customer": "how active this customer is",
    "fit": "how it fits the categories, brands and prices of this customer",
    "members": "how far the models agree on it",
    "finetune": "the network that reads the customer's whole history",
    "pretrain": "what usually comes next after such a history",
    "trees": "the customer's habits, the item's record and its price",
    "similarity": "how like it is to what this customer took",
    "item_knn": "others who took the same items",
    "transitions": "what follows the last items",
    "own_history": "what this customer takes again and again",
    "popularity": "what everybody takes",
}


def told(part: Part) -> dict[str, object]:
    """A part as the answer holds it; a member without words of its own goes by its name."""
    return {"part": part.name, "words": WORDS.get(part.name, f"the member {part.name}"), "value": part.value}


DEEDS = {"click": "looked at", "cart": "put into the cart", "purchase": "bought"}


def done(deed: Deed, night: Night) -> dict[str, object]:
    """A deed as the answer holds it. `item_id` is null of what no single item stands for."""
    item = None if deed.item is None else night.data.items.item_id[deed.item]
    if not deed.kind:
        words = "what would be said of this customer, had they done nothing yet"
    elif deed.item is None:
        words = "what else they did"
    else:
        when = {0: "today", 1: "yesterday"}.get(deed.days, f"{deed.days} days ago")
        words = f"they {DEEDS[EVENT_KINDS[deed.kind]]} {night.titles[deed.item] or item} {when}"
    return {"item_id": item, "words": words, "value": deed.value}


def typed(words: Sequence[Word]) -> list[dict[str, object]]:
    """Words as the answer holds them; `word` is null of what no single one stands for."""
    others = {None: "all other words", "": "what is said of a text without a word"}
    return [{"word": w.text or None, "words": others.get(w.text, w.text), "value": w.value} for w in words]


DOWN, ACROSS = ("top", "upper middle", "lower middle", "bottom"), ("left", "middle left", "middle right", "right")


def patch(part: Patch) -> dict[str, object]:
    """A patch as the answer holds it: its row and column of `grid`, null of what no patch stands for."""
    if part.place is None:
        words = "what is said of the words beside a picture that shows nothing"
        return {"row": None, "column": None, "grid": GRID, "words": words, "value": part.value}
    row, column = divmod(part.place, GRID)
    words = f"{DOWN[row]}, {ACROSS[column]}"
    return {"row": row, "column": column, "grid": GRID, "words": words, "value": part.value}
