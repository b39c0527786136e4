"""Titles and descriptions of a public catalogue (Chorus), written from attributes alone, against a template.

    TRIAD_DATASETS=… python benchmarks/descriptions.py [--seeds 1 2 3] [--show validation]

Products are dealt by their place in the files, modulo 5: 0 to 2 teach, 3 chooses (`--show validation`), 4 is the test.
Attributes are the supplier, the name and `attr_*`; the title and the short description are what is to be written. chrF
is the mean over products; intervals are 95 %, of a bootstrap over products. To see what the fact check misses, facts of
other products are planted in texts that pass it.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import zipfile
from collections import Counter

import numpy as np

from triad.arrays import Floats
from triad.datasets.base import folder
from triad.statistics.chrf import chrf
from triad.writing.check import Facts
from triad.writing.language import Language
from triad.writing.product import Product, is_colour, is_material
from triad.writing.template import template
from triad.writing.tokens import keys
from triad.writing.training import rows_of, trained
from triad.writing.writer import NETWORK, Writer, Written

RESAMPLES, FACTS = 2_000, range(6)


def read() -> list[Product]:
    """All products, in the files' order."""
    rows = []
    for path in sorted((folder() / "chorus").glob("*.json.zip")):
        with zipfile.ZipFile(path) as packed:
            rows += json.loads(packed.read(packed.namelist()[0]))
    return [
        Product(
            str(row["id"]),
            row["name"],
            row["supplier"],
            {key: value for key, value in row.items() if key.startswith("attr_")},
            {
                genre: row[key]
                for genre, key in (("title", "title"), ("description", "short_description"))
                if row.get(key)
            },
            row["price"] / 100,
        )
        for row in rows
    ]


def interval(values: Floats) -> str:
    """Mean and interval over products."""
    draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile([values[draw].mean() for draw in draws], (0.025, 0.975))
    return f"{values.mean():+.2f} [{low:+.2f}, {high:+.2f}]"


def best_template(language: Language, products: list[Product], genre: str) -> int:
    """How many facts the template says where it scores best."""
    known = [product for product in products if genre in product.texts]
    figures = [
        np.mean([chrf(template(language, product, genre, count), product.texts[genre]) for product in known])
        for count in FACTS
    ]
    return FACTS[int(np.argmax(figures))]


def planted(facts: Facts, products: list[Product], texts: list[Written]) -> dict[str, float]:
    """Kind of a fact → the share found of those planted, one in each text, at a place drawn at random."""
    draw, caught, tried = np.random.default_rng(0), Counter[str](), Counter[str]()
    values = [(key, said) for product in products for key, said in product.said() if len(keys(said)) == 1]
    pools: dict[str, list[str]] = {  # what these products themselves say, whether the check has met it or not
        "colour": sorted({said for key, said in values if is_colour(key) and said.isalpha()}),
        "material": sorted({said for key, said in values if is_material(key) and said.isalpha()}),
        "brand": sorted({product.brand for product in products}),
        "number with unit": [f"{n} {unit}" for n in (17, 43, 95, 380, 770) for unit in ("GB", "W", "mm", "pages")],
        "model": sorted({p.name for p in products if re.fullmatch(r"[A-Z]+[-A-Z0-9]*\d[A-Z0-9]*", p.name)}),
    }
    for product, text in zip(products, texts, strict=True):
        own = {key for _, said in product.said() for key in keys(said)}
        for what, pool in pools.items():
            fact = pool[draw.integers(len(pool))]
            if own.intersection(keys(fact)):
                continue
            words = text.text.split(" ")
            at = int(draw.integers(len(words) + 1))
            tried[what] += 1
            caught[what] += bool(facts.invented(" ".join([*words[:at], fact, *words[at:]]), product))
    return {what: caught[what] / tried[what] for what in pools}


def unsupported(product: Product, text: str) -> bool:
    """Whether it has a content word that is neither in the attributes nor in what the shop itself wrote."""
    known = {
        key
        for said in [*(said for _, said in product.said()), *product.facts, *product.texts.values()]
        for key in keys(said.replace("_", " "))
    }
    return any(len(word) > 3 and word.isalpha() and word not in known for word in keys(text))


def report(writer: Writer, products: list[Product], genre: str, most: int, note: str) -> tuple[Floats, list[Written]]:
    """Print a genre's figures; the gains over the template."""
    known = [product for product in products if genre in product.texts]
    start = time.monotonic()
    texts = [writer.write(product, genre) for product in known]
    each = (time.monotonic() - start) / len(known)
    facts = writer.language.facts
    scores = np.array([chrf(text.text, product.texts[genre]) for text, product in zip(texts, known, strict=True)])
    rival = np.array([chrf(template(writer.language, product, genre, most), product.texts[genre]) for product in known])
    gain, by = scores - rival, Counter(text.by for text in texts)
    said = [text for text in texts if text.text]
    owners = [product for text, product in zip(texts, known, strict=True) if text.text]
    objected = [bool(facts.invented(text.text, product)) for text, product in zip(said, owners, strict=True)]
    loose = [unsupported(product, text.text) for text, product in zip(said, owners, strict=True)]
    people = [bool(facts.invented(product.texts[genre], product)) for product in known]
    new = np.array([product.texts[genre] not in (product.name, f"{product.brand} {product.name}") for product in known])
    print(
        f"| {genre}, {note} | {scores.mean():.2f} | {rival.mean():.2f} | {interval(gain)} | {interval(gain[new])} "
        f"({new.mean():.0%}) | {1 - by[NETWORK] / len(known):.2%} | {1 - np.mean(objected):.2%} "
        f"| {np.mean(people):.1%} "
        f"| {np.mean(loose):.1%} | {1000 * each:.1f} ms |",
        flush=True,
    )
    print("  not by the network:", Counter(text.why[:60] for text in texts if text.by != NETWORK).most_common(5))
    print("  planted facts found:", {what: round(share, 4) for what, share in planted(facts, owners, said).items()})
    for text, product in list(zip(texts, known, strict=True))[:: len(known) // 8]:
        print(f"  {product.texts[genre]!r} → {text.text!r} ({text.by})")
    return gain, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--show", choices=("validation", "test"), default="test")
    asked = parser.parse_args()
    products = read()
    train, validation, test = ([p for n, p in enumerate(products) if n % 5 in part] for part in ((0, 1, 2), (3,), (4,)))
    start = time.monotonic()
    language = Language.of(train)
    rows = rows_of(train, language)
    print(f"{len(rows)} texts of {len(train)} products, {len(language.words)} words; {time.monotonic() - start:.0f} s")
    shown = validation if asked.show == "validation" else test
    most = {genre: best_template(language, validation, genre) for genre in ("description", "title")}
    print(f"facts in the template: {most}")
    for seed in asked.seeds:
        start = time.monotonic()
        weights = trained(rows, language, seed)
        note = f"seed {seed}, trained in {time.monotonic() - start:.0f} s"
        for genre, count in most.items():
            report(Writer.of(train, language, weights), shown, genre, count, note)


if __name__ == "__main__":
    main()
