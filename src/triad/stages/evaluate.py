"""`triad evaluate`: compare the fusion, its members, the champion and the truth on the test days; report, verdict."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from triad.artifacts import ARTIFACTS, ORACLE, TABLES, need, read_json, replacing_together, write_json
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.evaluation import figures, gate, intervals, retrieval, texts
from triad.evaluation.assess import CHAMPION, FUSED, NAIVE, assess
from triad.evaluation.assess import ORACLE as TRUTH
from triad.evaluation.figures import Rows
from triad.evaluation.notes import SETTLED, lineage, notes, source_gate, trained
from triad.evaluation.oracle import oracle
from triad.evaluation.report import Evidence, render
from triad.evaluation.scoring import examples, score_champion, score_members, score_naive, thresholds
from triad.evaluation.shop import read_shop
from triad.evaluation.summary import summary
from triad.evaluation.window import Scored, Window, slices, window
from triad.evaluation.written import score_table, verdict_json, write_csv
from triad.examples.dataset import Dataset, load
from triad.fusion import importance
from triad.fusion.fused import Fused
from triad.progress import Progress
from triad.tracking.lineage import git
from triad.tracking.place import experiment
from triad.tracking.registry import load_champion

if TYPE_CHECKING:
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
    test = window(data, "test", settings.max_queries, settings.seed)
    if not len(test.rows):
        raise TriadError("no exposure lies in it", where="split test", mend="give features.split_days.test more days")

    models, cuts = _score(fused, data, tasks, test)
    served = load_champion(params.publish.model, params.publish.alias)
    version = None if served is None else str(served.version)
    if served is not None:
        models[CHAMPION] = score_champion(served, TABLES, data, test)

    refitted = read_json(need(ARTIFACTS / "refit" / "health.json"))
    shop = read_shop(TABLES, data, test, settings.market)
    parts = slices(data, test, shop.category, shop.surface, shop.market, cold_market=settings.cold_market)
    results = assess(data, tasks, test, models, parts=parts, thresholds=cuts, params=settings)
    judged = gate.judge(
        figures.comparisons(results, champion=version is not None),
        settings,
        champion=version is not None,
        unfit=refitted["doubts"],
    )
    best = {task: record["best"] for task, record in fused.record.items()}
    metrics = figures.metrics_json(results, settings, best)
    searched = retrieval.retrieval(fused, data, test, models[FUSED].tasks, settings)
    covered = intervals.intervals(fused, data, test, models[FUSED].tasks)
    worded = texts.texts(fused, data, settings)
    rests_on = importance.importance(fused, data, test.rows)
    verdict = verdict_json(judged, results, metrics, champion=version, experiment=experiment(), k=settings.k)
    tables = {
        "members": figures.models_rows(results, settings),
        "slices": figures.slices_rows(results, settings),
        **figures.curve_rows(data, results, test, models[FUSED]),
        "ranking": figures.ranking_rows(results, test, models),
        "importance": importance.rows_of(rests_on),
    }
    finetuned = _read("finetune/metrics.json")
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
            validation=_read("validate/report/result.json"),
            lineage=lineage(data, test, git(), settings.seed) | trained(finetuned),
            examples=examples(
                fused, data, test, shop.titles, people=settings.examples, k=settings.k, seed=settings.seed
            ),
            pretrain=_read("pretrain/metrics.json"),
            source=source_gate(finetuned),
            refitted=refitted,
            importance=rests_on,
            notes=[
                *notes(data, test, is_simulated=TRUTH in models),
                *retrieval.sentences(searched),
                *intervals.sentences(covered),
                *texts.sentences(worded),
            ],
        )
    )
    numbers = metrics | ({} if searched is None else {"retrieval": searched})
    numbers |= {name: each for name, each in (("intervals", covered), ("texts", worded)) if each}
    numbers |= {"training": settled} if (settled := {k: finetuned[k] for k in SETTLED if k in finetuned}) else {}
    _write(page, verdict, numbers, tables, score_table(data, test, models[FUSED]))
    log.info("\n%s", summary(metrics, verdict))
    size = (len(test.rows), len(test.queries), len(models), time.monotonic() - started, OUTPUT)
    log.info("%s exposures, %s queries, %d models · %.1f s · %s", *size)


def _score(
    fused: Fused, data: Dataset, tasks: Mapping[str, TaskParams], test: Window
) -> tuple[dict[str, Scored], dict[str, float]]:
    """Every model's scores but the champion's, and the scores from which binary tasks say yes."""
    with Progress("score", 4, "parts") as progress:
        models = score_members(fused, data, test)
        progress.advance(1)
        models[NAIVE] = score_naive(fused, data, tasks, test)
        progress.advance(1)
        truth = oracle(ORACLE, data, tasks, test)
        progress.advance(1)
        cuts = thresholds(fused, data, tasks)
        progress.advance(1)
    return models | ({} if truth is None else {TRUTH: truth}), cuts


def _read(name: str) -> dict[str, Any]:
    """An earlier stage's numbers; empty where it made none."""
    path: Path = ARTIFACTS / name
    numbers: dict[str, Any] = read_json(path) if path.is_file() else {}
    return numbers


def _write(
    page: str, verdict: Mapping[str, Any], metrics: Mapping[str, Any], tables: Mapping[str, Rows], scores: pa.Table
) -> None:
    targets, numbers = (OUTPUT / "plots", OUTPUT / "report"), OUTPUT / "metrics.json"
    with replacing_together(*targets, files=[numbers]) as (plots, report, fresh):
        for name, rows in tables.items():
            write_csv(plots / f"{name}.csv", rows)
        write_json(fresh, metrics)
        (report / "report.html").write_text(page, encoding="utf-8")
        pq.write_table(scores, report / "scores.parquet", compression="zstd")
        write_json(report / "verdict.json", verdict)
