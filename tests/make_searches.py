"""Searches beside a made-up shop: products named by their category and a colour, queries in other words, graded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from triad.config.tasks import TaskParams
from triad.examples.dataset import Dataset
from triad.examples.searches import Searches
from triad.texts import Texts

TASK = {"search": TaskParams(kind="graded", label="relevance")}
KINDS = ("lamp", "jacket", "bottle", "keyboard")
SAID = ("light", "coat", "flask", "keypad")
"""What customers call them."""
COLOURS = ("navy", "sand", "rust")


def with_searches(data: Dataset, queries: int = 120, each: int = 12, seed: int = 0) -> Dataset:
    """`data` with the unit searches: half of the queries name a kind in words that no product has."""
    random = np.random.default_rng(seed)
    items = len(data.items.item_id)
    kind, colour = np.arange(items) % len(KINDS), random.integers(len(COLOURS), size=items)
    asked, tint = random.integers(len(KINDS), size=queries), random.integers(len(COLOURS), size=queries)
    names = np.where(random.random(queries) < 0.5, np.array(SAID)[asked], np.array(KINDS)[asked])
    query = np.repeat(np.arange(queries), each)
    item = np.concatenate([np.sort(random.choice(items, each, replace=False)) for _ in range(queries)])
    grade = np.where(kind[item] == asked[query], 2 + (colour[item] == tint[query]), 0)
    made = Searches(
        row_id=Texts.of([f"q{q}-{data.items.item_id[i]}" for q, i in zip(query, item, strict=True)]),
        query=query,
        item=item,
        split=(np.arange(queries) % 4)[query].astype(np.int8),
        labels=grade[:, None].astype(np.float32),
        judged=np.ones(len(query), bool),
        queries=Texts.of([f"{name} {COLOURS[t]} {q}x" for q, (name, t) in enumerate(zip(names, tint, strict=True))]),
        typed=np.zeros(queries, np.int64),
        title=Texts.of([f"{KINDS[k]} {COLOURS[c]} no {i}" for i, (k, c) in enumerate(zip(kind, colour, strict=True))]),
        description=Texts.of([""] * items),
        category=Texts.of([f"shop/{KINDS[k]}s" for k in kind]),
        brand=Texts.of(["Norrland"] * items),
    )
    meta = replace(data.meta, tasks={**data.meta.tasks, "searches": ("search",)})
    return data.replaced(searches=made, meta=meta)
