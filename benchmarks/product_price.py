"""Prices of a public catalogue (Chorus) from what products are, with their intervals.

    TRIAD_DATASETS=… python benchmarks/product_price.py [--test]

log1p of cents; products in file order, mod 5: 4 is test. Of the others, a tenth by md5 is for choosing (validation), a
tenth for weights and the interval (fusion). All is chosen without the test part; `--test` prints it, and what the
members give when they are taught again on all else with what they chose, as `refit` does, under the same weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
import zipfile
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.datasets.base import folder
from triad.kinds import KINDS
from triad.members.product_pairs import Paired
from triad.members.product_plain import Known, Lesson, Linear, Medians
from triad.members.product_trees import Grown
from triad.products.attributes import read
from triad.products.space import Said
from triad.statistics import conformal
from triad.texts import Texts

LEVEL, RESAMPLES = 0.9, 2_000


def products() -> tuple[Texts, list[Said], Floats]:
    """Ids, what is said of each, and log1p of cents. An id or a picture's address says nothing."""
    raw: list[dict[str, Any]] = []
    for path in sorted((folder() / "chorus").glob("*.json.zip")):
        with zipfile.ZipFile(path) as packed:
            raw += json.loads(packed.read(packed.namelist()[0]))
    raw = [each for each in raw if each.get("price")]
    return (
        Texts.of([str(each["id"]) for each in raw]),
        [_said(each) for each in raw],
        np.log1p([float(each["price"]) for each in raw]),
    )


def _said(raw: dict[str, Any]) -> Said:
    attributes = {name[7:]: value for name, value in raw.items() if name.startswith("attr_")}
    attributes |= {"name": raw.get("name") or "", "ean": raw.get("ean") or ""}
    if raw.get("date_released"):
        attributes["released"] = int(raw["date_released"][:4]) + int(raw["date_released"][5:7]) / 12
    known = read(json.dumps(attributes)).known
    kind = raw.get("attr_t_product_type") or ""
    return Said(raw["title"], raw.get("short_description") or "", kind, raw.get("supplier") or "", known)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test", action="store_true")
    parser.add_argument("--few", action="store_true", help="every fourth product, to try things")
    args = parser.parse_args()
    key, said, label = products()
    place = np.arange(len(key))
    tenth = np.array([int(hashlib.md5(each.encode()).hexdigest(), 16) % 10 for each in key])
    part = np.where(place % 5 == 4, 3, np.choose(np.maximum(tenth - 7, 0), (0, 1, 2)))
    if args.few:
        part = np.where(place // 5 % 4 > 0, -1, part)

    def lesson(which: int) -> Lesson:
        rows = np.flatnonzero(part == which)
        return Lesson(key[rows], [said[row] for row in rows], label[rows])

    train, validation, fusion, test = (lesson(which) for which in range(4))
    members: dict[str, Any] = {}
    for name, make in {
        "category_median": lambda: Medians.fit(train),
        "comparables": lambda: Known.fit(train),
        "product_ridge": lambda: Linear.fit(train, validation),
        "product_trees": lambda: Grown.fit(train, validation),
        "product_pairs": lambda: Paired.fit(train, validation),
    }.items():
        started = time.monotonic()
        members[name] = make()
        missed = np.abs(members[name].score(validation.products) - validation.label).mean()
        print(f"{name}: validation MAE {missed:.4f} · {time.monotonic() - started:.0f} s", flush=True)
    kind = KINDS["regression"]
    scores = {name: member.score(fusion.products) for name, member in members.items()}
    table = np.column_stack(list(scores.values()))
    weights = kind.convex_weights(table, fusion.label, np.ones(len(fusion.label)))
    later = np.column_stack([member.score(validation.products) for member in members.values()])
    both = np.concatenate([table, later]) @ weights, np.concatenate([fusion.label, validation.label])
    interval, fewer = conformal.fit(*both, LEVEL), conformal.fit(table @ weights, fusion.label, LEVEL)
    print(
        "weights",
        dict(zip(members, weights.round(3).tolist(), strict=True)),
        "trees",
        members["product_trees"].trees,
        "leaves",
        members["product_trees"].leaves,
        "of pairs",
        members["product_pairs"].trees,
    )
    shown = {"fusion (weights fitted here)": fusion, "validation": validation} | ({"test": test} if args.test else {})
    for window, of in shown.items():
        alone = {name: member.score(of.products) for name, member in members.items()}
        fused = np.column_stack(list(alone.values())) @ weights
        report(window, alone | {"median": np.full(len(of.label), np.median(train.label)), "fused": fused}, of.label)
        for name, each in (("", interval), (" of fusion alone", fewer)):
            coverage(each, fused, of.label, name)

    if args.test:
        rows = np.flatnonzero((part >= 0) & (part < 3))
        whole = Lesson(key[rows], [said[row] for row in rows], label[rows])
        again = {
            "category_median": Medians.fit(whole),
            "comparables": Known.fit(whole),
            "product_ridge": Linear.fit(whole, None, members["product_ridge"].penalty),
            "product_trees": Grown.fit(whole, None, members["product_trees"]),
            "product_pairs": Paired.fit(whole, None, members["product_pairs"]),
        }
        alone = {name: member.score(test.products) for name, member in again.items()}
        fused = np.column_stack(list(alone.values())) @ weights
        report("test, taught again", alone | {"fused": fused}, test.label)
        for name, each in (("", interval), (" of fusion alone", fewer)):
            coverage(each, fused, test.label, name)


def report(window: str, scores: dict[str, Floats], label: Floats) -> None:
    random = np.random.default_rng(1)
    drawn = random.integers(0, len(label), (RESAMPLES, len(label)))
    for name, each in scores.items():
        missed = np.abs(each - label)
        low, high = np.quantile(missed[drawn].mean(axis=1), (0.025, 0.975))
        print(f"{window}: {name} MAE {missed.mean():.4f} [{low:.4f}, {high:.4f}]")


def coverage(interval: dict[str, Any], scores: Floats, label: Floats, of: str = "") -> None:
    low, high = conformal.bounds(interval, scores)
    inside = (low <= label) & (label <= high)
    third: Ints = conformal.part_of(label, np.quantile(label, [1 / 3, 2 / 3]))
    by = [f"{inside[third == each].mean():.1%}" for each in range(3)]
    width = float(np.median(np.exp(high - low)))
    print(
        f"  90 % interval{of}: {inside.mean():.1%}, by price third {', '.join(by)}; median highest/lowest {width:.2f}"
    )


if __name__ == "__main__":
    main()
