"""Search by an approximate index over a large catalogue's vectors, against exact search: what it finds and costs.

    TRIAD_DATASETS=… python benchmarks/search_index.py --encoder FOLDER [--products 200000]

Vectors are those of the titles of a public catalogue (Chorus), 19,406 of them, by the encoder in FOLDER; further
products lie between two of them drawn at random, up to half way. Queries are the catalogue's own. One thread.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from search import read
from threadpoolctl import threadpool_limits

from triad.arrays import Floats
from triad.config.text import TextParams
from triad.search.index import FOUND, Index
from triad.text.vectors import Vectors


def catalogue(titles: Floats, count: int) -> Floats:
    """(count, dim) unit vectors, the `titles` first."""
    random = np.random.default_rng(0)
    more = count - len(titles)
    one, other = random.integers(len(titles), size=(2, max(more, 0)))
    mixed = titles[one] + random.uniform(0, 1, (len(one), 1)).astype(np.float32) * titles[other]
    made = np.concatenate([titles, mixed / np.linalg.norm(mixed, axis=1, keepdims=True)])[:count]
    return np.ascontiguousarray(made, np.float32)


def main() -> None:
    """Print figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--products", type=int, nargs="*", default=[200_000])
    chosen = parser.parse_args()
    data, vectors = read(), Vectors.chosen(TextParams(encoder=chosen.encoder))
    assert vectors is not None
    titles, queries = vectors.of(data.texts["title"]), vectors.of(data.queries)
    for count in chosen.products:
        held = catalogue(titles, count)
        began = time.process_time()
        index = Index.of(held)
        built = time.process_time() - began
        with threadpool_limits(1):
            began = time.process_time()
            products = queries @ held.T
            best = np.argpartition(-products, FOUND, axis=1)[:, :FOUND]
            exact = time.process_time() - began
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(products, best, axis=1), axis=1), axis=1)
        began = time.process_time()
        found = index.find(queries)[0]
        near = time.process_time() - began
        told = []
        for k in (10, 100, FOUND):
            recall = [np.isin(row[:k], named).mean() for row, named in zip(best, found, strict=True)]
            told.append(f"@{k} {np.mean(recall):.3f} (least {np.min(recall):.2f})")
        each = [f"{1000 * spent / len(queries):.1f} ms" for spent in (near, exact)]
        print(f"{count:,} products, {len(queries)} queries: recall of the exact best {', '.join(told)}")
        print(f"{each[0]} a query, exact {each[1]}; built in {built:.0f} s of processor time", flush=True)


if __name__ == "__main__":
    main()
