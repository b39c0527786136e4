"""What customers want of the shop's search, how they put it, and how well each product answers it.

A want names a category or one kind of its products, or just a room or an occasion, and some of brand, material, colour
and use. It is put in the catalogue's words, in others that mean the same, or misspelled, in any order. People who
grade products are wrong now and then: the truth is in the oracle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from triad.sources.simulated.catalogue import Ints, Products
from triad.sources.simulated.chance import generator
from triad.sources.simulated.taxonomy import BRANDS, COLOURS, LEAVES, TOP_OF_LEAF, TOPS

FEWEST, A_PRODUCT, MOST = 90, 0.5, 3_000
"""Queries: so many, and a share of the products', up to a bound."""
OWN, NEAR, ANY = 10, 8, 6
"""Products judged for a query: of the category, of the broad category, of any."""
BROAD, KIND = 0.15, 0.3
"""Shares of wants that name a broad category alone, and one kind of product."""
NAMES = {"brand": 0.22, "material": 0.28, "colour": 0.28, "purpose": 0.12}
OTHERWISE, MISSPELLED, WRONG = 0.75, 0.3, 0.12
"""Shares of words put otherwise where they can be, of queries with a misspelled word, of grades one off."""

OTHER_WORDS = {
    "bedding": ("bed linen", "bedclothes", "sheets"),
    "lamp": ("light", "luminaire", "lighting fixture"),
    "storage": ("organizer", "container", "tidy box"),
    "decoration": ("ornament", "home accent", "knick-knack"),
    "pan": ("skillet", "pot", "cooking pot"),
    "tableware": ("crockery", "dinnerware", "dishes"),
    "knife": ("blade", "cutlery", "carver"),
    "coffee maker": ("espresso gear", "barista kit", "cafetiere"),
    "dress": ("gown", "frock", "robe"),
    "shirt": ("top", "blouse", "tee"),
    "jacket": ("coat", "parka", "anorak"),
    "shoes": ("sneakers", "footwear", "kicks"),
    "skincare": ("moisturiser", "lotion", "face care"),
    "haircare": ("hair product", "hair wash", "detangler"),
    "perfume": ("scent", "fragrance spray", "aftershave"),
    "bath": ("body wash", "bathroom soap", "shower stuff"),
    "headphones": ("in-ears", "cans", "earpieces"),
    "speaker": ("boombox", "sound system", "loudspeaker"),
    "charger": ("power supply", "plug", "battery pack"),
    "keyboard": ("typing board", "input device", "keypad"),
    "backpack": ("rucksack", "bag", "knapsack"),
    "tent": ("shelter", "camping dome", "canopy"),
    "bottle": ("canteen", "drink container", "tumbler"),
    "fitness gear": ("workout equipment", "gym kit", "exercise stuff"),
    "sand": ("beige", "tan"),
    "forest green": ("dark green", "bottle green"),
    "navy": ("dark blue", "midnight blue"),
    "black": ("jet", "ebony"),
    "off-white": ("cream", "ivory"),
    "rust": ("burnt orange", "terracotta"),
    "sage": ("pale green", "olive"),
    "grey": ("gray", "charcoal"),
    "berry": ("burgundy", "dark red"),
    "sky blue": ("light blue", "azure"),
    "linen": ("flax",),
    "oak": ("wooden", "timber"),
    "rattan": ("wicker",),
    "brass": ("golden metal",),
    "cast iron": ("gusseisen", "heavy iron"),
    "stainless steel": ("inox", "rostfrei"),
    "stoneware": ("ceramic", "pottery"),
    "merino": ("wool",),
    "suede": ("leather",),
    "recycled plastic": ("eco friendly",),
    "waxed canvas": ("waterproof cloth",),
    "ripstop": ("tear proof",),
    "citrus": ("lemon",),
}
"""Words that no product's text has, by the catalogue's."""
ROOMS = {
    "home": ("something for the flat", "interior ideas", "house warming present"),
    "kitchen": ("things for cooking", "chef gift", "culinary"),
    "fashion": ("outfit", "clothes", "something to wear"),
    "beauty": ("self care", "pamper gift", "cosmetics"),
    "electronics": ("gadget", "tech gift", "device"),
    "outdoor": ("camping stuff", "hiking gift", "adventure equipment"),
}
AROUND = ("", "", "", "", "best ", "cheap ", "new ", "looking for ")


@dataclass(frozen=True)
class Wants:
    """Each array (q,); -1 is not asked for. `text` is what is typed."""

    text: tuple[str, ...]
    top: Ints
    leaf: Ints
    kind: Ints
    brand: Ints
    material: Ints
    colour: Ints
    purpose: Ints


def wants(seed: int, goods: Products, shown: Ints) -> Wants:
    """What is asked, each of one of the products `shown`, so that it can be had; no text twice."""
    random = generator(seed, "wants")
    count = min(FEWEST + int(A_PRODUCT * len(shown)), MOST)
    of = shown[random.integers(len(shown), size=count)]
    held = _attributes(goods, of)
    luck = random.random((count, 16))
    is_broad = luck[:, 0] < BROAD
    held["kind"] = np.where(luck[:, 1] < KIND, held["kind"], -1)
    for place, (name, share) in enumerate(NAMES.items()):
        held[name] = np.where(luck[:, 2 + place] < share, held[name], -1)
    for name in ("leaf", "kind", "brand", "material", "colour", "purpose"):
        held[name] = np.where(is_broad, -1, held[name])
    rows = [{name: int(values[row]) for name, values in held.items()} for row in range(count)]
    texts = [_put(row, luck[number, 6:]) for number, row in enumerate(rows)]
    first = sorted({text: number for number, text in reversed(list(enumerate(texts)))}.values())
    return Wants(tuple(texts[number] for number in first), **{name: values[first] for name, values in held.items()})


def judgements(seed: int, known: Wants, goods: Products, shown: Ints, item_id: pa.Array) -> tuple[pa.Table, pa.Table]:
    """The `searches` table, and the grades as they truly are.

    3 is all that was asked for, one less for each thing that is not so; of the category it is worth 1 at least. For who
    asks broadly, all of the broad category is worth 2.
    """
    random = generator(seed, "wants", 1)
    held = _attributes(goods, shown)
    query, item = [], []
    for number in range(len(known.text)):
        same = held["leaf"] == known.leaf[number] if known.leaf[number] >= 0 else held["top"] == known.top[number]
        near = held["top"] == known.top[number]
        chosen = [_some(random, np.flatnonzero(same), OWN), _some(random, np.flatnonzero(near), NEAR)]
        chosen.append(_some(random, np.arange(len(shown)), ANY))
        each = np.unique(np.concatenate(chosen))
        query.append(np.full(len(each), number))
        item.append(each)
    rows, columns = np.concatenate(query), np.concatenate(item)
    truth = grades(known, held, rows, columns)
    off = np.where(random.random(len(rows)) < 0.5, 1, -1) * (random.random(len(rows)) < WRONG)
    judged = np.clip(truth + off, 0, 3)

    def table(relevance: Ints) -> pa.Table:
        texts = pa.array(known.text).take(pa.array(rows))
        return pa.table({"query": texts, "item_id": item_id.take(pa.array(columns)), "relevance": relevance})

    return table(judged), table(truth)


def grades(known: Wants, held: dict[str, Ints], query: Ints, item: Ints) -> Ints:
    """(n,) how well products answer, by their attributes."""
    wrong = np.zeros(len(query), np.int64)
    for name in ("kind", "brand", "material", "colour", "purpose"):
        asked = getattr(known, name)[query]
        wrong += (asked >= 0) & (asked != held[name][item])
    narrow = np.where(known.leaf[query] == held["leaf"][item], np.maximum(3 - wrong, 1), 0)
    return np.where(known.leaf[query] >= 0, narrow, np.where(known.top[query] == held["top"][item], 2, 0))


def _attributes(goods: Products, numbers: Ints) -> dict[str, Ints]:
    """What products are, as `text.product_texts` says it."""
    leaf, words = goods.leaf[numbers], goods.words[numbers]
    top = TOP_OF_LEAF[leaf]
    sizes = np.array([(len(TOPS[t].materials), len(TOPS[t].purposes)) for t in range(len(TOPS))])[top]
    kinds = np.array([len(entry.kinds) for entry in LEAVES])[leaf]
    return {
        "top": top,
        "leaf": leaf,
        "kind": words[:, 0] % kinds,
        "brand": goods.brand[numbers],
        "material": words[:, 1] % sizes[:, 0],
        "colour": words[:, 2] % len(COLOURS),
        "purpose": (words[:, 0] + words[:, 1]) % sizes[:, 1],
    }


def _put(want: dict[str, int], luck: np.ndarray) -> str:
    """A want as it is typed. `luck` (10,) uniforms."""
    top = TOPS[want["top"]]
    if want["leaf"] < 0:
        return _misspelled(_at(ROOMS[top.name], luck[0]), luck[8:])
    leaf = LEAVES[want["leaf"]]
    parts = [leaf.kinds[want["kind"]] if want["kind"] >= 0 else _otherwise(leaf.noun, luck[0], luck[1])]
    if want["colour"] >= 0:
        parts.append(_otherwise(COLOURS[want["colour"]], luck[2], luck[3]))
    if want["material"] >= 0:
        parts.append(_otherwise(top.materials[want["material"]], luck[6], luck[7]))
    if want["brand"] >= 0:
        parts.append(BRANDS[want["brand"]].lower())
    turn = int(luck[4] * len(parts))
    text = _at(AROUND, luck[5]) + " ".join(parts[turn:] + parts[:turn])
    if want["purpose"] >= 0:
        text += f" for {top.purposes[want['purpose']]}"
    return _misspelled(text, luck[8:])


def _otherwise(word: str, luck: float, which: float) -> str:
    return _at(OTHER_WORDS[word], which) if luck < OTHERWISE and word in OTHER_WORDS else word


def _misspelled(text: str, luck: np.ndarray) -> str:
    """Two letters in the longest word swapped, or one left out or doubled."""
    if luck[0] >= MISSPELLED:
        return text
    word = max(text.split(), key=len)
    if len(word) < 5:
        return text
    at = 1 + int(luck[1] * (len(word) - 3))
    how = int(luck[0] / MISSPELLED * 3)
    before, after = word[:at], word[at:]
    changed = (before + after[1] + after[0] + after[2:], before + after[1:], before + after[0] + after)
    return text.replace(word, changed[how], 1)


def _some(random: np.random.Generator, rows: Ints, count: int) -> Ints:
    return rows if len(rows) <= count else random.choice(rows, count, replace=False)


def _at(choices: tuple[str, ...], uniform: float) -> str:
    return choices[int(uniform * len(choices))]
