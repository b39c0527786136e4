"""One text network for titles, queries and messages, against one of each: what tasks of simulated shops gain or lose.

    python benchmarks/one_text_network.py [--shops 1 2] [--steps 100]

The encoder `scratch` is pretrained four times for each shop: on all of its texts, and on those of the catalogue, of
queries, and of messages alone, each with the same number of steps. Members are what a night makes with it:
`text_linear` for messages, `search_order` for search. Figures are of the test queries and messages of all shops
together; intervals are 95 %, of a bootstrap over them. A query is compared with titles, so one network must read both:
that of the catalogue alone, or that of queries alone.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np

from triad.arrays import Floats
from triad.config.params import parse
from triad.config.text import ScratchParams, TextParams
from triad.examples.dataset import Dataset
from triad.features.build import fit
from triad.features.corpus import corpus
from triad.kinds.graded import ORDER
from triad.members.bench import Bench
from triad.members.labelled import labelled
from triad.members.search_order import SearchOrder
from triad.members.text_linear import TextLinear
from triad.sources.simulated import simulate
from triad.sources.simulated.messages import conversations
from triad.sources.simulated.sizes import SIZES
from triad.tables import connect
from triad.text.masking import masked
from triad.text.scratch import pretrain
from triad.text.terms import plain

TASKS = {
    "click": {"kind": "binary", "label": "clicked"},
    "intent": {"kind": "choice", "label": "message_intent"},
    "reply": {"kind": "choice", "label": "message_reply"},
    "search": {"kind": "graded", "label": "relevance"},
}
OWN = {"intent": ("messages",), "reply": ("messages",), "search": ("catalogue", "queries")}
RESAMPLES = 2_000
SMALL: dict[str, Any] = {"dim": 32, "subwords": 2_000}
"""Pretraining one, and what members make of it, takes some 13 s of one core, at 100 steps."""


def shop(seed: int) -> tuple[Dataset, Any]:
    """A tiny shop with as many messages as the default one."""
    ingest = {
        "source": "simulated",
        "as_of": "2026-03-01",
        "window_days": 40,
        "simulated": {"size": "tiny", "seed": seed},
    }
    beside = {"fuse": {"members": ["popularity"]}, "recommend": {"order_by": "click"}}
    params = parse({"ingest": ingest, "tasks": TASKS, **beside}, "benchmark")
    made = simulate(params.ingest)
    tables, end = made.whole()[0], params.ingest.as_of
    tables["conversations"] = conversations(seed, SIZES["small"].messages, made.first, made.last)[0]
    with connect(tables) as session:
        return fit(session, params.features, params.tasks, (end - timedelta(days=40), end))[0], params.tasks


def said(data: Dataset) -> dict[str, list[str]]:
    """What each network learns of."""
    only = {"messages": data.replaced(searches=_silent(data)), "all": data}
    held = data.units["searches"]
    catalogue = sorted({*held.title, *held.description} - {""})
    everything = {name: corpus(each) for name, each in only.items()}
    parts = {"catalogue": sorted({plain(masked(text)) for text in catalogue})}
    parts["messages"] = sorted(set(everything["messages"]) - set(parts["catalogue"]))
    parts["queries"] = sorted(set(everything["all"]) - set(parts["catalogue"]) - set(parts["messages"]))
    return {"all": everything["all"], **parts}


def _silent(data: Dataset) -> Any:
    held = data.units["searches"]
    return replace(held, split=np.full(len(held.split), -1, np.int8))


def worth(data: Dataset, tasks: Any, encoder: str) -> dict[str, Floats]:
    """Task → of each test message whether it is answered rightly; of each query NDCG@10."""
    params: Any = SimpleNamespace(tasks=tasks, text=TextParams(encoder=encoder))
    bench, found = Bench(data, params, vectors=lambda: np.zeros((0, 0))), dict[str, Floats]()
    linear, order = TextLinear.make(bench, "text_linear"), SearchOrder.make(bench, "search_order")
    for task in ("intent", "reply"):
        rows, label = labelled(data, task, "test")
        found[task] = (linear.predict(data, rows, [task])[task].argmax(axis=1) == label).astype(float)
    rows, grades = labelled(data, "search", "test")
    query = np.asarray(data.units["searches"].query)[rows]
    useful = np.unique(query[grades > 0])
    queries, values = ORDER.worth(order.predict(data, rows)["search"], grades, query)
    found["search"] = values[np.isin(queries, useful)]
    return found


def told(found: dict[str, list[dict[str, Floats]]]) -> None:
    """Print the figures of the shops so far as Markdown rows."""
    for task, own in OWN.items():
        for name in ("words alone", "all", *own):
            values = np.concatenate([each[task] for each in found[name]])
            base = np.concatenate([each[task] for each in found["all"]])
            draws = np.random.default_rng(0).poisson(1.0, (RESAMPLES, len(values)))
            means = [(draws @ part / draws.sum(axis=1), part.mean()) for part in (values, base - values)]
            cells = [
                f"{mean:+.3f} [{np.quantile(of, 0.025):+.3f}, {np.quantile(of, 0.975):+.3f}]" for of, mean in means
            ]
            print(f"| {task} ({len(values)}) | {name} | {cells[0]} | {cells[1] if name != 'all' else ''} |", flush=True)


def main() -> None:
    """Print figures as Markdown rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shops", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--steps", type=int, default=100)
    chosen = parser.parse_args()
    found: dict[str, list[dict[str, Floats]]] = {}
    for seed in chosen.shops:
        data, tasks = shop(seed)
        found.setdefault("words alone", []).append(worth(data, tasks, "words"))
        print(f"shop {seed}: {time.process_time():.0f} s of processor so far", flush=True)
        for name, texts in said(data).items():
            with TemporaryDirectory() as place:
                began = time.process_time()
                pretrain(texts, ScratchParams(**SMALL, steps=chosen.steps, seed=seed), Path(place) / "encoder")
                found.setdefault(name, []).append(worth(data, tasks, str(Path(place) / "encoder")))
                print(
                    f"shop {seed}, {name}: {len(texts)} texts, {time.process_time() - began:.0f} s of processor",
                    flush=True,
                )
        told(found)


if __name__ == "__main__":
    main()
