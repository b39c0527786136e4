"""`triad evaluate`: compare the fusion, its members, the champion and the truth on the test days; report, verdict."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from triad.artifacts import ARTIFACTS, ORACLE, TABLES, read_json, replacing_together, write_json
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.evaluation import figures, gate
from triad.evaluation.assess import CHAMPION, FUSED, NAIVE, TaskResult, assess
from triad.evaluation.assess import ORACLE as TRUTH
from triad.evaluation.figures import Rows
from triad.evaluation.oracle import oracle
from triad.evaluation.report import Evidence, render
from triad.evaluation.scoring import examples, score_champion, score_members, score_naive, thresholds
from triad.evaluation.source import Gain
from triad.evaluation.summary import summary
from triad.evaluation.window import Scored, Window, slices, window
from triad.examples.dataset import Dataset, load
from triad.features.dataset import SPLITS
from triad.features.sql import columns
from triad.fusion.fused import Fused
from triad.progress import Progress
from triad.tables import connect, quote
from triad.texts import Texts
from triad.tracking.lineage import git
from triad.tracking.place import experiment
from triad.tracking.registry import load_champion

if TYPE_CHECKING:
    import duckdb

    from triad.config.params import Params

OUTPUT = ARTIFACTS / "evaluate"

log = logging.getLogger("triad.evaluate")


def evaluate(params: Params) -> None:
    """artifacts/features + artifacts/fuse + the registry's champion → artifacts/evaluate.

    Raises:
        TriadError: the test window holds no exposure, or a model gives scores that cannot be.
    """
    started = time.monotonic()
    settings, tasks = params.evaluate, params.tasks
    log.info("%s", settings)
    data, fused = load(ARTIFACTS / "features"), Fused.load(ARTIFACTS / "fuse")
    asked = window(data, "test", settings.max_queries, settings.seed)
    if not len(asked.rows):
        raise TriadError("no exposure lies in it", where="split test", mend="give features.split_days.test more days")

    models, cuts = _ask(fused, data, tasks, asked)
    version, champion = _champion(params.publish.model, params.publish.alias, data, asked)
    if champion is not None:
        models[CHAMPION] = champion

    titles, category, surface, market = _shop(data, asked, settings.market)
    parts = slices(data, asked, category, surface, market, cold_market=settings.cold_market)
    results = assess(data, tasks, asked, models, parts=parts, thresholds=cuts, params=settings)
    judged = gate.judge(
        figures.comparisons(results, champion=version is not None), settings, champion=version is not None
    )
    best = {task: record["best"] for task, record in fused.record.items()}
    metrics = figures.metrics_json(results, settings, best)
    verdict = _verdict(judged, version, results, metrics, settings.k)
    tables = {
        "members": figures.models_rows(results, settings),
        "slices": figures.slices_rows(results, settings),
        **figures.curve_rows(data, results, asked, models[FUSED]),
        "ranking": figures.ranking_rows(results, asked, models),
    }
    shown = examples(fused, data, asked, titles, people=settings.examples, k=settings.k, seed=settings.seed)
    page = render(
        Evidence(
            tasks=tasks,
            params=settings,
            metrics=metrics,
            verdict=verdict,
            models=tables["members"],
            slices=tables["slices"],
            calibration=tables["calibration"],
            ranking=tables["ranking"],
            fusion={"record": fused.record, "weights": fused.weights},
            validation=_json(ARTIFACTS / "validate" / "report" / "result.json"),
            lineage=_lineage(data, asked, settings.seed),
            examples=shown,
            pretrain=_json(ARTIFACTS / "pretrain" / "metrics.json"),
            source=_source(_json(ARTIFACTS / "finetune" / "metrics.json")),
            notes=_notes(data, asked, known=TRUTH in models),
        )
    )
    _write(page, verdict, metrics, tables, _scores(data, asked, models[FUSED]))
    log.info("\n%s", summary(metrics, verdict))
    size = (len(asked.rows), len(asked.queries), len(models), time.monotonic() - started, OUTPUT)
    log.info("%s exposures, %s queries, %d models · %.1f s · %s", *size)


def _ask(
    fused: Fused, data: Dataset, tasks: Mapping[str, TaskParams], asked: Window
) -> tuple[dict[str, Scored], dict[str, float]]:
    """Every model's answers but the champion's, and the scores from which binary tasks say yes."""
    with Progress("score", 4, "parts") as progress:
        models = score_members(fused, data, asked)
        progress.advance(1)
        models[NAIVE] = score_naive(fused, data, tasks, asked)
        progress.advance(1)
        truth = oracle(ORACLE, data, tasks, asked)
        progress.advance(1)
        cuts = thresholds(fused, data, tasks)
        progress.advance(1)
    return models | ({} if truth is None else {TRUTH: truth}), cuts


def _champion(model: str, alias: str, data: Dataset, asked: Window) -> tuple[str | None, Scored | None]:
    """The serving version and its answers on our rows; the only place that knows of the registry."""
    served = load_champion(model, alias)
    if served is None:
        return None, None
    return str(served.version), score_champion(served, TABLES, data, asked)


def _verdict(
    judged: gate.Verdict, version: str | None, results: Mapping[str, TaskResult], metrics: Mapping[str, Any], k: int
) -> dict[str, Any]:
    against = NAIVE if version is None else CHAMPION
    lacking = [name for name, r in results.items() if version is not None and CHAMPION not in r.models]
    notes = [f"The champion does not do {name}: nothing to compare." for name in lacking]
    return {
        "verdict": judged.outcome,
        "champion": version,
        "experiment": experiment(),
        "harms": list(judged.harms),
        "doubts": list(judged.doubts),
        "gains": list(judged.gains),
        "notes": notes,
        "reasons": [*judged.harms, *judged.doubts, *judged.gains],
        "order": list(results),  # of the tasks as configured: JSON here is sorted by key
        "tasks": {
            name: {
                "gated": result.task.gated,
                "metric": result.primary,
                "k": k,
                "against": against,
                "difference": metrics[name].get(f"gain_over_{against}"),
            }
            for name, result in results.items()
        },
    }


def _shop(
    data: Dataset, asked: Window, market: str | None
) -> tuple[list[str], np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Titles and top-level categories by catalogue row; where the source says them, the surface of each exposure and
    what the column `market` tells of each user.
    """
    session = connect(TABLES)
    try:
        session.register("asked_items", _keys("item_id", data.items.item_id))
        rows = session.execute(
            "SELECT coalesce(title, item_id), coalesce(nullif(split_part(category, '/', 1), ''), 'no category') "
            "FROM asked_items LEFT JOIN items USING (item_id) ORDER BY place"
        ).fetchall()
        session.register("asked_events", _keys("event_id", data.exposures.event_id[asked.rows]))
        shown = session.execute(
            "SELECT coalesce(surface, 'not named') FROM asked_events LEFT JOIN events USING (event_id) ORDER BY place"
        ).fetchall()
        markets = _markets(session, data, market)
    finally:
        session.close()
    surface = np.array([row[0] for row in shown], dtype=object)
    return (
        [row[0] for row in rows],
        np.array([row[1] for row in rows], dtype=object),
        surface if len(shown) == len(asked.rows) else None,
        markets,
    )


def _markets(session: duckdb.DuckDBPyConnection, data: Dataset, column: str | None) -> np.ndarray | None:
    """(n_users,) the column of users as text, "" where null; None where there is no such column."""
    named = "SELECT 1 FROM duckdb_columns() WHERE table_name = 'users' AND column_name = ?"
    if column is None or not session.execute(named, [column]).fetchall():
        return None
    session.register("asked_users", _keys("user_id", data.users.user_id))
    told = f"SELECT {quote(column)}::VARCHAR AS market FROM asked_users LEFT JOIN users USING (user_id) ORDER BY place"
    return columns(session, told)["market"]


def _keys(name: str, values: Texts) -> pa.Table:
    return pa.table({"place": np.arange(len(values)), name: pa.array(values)})


def _notes(data: Dataset, asked: Window, *, known: bool) -> list[str]:
    users, items = len(data.users.user_id), len(data.items.item_id)
    spans = ", ".join(f"{name} {_day(data, name, 0)} to {_day(data, name, 1)}" for name in SPLITS)
    found = [
        f"{len(data.exposures.user):,} exposures of {items:,} products to {users:,} customers. The days: {spans}. "
        f"Only the test days are judged here: {len(asked.rows):,} exposures of "
        f"{len(np.unique(asked.user)):,} customers and {len(asked.queries):,} lists; no model learned from them.",
    ]
    if data.meta.negatives_sampled:
        found.append(
            "The source does not record what was shown and not taken. Products drawn at random stand for it, so the "
            "figures say how well taken products are told from random ones, and probabilities are not those of a page."
        )
    if known:
        found.append("This shop is simulated, so its true probabilities are known and stand beside each figure.")
    return found


def _source(finetuned: Mapping[str, float]) -> str:
    """What the source gate said, or how it is asked."""
    if "source_gain" not in finetuned:
        return (
            "What a start from it is worth against a start from nothing takes a second training, which this night "
            "did not do (finetune.source_gate)."
        )
    gain = Gain(*(finetuned[f"source_gain{end}"] for end in ("", "_low", "_high")))
    said = "It was kept." if gain.helps else "That shows no help: the network that learned from nothing took its place."
    taken = f"{gain.value:.4f} [{gain.low:.4f}, {gain.high:.4f}]"
    return (
        f"Fine-tuning was tried from nothing too. Against that, what it started from takes {taken} of the best "
        f"constant's loss off in the validation days. {said}"
    )


def _lineage(data: Dataset, asked: Window, seed: int) -> dict[str, str]:
    code = git()
    commit = "no git commit" if code["commit"] is None else code["commit"][:12]
    return {
        "Code": commit + (" with uncommitted changes" if code["dirty"] else ""),
        "Window": f"{_day(data, 'train', 0)} to {_day(data, 'test', 1)}",
        "Test exposures": f"{len(asked.rows):,}",
        "Out-of-vocabulary rate": f"{data.meta.oov_rate:.1%}",
        "Seed of resampling": str(seed),
    }


def _day(data: Dataset, split: str, end: int) -> str:
    return str(np.datetime64(data.meta.windows[split][end] - end, "us").astype("datetime64[D]"))


def _scores(data: Dataset, asked: Window, fused: Scored) -> pa.Table:
    """event_id and fused score a task (a column a class where there are classes) of the test rows."""
    columns: dict[str, Any] = {"event_id": pa.array(data.exposures.event_id[asked.rows], pa.string())}
    for task, scores in fused.tasks.items():
        for place, name in enumerate(data.meta.classes.get(task, ())):
            columns[f"{task}_{name}"] = np.asarray(scores)[:, place]
        if task not in data.meta.classes:
            columns[task] = np.asarray(scores)
    return pa.table(columns)


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found


def _write(
    page: str, verdict: Mapping[str, Any], metrics: Mapping[str, Any], tables: Mapping[str, Rows], scores: pa.Table
) -> None:
    targets, numbers = (OUTPUT / "plots", OUTPUT / "report"), OUTPUT / "metrics.json"
    with replacing_together(*targets, files=[numbers]) as (plots, report, fresh):
        for name, rows in tables.items():
            _write_csv(plots / f"{name}.csv", rows)
        write_json(fresh, metrics)
        (report / "report.html").write_text(page, encoding="utf-8")
        pq.write_table(scores, report / "scores.parquet", compression="zstd")
        write_json(report / "verdict.json", verdict)


def _write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as handle:
        if rows:
            writer = csv.DictWriter(handle, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
