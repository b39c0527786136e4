"""The DAGs as the dag-processor sees them: drawn from dvc.yaml, quick to read, with a typed form."""

from __future__ import annotations

import copy
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networkx
import pytest
from dvc.repo import Repo
from make_airflow import ROOT, dags

from triad.cli import STAGES
from triad.retraining.nights import light

READ = f"""
import sys, time
import make_airflow
from airflow.dag_processing.dagbag import DagBag
start = time.process_time()  # of this process: a busy machine says nothing of the DAGs
bag = DagBag({str(ROOT / "dags")!r})
print(time.process_time() - start)
print(*sorted(bag.dags), *bag.import_errors)
print(*{{name.partition(".")[0] for name in sys.modules}})
"""
HEAVY = {
    "tensorflow",
    "keras",
    "mlflow",
    "great_expectations",
    "pandas",
    "numpy",
    "duckdb",
    "pyarrow",
    "sklearn",
    "dvc",
}

FOREACH = """
stages:
  split: {cmd: "mkdir -p parts && touch parts/a parts/b", outs: [parts]}
  train:
    foreach: [click, price]
    do: {cmd: "touch model-${item}", deps: [parts/a], outs: ["model-${item}"], meta: {pool: gpu, timeout_minutes: 7}}
  fuse: {cmd: touch fused, deps: [model-click, model-price, parts], outs: [fused]}
"""


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    return dags()


def orders(tasks: dict[str, Any]) -> set[tuple[str, str]]:
    """Every pair (before, after) of tasks, near or far."""
    graph = networkx.DiGraph((name, later) for name, task in tasks.items() for later in task.downstream_task_ids)
    return set(networkx.transitive_closure(graph).edges)


def orders_by_dvc(root: Path) -> set[tuple[str, str]]:
    with Repo(str(root)) as repo:
        graph = networkx.transitive_closure(repo.index.graph)
        return {(before.name.replace("@", "__"), after.name.replace("@", "__")) for after, before in graph.edges}


def test_reading_the_dags_is_quick_and_imports_no_library_of_learning(known: dict[str, Any]) -> None:
    # `known` is asked for so that the stages are already kept by the content of dvc.yaml, as at any second reading
    run = subprocess.run([sys.executable, "-c", READ], cwd=ROOT / "tests", capture_output=True, text=True, check=True)
    seconds, names, modules = run.stdout.strip().splitlines()[-3:]
    assert names.split() == ["manual_retraining", "nightly_retraining", "prune_workspaces", "rollback_champion"]
    assert not HEAVY & set(modules.split())
    assert float(seconds) < 2


@pytest.mark.parametrize("dag", ["nightly_retraining", "manual_retraining"])
def test_a_task_a_stage_in_the_order_dvc_knows(known: dict[str, Any], dag: str) -> None:
    tasks = known[dag].task_dict
    assert set(tasks) == {"open", *STAGES, "close", "promoted", "delivered"}
    drawn = {pair for pair in orders(tasks) if set(pair) <= set(STAGES)}
    assert drawn == orders_by_dvc(ROOT)
    assert {("open", stage) for stage in STAGES} | {(stage, "close") for stage in STAGES} <= orders(tasks)
    assert tasks["validate"].doc_md.startswith("`triad validate`")


@pytest.mark.parametrize("dag", ["nightly_retraining", "manual_retraining"])
def test_a_light_night_skips_what_it_does_not_need_and_keeps_the_order_of_the_rest(
    known: dict[str, Any], dag: str, tmp_path: Path
) -> None:
    tasks = known[dag].task_dict
    full = set(tasks["open"].full)
    assert full == {"features", "pretrain", "finetune", "similarity", "profile", "fuse", "evaluate"}
    assert {tasks[stage].trigger_rule.value for stage in STAGES} == {"none_failed"}
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=tmp_path, check=True)
    (tmp_path / "dvc.yaml").write_text(light((ROOT / "dvc.yaml").read_text()))
    arrows = {(name, later) for name, task in tasks.items() for later in task.downstream_task_ids}
    graph = networkx.DiGraph(arrow for arrow in arrows if not full & set(arrow))
    drawn = set(networkx.transitive_closure(graph).edges)
    assert {pair for pair in drawn if set(pair) <= set(STAGES)} == orders_by_dvc(tmp_path)
    assert set(STAGES) - full <= networkx.descendants(graph, "open")


def test_templated_stages_are_drawn_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=tmp_path, check=True)
    (tmp_path / "dvc.yaml").write_text(FOREACH)
    (tmp_path / "params.yaml").write_text("tasks: {click: {}, price: {}}")
    monkeypatch.setenv("TRIAD_CHECKOUT", str(tmp_path))
    tasks = dags()["nightly_retraining"].task_dict
    assert set(tasks) == {"open", "split", "train__click", "train__price", "fuse", "close", "promoted", "delivered"}
    assert {p for p in orders(tasks) if not set(p) & {"open", "close", "promoted", "delivered"}} == orders_by_dvc(
        tmp_path
    )
    assert tasks["split"].downstream_task_ids == {"train__click", "train__price"}
    assert (tasks["train__click"].pool, tasks["train__click"].execution_timeout) == ("gpu", timedelta(minutes=7))
    assert tasks["train__click"].stage == "train@click"


def test_the_night_is_scheduled_and_never_twice_at_once(known: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    night = known["nightly_retraining"]
    assert (night.catchup, night.max_active_runs) == (False, 1)
    assert night.schedule.expression == "0 2 * * *"
    assert night.deadline and night.deadline[0].interval == timedelta(minutes=360)
    assert all(task.on_failure_callback and task.execution_timeout for task in night.tasks)
    monkeypatch.setenv("TRIAD_NIGHTLY_CRON", "30 3 * * 1")
    monkeypatch.setenv("TRIAD_DEADLINE_MINUTES", "0")
    night = dags()["nightly_retraining"]
    assert (night.schedule.expression, night.deadline) == ("30 3 * * 1", None)
    monkeypatch.setenv("TRIAD_NIGHTLY_CRON", "never")
    assert dags()["nightly_retraining"].schedule is None


def test_other_dags_can_be_scheduled_on_what_a_night_makes(known: dict[str, Any]) -> None:
    made = {
        name: [asset.name for asset in task.outlets] for name, task in known["nightly_retraining"].task_dict.items()
    }
    assert {name: assets for name, assets in made.items() if assets} == {
        "ingest": ["triad_raw_data"],
        "features": ["triad_features"],
        "promoted": ["triad_model"],
        "delivered": ["triad_recommendations"],
    }


def test_the_nights_day_is_the_end_of_its_interval(known: dict[str, Any]) -> None:
    arguments = known["nightly_retraining"].task_dict["open"].arguments
    run = SimpleNamespace(conf={}, run_after=datetime(2026, 3, 9))
    assert arguments({"dag_run": run, "data_interval_end": datetime(2026, 3, 2, 2)}) == ["--as-of", "2026-03-02"]
    assert arguments({"dag_run": run, "data_interval_end": None}) == ["--as-of", "2026-03-09"]


def test_what_the_form_takes_is_typed(known: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    form = copy.deepcopy(known["manual_retraining"].params)  # resolving keeps the value
    assert {name: form.get_param(name).schema["type"] for name in form} == {
        "as_of": ["null", "string"],
        "config": ["null", "string"],
        "night": ["null", "string"],
        "size": ["null", "string"],
        "tasks": ["null", "array"],
        "init": ["null", "string"],
        "overrides": ["null", "array"],
        "forced": ["null", "array"],
        "dry_run": ["null", "boolean"],
    }
    good = {"as_of": "2026-03-01", "config": "configs/online_retail.yaml", "size": "tiny", "tasks": ["click"]}
    good |= {"night": "light"}
    good |= {"init": "scratch", "overrides": ["finetune.max_epochs=3"], "forced": ["fuse"], "dry_run": True}
    bad = {"as_of": "yesterday", "config": "other.yaml", "size": "huge", "tasks": ["clicks"], "init": "nothing"}
    bad |= {"night": "dark"}
    bad |= {"overrides": ["finetune"], "forced": ["fus"], "dry_run": "yes"}
    for name, value in good.items():
        assert form.get_param(name).resolve(value) == value
    for name, value in bad.items():
        with pytest.raises(ParamValidationError):
            form.get_param(name).resolve(value)


def test_what_was_entered_becomes_arguments(known: dict[str, Any]) -> None:
    arguments = known["manual_retraining"].task_dict["open"].arguments
    dag = known["manual_retraining"]
    entered = {name: dag.params[name] for name in dag.params}
    run = SimpleNamespace(conf={}, run_after=datetime(2026, 3, 9))
    assert arguments({"params": entered, "dag": dag, "dag_run": run}) == ["--as-of", "2026-03-09"]
    entered |= {"as_of": date(2026, 3, 1), "size": "tiny", "tasks": ["click", "next"], "init": "scratch"}
    entered |= {"config": "configs/x.yaml", "overrides": ["fuse.folds=2"], "night": "light"}
    assert arguments({"params": entered, "dag": dag, "dag_run": run}) == [
        *(
            "--as-of",
            "2026-03-01",
            "--config",
            "configs/x.yaml",
            "--night",
            "light",
            "--task",
            "click",
            "--task",
            "next",
        ),
        *("--set", "ingest.simulated.size=tiny", "--set", "finetune.init=scratch", "--set", "fuse.folds=2"),
    ]


@pytest.mark.parametrize(
    ("dag", "key", "mend"), [("manual_retraining", "as_off", "'as_of'"), ("nightly_retraining", "as_of", "none")]
)
def test_an_unknown_key_is_refused(known: dict[str, Any], dag: str, key: str, mend: str) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    run = SimpleNamespace(conf={key: "2026-03-01"}, run_after=datetime(2026, 3, 9))
    params = {name: known[dag].params[name] for name in known[dag].params} | run.conf  # as Airflow merges them
    with pytest.raises(AirflowFailException, match=f"'{key}'.*{mend}"):
        known[dag].task_dict["open"].arguments({"params": params, "dag": known[dag], "dag_run": run})
