"""A finished night in a folder: tables, fitted features, a real fusion of members without a network, and a verdict."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from make_tables import END, START, make_tables
from threadpoolctl import threadpool_limits

from triad.artifacts import ARTIFACTS, TABLES, write_json
from triad.config.fuse import FuseParams
from triad.config.params import Params, parse
from triad.config.profile import ProfileParams
from triad.config.similarity import SimilarityParams
from triad.evaluation.refit_health import Side, figures
from triad.examples import dataset
from triad.features.build import fit
from triad.features.splits import last_train_day
from triad.fusion.fitting import fit_fusion
from triad.members.bench import Bench
from triad.members.item_similarity import Similarity
from triad.members.popularity import Popularity
from triad.members.trees import BoostedTrees
from triad.tables import connect, write_table
from triad.texts import Texts
from triad.tracking.signing import KEY

TASKS: dict[str, Any] = {
    "click": {"kind": "binary", "label": "clicked"},
    "conversion": {"kind": "binary", "label": "purchased", "given": "click"},
    "profile": {"kind": "multiclass", "label": "user_attribute", "column": "segment"},
    "next": {"kind": "ranking", "label": "next_item"},
}


def make_params(**overlay: Any) -> Params:
    """Parameters of the small random shop's window."""
    values: dict[str, Any] = {
        "ingest": {"as_of": END.isoformat(), "window_days": (END - START).days},
        "tasks": TASKS,
        "features": {"split_days": {"validation": 4, "fusion": 5, "test": 5}, "user_attributes": ["country"]},
        "recommend": {"k": 5, "candidates": 12, "order_by": "conversion"},
    }
    return parse(values | overlay, "test")


def make_night(root: Path, *, tables: dict[str, pa.Table] | None = None, params: Params | None = None) -> Path:
    """Fill `root/artifacts` up to `evaluate`, and return `root`."""
    tables, params = tables or make_tables(), params or make_params()
    vectors = np.random.default_rng(0).normal(size=(tables["items"].num_rows, 8))
    # small matrices: threads that wait for one another take ten times as long on a busy machine
    with threadpool_limits(1), connect(tables) as session:
        data, state = fit(session, params.features, params.tasks, (START, END))
        tasks, few = params.tasks, ProfileParams(max_iterations=8, components=4)
        members = {
            "popularity": Popularity.fit(data, tasks, half_life_days=14.0),
            "trees": BoostedTrees.fit(data, vectors, tasks, few),
            "similarity": Similarity.fit(data, vectors, tasks, SimilarityParams()),
        }
        fused = fit_fusion(data, members, tasks, FuseParams(bootstrap=20))
        twin = Side(fused, data, Texts.of(sorted(state.warm_items)))
        data_now, state_now = fit(session, params.features, tasks, (START, END), hold_out=False, like=state)
        bench = Bench(data_now, params, lambda: vectors)
        served = Side(fused.refit(bench), data_now, Texts.of(sorted(state_now.warm_items)))
        health = figures(twin, served, tasks, params.refit.health, seed=1)
    with inside(root):
        for name, table in tables.items():
            write_table(TABLES, name, table)
        dataset.save(data, ARTIFACTS / "features")
        state.save(ARTIFACTS / "features" / "state")
        fused.save(ARTIFACTS / "fuse")
        days = {"evaluated": last_train_day(state.meta.windows), "refitted": last_train_day(state_now.meta.windows)}
        state_now.save(ARTIFACTS / "refit" / "state")
        served.fused.save(ARTIFACTS / "refit" / "fuse")
        write_json(ARTIFACTS / "refit" / "health.json", {"figures": health, "doubts": [], "learned_until": days})
        check = {"table": "events", "column": "quantity", "name": "between", "severity": "warning", "passed": False}
        report = {"success": True, "checks": [check | {"message": "u0001 …", "samples": [{"user_id": "u0001"}]}]}
        write_json(ARTIFACTS / "validate" / "report" / "result.json", report)
        judge("PASS", None)
    return root


def judge(verdict: str, champion: str | None, **metrics: float) -> None:
    """Write what `evaluate` would, in the current folder."""
    folder = ARTIFACTS / "evaluate"
    reasons = [f"click: {verdict.lower()} in a test"]
    write_json(folder / "report" / "verdict.json", {"verdict": verdict, "reasons": reasons, "champion": champion})
    write_json(folder / "metrics.json", {"click": {"auc": 0.7, "users": 60, **metrics}, "verdict": verdict})
    (folder / "report" / "report.html").write_text("<h1>report</h1>")


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in `folder`, then return."""
    before = Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def published_night(root: Path, **environment: str) -> Iterator[Path]:
    """`root`, a night that passed, once it is published in a store of its own; the environment lasts as long."""
    from triad.stages.publish import publish

    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", KEY):
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        with inside(root):
            publish(make_params())
        yield root
