"""All that the stage `evaluate` reads, for the small shop in memory: features, a fusion, tables, the truth."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from make_dataset import make_dataset

from triad.arrays import Floats, Ints
from triad.artifacts import write_json
from triad.config.members import Recipe
from triad.config.params import Params, parse
from triad.evaluation.champion_protocol import Answers, Question, answer
from triad.examples import dataset
from triad.examples.dataset import Dataset
from triad.fusion.fused import Fused, relations
from triad.members.bench import Bench
from triad.members.popularity import Popularity
from triad.tables import write_table

TASKS: dict[str, Any] = {
    "click": {"kind": "binary", "label": "clicked"},
    "conversion": {"kind": "binary", "label": "purchased", "given": "click"},
    "profile": {"kind": "multiclass", "label": "user_attribute", "column": "segment", "gated": False},
    "price": {"kind": "regression", "label": "price_move"},
    "next": {"kind": "ranking", "label": "next_item"},
}


def make_params(**evaluate: Any) -> Params:
    settings = {"bootstrap": 60, "min_slice_rows": 30, "max_calibration_error": 0.5, **evaluate}
    return parse({"ingest": {"as_of": "2026-01-31", "window_days": 36}, "tasks": TASKS, "evaluate": settings}, "test")


PEEKING = Recipe("peeking", "Peeking", ("RowScorer", "Retriever"), module="make_evaluation")


@dataclass(frozen=True)
class Peeking:
    """A member that peeks: the label under `noise` times as much noise. Its quality is the test's to choose."""

    noise: float
    tasks: tuple[str, ...] = ("click", "conversion", "profile", "price")
    ranks: bool = True

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for task in self.tasks if tasks is None else [task for task in self.tasks if task in tasks]:
            label = np.nan_to_num(np.asarray(data.labels(task), np.float64)[rows])
            # keyed by the row, so that a row's score does not depend on which others are asked
            blur = self.noise * np.random.default_rng(5).normal(size=len(data.exposures.user))[rows]
            if task == "profile":
                odds = np.eye(3)[label.astype(int)] * 2 + np.outer(blur, [1.0, -1.0, 0.5])
                found[task] = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
            elif task == "price":
                found[task] = label + 0.05 * blur
            else:
                found[task] = 1 / (1 + np.exp(2 - 2 * label - blur))
        return found

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        score = np.exp(self.noise * np.random.default_rng(6).normal(size=(len(users), len(data.items.item_id))))
        liked = np.asarray(data.items.category)[:, 0]
        for row, (user, steps) in enumerate(zip(users, history, strict=True)):
            last = int(data.streams.item[int(data.streams.offsets[user]) + int(steps) - 1])
            score[row] *= np.where(liked == liked[last], 5.0, 1.0)
        return score / score.sum(axis=1, keepdims=True)

    def refit(self, bench: Bench, name: str) -> Peeking:
        return self

    def save(self, folder: Path) -> None:
        write_json(folder / "noise.json", self.noise)

    @classmethod
    def load(cls, folder: Path) -> Peeking:
        return cls(float((folder / "noise.json").read_text()))


def make_fused(data: Dataset, noise: float = 1.5, weight: float = 0.8) -> Fused:
    tasks = make_params().tasks
    members = {"peeking": Peeking(noise), "popularity": Popularity.fit(data, tasks, half_life_days=14)}
    kinds, given = relations(tasks)
    record = {
        "kind": "",
        "best": "peeking",
        "fallback": False,
        "members": {"peeking": {"cost_of_leaving_out": 0.1}, "popularity": {"cost_of_leaving_out": 0.01}},
    }
    return Fused(
        members,
        kinds,
        given,
        {task: dict.fromkeys(members) for task in tasks},
        {task: {"peeking": weight, "popularity": 1 - weight} for task in tasks},
        {task: record | {"left_out": ["popularity"] if kind == "ranking" else []} for task, kind in kinds.items()},
    )


def write_artifacts(root: Path, data: Dataset | None = None, *, noise: float = 1.5, known: bool = True) -> Dataset:
    """Everything `evaluate` reads, below `root`/artifacts."""
    data = make_dataset(users=150, items=40, seed=0) if data is None else data
    artifacts, exposures = root / "artifacts", data.exposures
    dataset.save(data, artifacts / "features")
    make_fused(data, noise).save(artifacts / "fuse")
    write_health(artifacts)
    write_json(artifacts / "pretrain" / "metrics.json", {"hit_at_10": 0.4, "ndcg_at_10": 0.2, "queries": 9.0})
    warning = {"table": "events", "column": "position", "message": "positions jump", "unexpected": 12}
    checks = [{**warning, "severity": "warning", "passed": False, "name": "a", "samples": [], "broken": False}]
    write_json(artifacts / "validate" / "report" / "result.json", {"success": True, "checks": checks, "rows": {}})
    items, users = np.asarray(data.items.item_id), np.asarray(data.users.user_id)
    kind = np.asarray(data.items.category)[:, 0]
    tables = artifacts / "validate" / "tables"
    long_ago = datetime(2025, 12, 1, tzinfo=UTC)
    write_table(
        tables,
        "items",
        pa.table(
            {
                "item_id": items,
                "title": [f"Lamp <{i}>" for i in range(len(items))],
                "category": [f"top {c}/below" for c in kind],
                "price_cents": np.full(len(items), 500),
                "available_from": [long_ago] * len(items),
            }
        ),
    )
    country = np.where(np.arange(len(users)) % 3, "DE", "FR")
    people = {"user_id": users.tolist(), "signed_up_at": [long_ago] * len(users), "country": country.tolist()}
    write_table(tables, "users", pa.table({name: values[::-1] for name, values in people.items()}))
    write_table(
        tables,
        "events",
        pa.table(
            {
                "event_id": np.asarray(exposures.event_id),
                "user_id": users[exposures.user],
                "item_id": items[exposures.item],
                "occurred_at": pa.array(np.asarray(exposures.time), pa.timestamp("us", tz="UTC")),
                "kind": ["impression"] * len(users[exposures.user]),
                "surface": ["home", "search"] * (len(exposures.user) // 2) + ["home"] * (len(exposures.user) % 2),
            }
        ),
    )
    write_oracle(artifacts / "ingest" / "oracle", data, known=known)
    return data


def write_health(artifacts: Path, doubts: tuple[str, ...] = ()) -> None:
    """What the stage `refit` says of its model."""
    figures = {
        "click": {"rank_correlation": 0.987, "drift": 0.04},
        "next": {"rank_correlation": 0.9, "lists_kept": 0.5, "new_items": 0.125, "twin_new_items": 0.0},
    }
    days = {"evaluated": "2026-01-17", "refitted": "2026-01-30"}
    write_json(artifacts / "refit" / "health.json", {"figures": figures, "doubts": list(doubts), "learned_until": days})


def write_oracle(folder: Path, data: Dataset, *, known: bool = True) -> None:
    """Truths that are nearly the labels themselves, in another order than the dataset's."""
    write_json(folder / "oracle.json", {"known": known})
    exposures, random = data.exposures, np.random.default_rng(0)
    clicked, bought = (np.asarray(data.labels(task), np.float64) for task in ("click", "conversion"))
    order = random.permutation(len(clicked))
    event = np.asarray(exposures.event_id)[order]
    chances = {"p_click": 0.1 + 0.8 * clicked[order], "p_purchase": 0.1 + 0.8 * bought[order]}
    pq.write_table(pa.table({"event_id": event, **chances}), folder / "exposures.parquet")
    users, items = np.asarray(data.users.user_id), np.asarray(data.items.item_id)
    segment = np.zeros(len(users), int)
    told = np.isfinite(data.labels("profile"))
    segment[np.asarray(exposures.user)[told]] = np.asarray(data.labels("profile"))[told].astype(int)
    liked = np.zeros((len(users), 4))
    np.add.at(liked, (np.repeat(np.arange(len(users)), np.diff(data.streams.offsets)), data.streams.item % 4), 1.0)
    chosen = {f"p_{name}": np.where(segment == k, 0.9, 0.05) for k, name in enumerate(data.meta.classes["profile"])}
    vectors = {"vector": liked.tolist()}
    pq.write_table(pa.table({"user_id": users, **chosen, **vectors}).slice(0), folder / "users.parquet")
    own = {"vector": np.eye(4)[np.arange(len(items)) % 4].tolist(), "bias": np.linspace(0, 0.1, len(items))}
    pq.write_table(pa.table({"item_id": items, **own}), folder / "items.parquet")
    days = (np.asarray(exposures.time) // 86_400_000_000).astype("datetime64[D]")
    moves = {}
    for item, day, move in zip(exposures.item, days, data.labels("price"), strict=True):
        if np.isfinite(move):
            moves[str(items[item]), day.item()] = float(move)
    keys = list(moves)
    prices = {"item_id": [k[0] for k in keys], "day": [k[1] for k in keys], "price_move_7d": list(moves.values())}
    pq.write_table(pa.table(prices), folder / "prices.parquet")


@dataclass(frozen=True)
class Served:
    """A champion that reads the tables as `theirs`, whatever they hold."""

    fused: Fused
    theirs: Dataset
    version: str = "3"

    def answers(self, tables: Path, question: Question) -> Answers:
        return answer(self.fused, self.theirs, question)
