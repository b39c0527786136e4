"""The stage and its parts: windows, slices, the truth, the champion, the files it writes."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
from make_dataset import make_dataset
from make_evaluation import (
    PEEKING,
    Peeking,
    Served,
    make_fused,
    make_params,
    write_artifacts,
    write_health,
    write_oracle,
)

from triad.artifacts import TABLES, read_json, write_json
from triad.config.members import RECIPES
from triad.errors import TriadError
from triad.evaluation import assess as assessing
from triad.evaluation import scoring, window
from triad.evaluation.oracle import Shown, oracle
from triad.evaluation.summary import summarise
from triad.features.dataset import SPLITS
from triad.fusion import importance
from triad.fusion.candidates import Queries, lists_of
from triad.ranking import target_ranks
from triad.stages import evaluate as stage
from triad.statistics.bootstrap import value
from triad.tasks.base import EVERY_SLICE
from triad.texts import Texts

PLOTS = ("members", "slices", "calibration", "roc", "ranking", "importance")


@pytest.fixture(scope="module")
def data():
    return make_dataset(users=150, items=40, seed=0)


@pytest.fixture(scope="module")
def asked(data):
    return window.window(data, "test", 20_000, seed=1)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder to run the stage in, with no champion yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(RECIPES, "_objects", {**RECIPES, "peeking": PEEKING})
    monkeypatch.setattr(stage, "load_champion", lambda model, alias: None)
    return tmp_path


def champion(data, noise: float, version: str = "3"):
    return Served(make_fused(data, noise), data, version)


def rows_of(name: str) -> list[dict[str, str]]:
    with open(f"artifacts/evaluate/plots/{name}.csv", encoding="utf-8") as handle:  # noqa: PTH123
        return list(csv.DictReader(handle))


def test_the_window_holds_the_splits_rows_and_each_querys_targets(data, asked) -> None:
    assert np.array_equal(asked.rows, data.rows("test"))
    queries = data.rows("test", "lists")
    assert np.array_equal(asked.queries, queries)
    for place in (0, 3, len(queries) - 1):
        first, last = data.lists.offsets[queries[place]], data.lists.offsets[queries[place] + 1]
        assert set(asked.target[asked.query == place]) == set(data.lists.target[first:last])
    # a user is one cluster, as exposures and as queries
    user = {int(u): int(c) for u, c in zip(data.exposures.user[asked.rows], asked.user, strict=True)}
    assert all(user.get(int(data.lists.user[q]), c) == c for q, c in zip(queries, asked.query_user, strict=True))


def test_many_queries_are_sampled_the_same_way_each_time(data) -> None:
    few = window.window(data, "test", 25, seed=1)
    assert len(few.queries) == 25 and np.array_equal(few.queries, window.window(data, "test", 25, seed=1).queries)
    assert not np.array_equal(few.queries, window.window(data, "test", 25, seed=2).queries)
    assert few.query.max() == 24 and np.all(np.diff(few.query) >= 0)


def test_targets_keep_their_rank_however_the_queries_are_cut(data, asked, monkeypatch) -> None:
    whole = scoring.score_members(make_fused(data), data, asked)["popularity"].ranks
    monkeypatch.setattr(window, "_CELLS", 40 * 7)  # a few queries at a time
    assert np.array_equal(scoring.score_members(make_fused(data), data, asked)["popularity"].ranks, whole)


def test_slices_part_users_items_categories_and_surfaces(data, asked) -> None:
    category = np.array([f"c{i % 4}" for i in range(40)])
    surface = np.where(np.arange(len(asked.rows)) % 2, "home", "search")
    market = np.array(["DE", "FR", "", "PL"])[np.arange(len(data.users.user_id)) % 4]
    market[0] = "LU"
    parts = window.slices(data, asked, category, surface, market, cold_market=0.1, largest=2)
    names = [(part.group, part.name) for part in parts]
    assert ("users", "new users") in names and ("items", "cold items") in names and ("surface", "home") in names
    assert {part.group for part in parts} == set(EVERY_SLICE)
    for group in EVERY_SLICE:
        members = [part for part in parts if part.group == group and part.name != "cold markets"]
        assert np.array_equal(np.sum([part.rows for part in members], axis=0), np.ones(len(asked.rows)))
        if group != "surface":
            assert np.array_equal(np.sum([part.queries for part in members], axis=0), np.ones(len(asked.queries)))
    cold = next(part for part in parts if part.name == "cold markets")
    assert np.array_equal(cold.rows, data.exposures.user[asked.rows] == 0)
    assert np.array_equal(cold.queries, data.lists.user[asked.queries] == 0) and cold.queries.any()
    assert names.count(("category", "all others")) == 1 and sum(group == "category" for group, _ in names) == 3
    begin = data.meta.windows["test"][0]
    for place in (0, 7):
        user = data.lists.user[asked.queries[place]]
        mine = slice(data.streams.offsets[user], data.streams.offsets[user + 1])
        assert asked.first_step[place] == np.sum(data.streams.time[mine] < begin)
    assert (
        len(window.slices(data, asked, category, np.full(len(asked.rows), "home"))) == 4 + 4
    )  # one surface says nothing


def test_the_fused_answers_are_those_of_the_fusion_itself(data, asked) -> None:
    fused = make_fused(data)
    scored = scoring.score_members(fused, data, asked)
    assert set(scored) == {"fused", "peeking", "popularity"}
    for task, scores in fused.predict(data, asked.rows).items():
        assert np.array_equal(scored["fused"].tasks[task], scores)
    lists = fused.ranker(data).rank(lists_of(data, asked.queries))
    assert np.array_equal(scored["fused"].ranks, target_ranks(lists, asked.query, asked.target))


def test_the_naive_answers_need_no_member(data, asked) -> None:
    alone = replace(make_fused(data), members={"peeking": Peeking(1.0)})
    naive = scoring.score_naive(alone, data, make_params().tasks, asked)
    clicked = np.asarray(data.labels("click"))[data.rows("train")]
    assert naive.tasks["click"] == pytest.approx(np.full(len(asked.rows), np.nanmean(clicked)))
    assert not naive.tasks["price"].any()  # no change
    assert naive.ranks is not None and naive.ranks.min() >= 1


def test_thresholds_come_from_the_fusion_window_only(data) -> None:
    fused, tasks = make_fused(data), make_params().tasks
    found = scoring.thresholds(fused, data, tasks)
    assert set(found) == {"click", "conversion"} and 0 < found["click"] < 1
    labels = np.array(data.exposures.labels)
    labels[data.rows("test")] = 1 - labels[data.rows("test")]
    assert scoring.thresholds(fused, data.replaced(exposures=replace(data.exposures, labels=labels)), tasks) == found


def test_the_champion_is_asked_in_its_own_rows_and_answers_in_ours(data, asked) -> None:
    turned = np.arange(40)[::-1]
    fields = {name: getattr(data.items, name)[turned] for name in data.items.__dataclass_fields__}
    shuffled = np.random.default_rng(0).permutation(len(data.exposures.user))
    exposures = {name: v[shuffled] for name, v in vars(data.exposures).items()}
    exposures["item"] = 39 - exposures["item"]
    theirs = data.replaced(
        items=replace(data.items, **fields),
        exposures=replace(data.exposures, **exposures),
        streams=replace(data.streams, item=39 - np.asarray(data.streams.item)),
    )
    fused = make_fused(data, weight=0.0)  # popularity alone: it goes by ids
    ours, mirrored = (scoring.score_champion(Served(fused, view), TABLES, data, asked) for view in (data, theirs))
    assert np.array_equal(ours.ranks, mirrored.ranks)
    assert all(np.array_equal(ours.tasks[task], mirrored.tasks[task]) for task in ours.tasks)


def test_a_champion_with_other_classes_is_read_by_their_names(data, asked) -> None:
    meta = replace(data.meta, classes={"profile": ("rare", "bargain", "unheard")})
    scored = scoring.score_champion(Served(make_fused(data), replace(data, meta=meta)), TABLES, data, asked)
    said = make_fused(data).predict(data, asked.rows)["profile"]
    assert np.array_equal(scored.tasks["profile"][:, 0], said[:, 1])  # bargain
    assert not scored.tasks["profile"][:, 1].any()  # loyal: it knows none
    assert np.array_equal(scored.tasks["profile"][:, 2], said[:, 0])  # rare


def test_a_champion_that_lacks_our_exposures_is_refused_with_their_number(data, asked) -> None:
    kept = replace(data.exposures, event_id=Texts.of(f"{name}x" for name in data.exposures.event_id))
    with pytest.raises(TriadError, match=f"lacks {len(asked.rows):,} of {len(asked.rows):,} exposures"):
        scoring.score_champion(Served(make_fused(data), data.replaced(exposures=kept)), TABLES, data, asked)


def test_the_truth_is_lined_up_with_the_rows(data, asked, tmp_path) -> None:
    write_oracle(tmp_path, data)
    truth = oracle(tmp_path, data, make_params().tasks, asked)
    clicked = np.asarray(data.labels("click"), float)[asked.rows]
    assert truth.tasks["click"] == pytest.approx(0.1 + 0.8 * clicked)
    told = np.isfinite(data.labels("profile"))[asked.rows]
    named = truth.tasks["profile"][told].argmax(axis=1)
    assert np.array_equal(named, np.asarray(data.labels("profile"))[asked.rows][told])
    moved = np.asarray(data.labels("price"), float)[asked.rows]
    assert truth.tasks["price"][np.isfinite(moved)] == pytest.approx(moved[np.isfinite(moved)])
    assert np.mean(truth.ranks <= 10) > 0.8  # all are among the five that were shown, with others of the hour


def test_the_best_possible_lists_know_what_was_shown_in_the_hour_before_and_how_likely_it_was_taken() -> None:
    at = np.array([10, 20, 90, 30], np.int64) * 60_000_000
    shown = Shown(np.array([0, 0, 0, 2]), at, np.array([5, 6, 7, 8]), np.array([0.1, 0.2, 0.3, 0.4]))
    queries = Queries(np.array([0, 0, 1, 2]), np.zeros(4, int), np.array([20, 81, 20, 30], np.int64) * 60_000_000)
    query, item, chance = shown.before(queries)
    assert (query.tolist(), item.tolist(), chance.tolist()) == ([0, 0, 3], [5, 6, 8], [0.1, 0.2, 0.4])


def test_a_shop_that_knows_no_truth_has_no_oracle(data, asked, tmp_path) -> None:
    assert oracle(tmp_path, data, make_params().tasks, asked) is None
    write_oracle(tmp_path, data, known=False)
    assert oracle(tmp_path, data, make_params().tasks, asked) is None


def test_a_task_whose_truth_has_holes_has_no_oracle(data, asked, tmp_path) -> None:
    write_oracle(tmp_path, data)
    table = pq.read_table(tmp_path / "exposures.parquet")
    pq.write_table(table.slice(0, table.num_rows // 2).drop(["p_purchase"]), tmp_path / "exposures.parquet")
    truth = oracle(tmp_path, data, make_params().tasks, asked)
    assert set(truth.tasks) == {"profile", "price"}


def test_a_truth_told_twice_is_refused(data, asked, tmp_path) -> None:
    write_oracle(tmp_path, data)
    table = pq.read_table(tmp_path / "users.parquet")
    pq.write_table(table.take([*range(table.num_rows), 0]), tmp_path / "users.parquet")
    with pytest.raises(TriadError, match="is not unique"):
        oracle(tmp_path, data, make_params().tasks, asked)


def test_price_moves_are_resampled_by_item_and_sliced_by_items_only(data, asked) -> None:
    params = make_params()
    models = scoring.score_members(make_fused(data), data, asked)
    models["naive"] = scoring.score_naive(make_fused(data), data, params.tasks, asked)
    parts = window.slices(data, asked, np.array([f"c{i % 4}" for i in range(40)]))
    results = assessing.assess(
        data, params.tasks, asked, models, parts=parts, thresholds={"click": 0.5}, params=params.evaluate
    )
    known = np.isfinite(data.labels("price"))[asked.rows]
    assert results["price"].clusters == len(np.unique(asked.item[known])) < 41
    assert {part.group for part in results["price"].slices} == {"items", "category"}
    assert {part.group for part in results["profile"].slices} == {"users"}
    assert value(results["price"].models["naive"]["relative_gain"]) == 0
    assert "accuracy" in results["click"].models["fused"] and "accuracy" not in results["conversion"].models["fused"]
    empty = [part for result in results.values() for part in result.slices if not part.primary]
    assert empty and all(part.rows >= 0 for part in empty)  # named, not hidden


def test_a_refitted_model_that_answers_otherwise_keeps_a_better_twin_from_serving(shop) -> None:
    write_artifacts(shop, noise=0.7)
    write_health(shop / "artifacts", ("click: the model refitted on all days does not answer as the evaluated one",))
    stage.evaluate(make_params())
    verdict = read_json(shop / "artifacts/evaluate/report/verdict.json")
    assert verdict["verdict"] == "INCONCLUSIVE" and "refitted on all days" in verdict["reasons"][0]
    assert "refitted on all days" in (shop / "artifacts/evaluate/report/report.html").read_text()


def test_the_stage_writes_report_metrics_plots_and_the_scores_of_the_fusion(shop) -> None:
    data = write_artifacts(shop, noise=0.7)
    stage.evaluate(make_params())
    metrics, verdict = (read_json(shop / "artifacts/evaluate" / p) for p in ("metrics.json", "report/verdict.json"))
    assert verdict["order"] == list(make_params().tasks) and set(metrics) == set(verdict["order"])
    assert verdict["champion"] is None and verdict["verdict"] == "PASS", verdict["reasons"]
    for task, metric in (("click", "auc"), ("profile", "macro_f1"), ("price", "relative_gain"), ("next", "ndcg")):
        found = metrics[task][metric]
        assert found["lo"] <= found["value"] <= found["hi"]
        assert metrics[task]["naive"][metric] < found["value"]
        assert found["value"] == pytest.approx(
            float(
                next(
                    r["value"]
                    for r in rows_of("members")
                    if (r["task"], r["metric"], r["model"]) == (task, metric, "fused")
                )
            )
        )
    assert 0 < metrics["click"]["oracle_share"]["value"] <= 1
    scores = pq.read_table(shop / "artifacts/evaluate/report/scores.parquet")
    rows = data.rows("test")
    assert scores["event_id"].to_pylist() == np.asarray(data.exposures.event_id)[rows].tolist()
    fused = make_fused(data, 0.7).predict(data, rows)
    assert np.array_equal(scores["conversion"].to_numpy(), fused["conversion"])
    assert np.array_equal(scores["profile_rare"].to_numpy(), fused["profile"][:, 2])
    assert {name: bool(rows_of(name)) for name in PLOTS} == dict.fromkeys(PLOTS, True)
    assert {row["task"] for row in rows_of("importance")} == {"click", "conversion"}
    assert "What the scores rest on" in (shop / "artifacts/evaluate/report/report.html").read_text()
    assert {row["slice"] for row in rows_of("slices")} >= {"new users", "cold items", "top 1", "home", "DE", "FR"}
    of_german = np.asarray(data.exposures.user)[rows] % 3 > 0  # the table of users is in another order
    found = next(row for row in rows_of("slices") if (row["task"], row["slice"]) == ("click", "DE"))
    assert int(found["rows"]) == np.sum(of_german & np.isfinite(data.labels("click")[rows]))


def test_scores_rest_on_what_moves_them_and_go_with_the_price_as_they_do() -> None:
    """A model that doubles its score with the price's log, and reads nothing else but the item a little."""
    data = make_dataset()
    names = ("price", "user_item_clicks", "hours_since_last")
    data = data.replaced(
        meta=replace(data.meta, context=names),
        exposures=replace(data.exposures, context=np.random.default_rng(1).random((len(data.exposures.user), 3))),
    )

    class Read:
        kinds: ClassVar[dict[str, str]] = {"click": "binary"}

        def of_unit(self, data: Any, unit: str) -> list[str]:
            return ["click"]

        def predict(self, data: Any, rows: Any, tasks: Any) -> dict[str, Any]:
            held = data.exposures
            return {"click": (0.1 + 0.2 * held.context[:, 0] + 0.001 * (np.asarray(held.item) % 2))[rows]}

    told = importance.importance(Read(), data, np.arange(100))["click"]  # type: ignore[arg-type]
    assert list(told["rests_on"])[:2] == ["its price and promotion", importance.ITEM]
    assert told["rests_on"]["how it fits the customer"] == told["rests_on"][importance.HISTORY] == 0
    by_price = list(told["by_price"].values())
    assert np.diff(by_price) == pytest.approx(0.2 * np.diff(np.log(importance.PRICES)))
    assert len(set(told["by_time_away"].values())) == 1 and len(told["by_time_away"]) == 4
    assert {row["figure"] for row in importance.rows_of({"click": told})} == {"rests_on", "by_price", "by_time_away"}


@pytest.mark.parametrize(("low", "said"), [(0.0012, "It was kept."), (-0.0012, "learned from nothing took its place")])
def test_the_report_says_what_the_source_gate_said(shop, low: float, said: str) -> None:
    write_artifacts(shop)
    gate = {"source_gain": 0.0091, "source_gain_low": low, "source_gain_high": 0.0176}
    write_json(shop / "artifacts/finetune/metrics.json", {"best_epoch": 3.0, **gate})
    stage.evaluate(make_params())
    page = (shop / "artifacts/evaluate/report/report.html").read_text()
    assert f"takes 0.0091 [{low:.4f}, 0.0176] of the best" in page and said in page


def test_two_runs_write_the_same_bytes(shop) -> None:
    write_artifacts(shop)
    seen = []
    for _ in range(2):
        stage.evaluate(make_params())
        files = sorted(p for p in (shop / "artifacts/evaluate").rglob("*") if p.is_file())
        seen.append({p.name: p.read_bytes() for p in files})
    assert seen[0] == seen[1] and len(seen[0]) == 4 + len(PLOTS)


@pytest.mark.parametrize(("theirs", "outcome"), [(1.5, "INCONCLUSIVE"), (6.0, "PASS"), (0.3, "FAIL")])
def test_the_champion_decides(shop, monkeypatch, theirs, outcome) -> None:
    data = write_artifacts(shop, known=False)
    monkeypatch.setattr(stage, "load_champion", lambda model, alias: champion(data, theirs))
    stage.evaluate(make_params())
    verdict = read_json(shop / "artifacts/evaluate/report/verdict.json")
    assert verdict["verdict"] == outcome and verdict["champion"] == "3", verdict["reasons"]
    assert verdict["tasks"]["click"]["against"] == "champion"
    text = summarise(shop / "artifacts/evaluate")
    assert f"{outcome}: " in text and text.endswith("report.html") and "Macro F1" in text
    until = read_json(shop / "artifacts/refit/health.json")["learned_until"]
    assert f"learned up to {until['refitted']}; what was judged, up to {until['evaluated']}" in text


def test_a_task_the_champion_lacks_is_named_and_the_others_are_compared(shop, monkeypatch) -> None:
    data = write_artifacts(shop)
    served = champion(data, 6.0)
    for part in ("weights", "calibrations"):
        getattr(served.fused, part).pop("conversion")
    monkeypatch.setattr(stage, "load_champion", lambda model, alias: served)
    stage.evaluate(make_params())
    verdict = read_json(shop / "artifacts/evaluate/report/verdict.json")
    assert verdict["notes"] == ["The champion does not do conversion: nothing to compare."]
    assert verdict["verdict"] == "PASS" and verdict["tasks"]["conversion"]["difference"] is None


def test_a_window_with_one_class_is_reported_as_such(shop) -> None:
    data = make_dataset(users=150, items=40, seed=0)
    labels = np.array(data.exposures.labels)
    labels[data.rows("test"), 1] = 0
    write_artifacts(shop, data.replaced(exposures=replace(data.exposures, labels=labels)))
    stage.evaluate(make_params())
    metrics = read_json(shop / "artifacts/evaluate/metrics.json")
    assert "auc" not in metrics["conversion"] and "log_loss" in metrics["conversion"]
    verdict = read_json(shop / "artifacts/evaluate/report/verdict.json")
    assert verdict["verdict"] == "INCONCLUSIVE"
    assert "conversion: cannot be measured on this test window" in verdict["reasons"]
    assert "too few cases" in summarise(shop / "artifacts/evaluate")
    assert "too few cases" in (shop / "artifacts/evaluate/report/report.html").read_text()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bad_input_leaves_the_last_evaluation_as_it_was(shop) -> None:
    data = write_artifacts(shop)
    stage.evaluate(make_params())
    before = {p: p.read_bytes() for p in (shop / "artifacts/evaluate").rglob("*") if p.is_file()}
    split = np.where(np.asarray(data.exposures.split) == SPLITS.index("test"), -1, data.exposures.split)
    write_artifacts(shop, data.replaced(exposures=replace(data.exposures, split=split)))
    with pytest.raises(TriadError, match="no exposure lies in it"):
        stage.evaluate(make_params())
    write_artifacts(shop, data, noise=9e307)  # overflows
    with pytest.raises(TriadError, match="no finite numbers"):
        stage.evaluate(make_params())
    assert before == {p: p.read_bytes() for p in (shop / "artifacts/evaluate").rglob("*") if p.is_file()}


def test_a_summary_of_nothing_says_what_to_run(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TriadError, match="dvc repro evaluate"):
        summarise(Path("artifacts/evaluate"))
