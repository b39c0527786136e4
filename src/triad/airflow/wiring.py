"""A retraining run as Airflow tasks: open, one task per stage of dvc.yaml, close, and the result of the promotion."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from triad.airflow import assets, notify, settings
from triad.airflow.operators import CLOSE, OPEN, OnlyIf, OpenWorkspace, RunStage, Triad, workspace_of
from triad.pipeline import only_full
from triad.retraining import graph
from triad.retraining.graph import Stage

if TYPE_CHECKING:
    from airflow.sdk import Context

DEFAULTS: dict[str, Any] = {
    "owner": "triad",
    "retries": 2,
    "retry_delay": settings.retry_delay(),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=30),
    "execution_timeout": timedelta(minutes=30),
    "on_failure_callback": notify.failed,
}


def stages() -> dict[str, Stage]:
    """The stages of the deployed checkout's dvc.yaml, by name."""
    return {stage.name: stage for stage in graph.stages(settings.checkout())}


def draw(arguments: Callable[[Context], Sequence[str]]) -> None:
    """Draw the tasks into the present DAG. `arguments` gives those of `triad retraining open`."""
    notify.notifier()  # a wrong one shows now, and not in the night it is needed
    known = stages()
    full = {name for name, stage in known.items() if only_full(stage.meta)}
    opened = OpenWorkspace(
        task_id=OPEN,
        arguments=arguments,
        full=[task_id(name) for name in known if name in full],
        doc_md="Makes the run's own checkout, with its params. Says whether the night is full or light.",
    )
    closed = Triad(
        task_id=CLOSE,
        arguments=lambda context: ["retraining", "close", "--workspace", workspace_of(context)],
        doc_md="Delivers the recommendations, pushes the artifacts, keeps the night on a branch.",
    )
    tasks = {name: _task(stage) for name, stage in known.items()}
    for name, task in tasks.items():
        # in a light night an arrow from a skipped task holds nothing back, so that night's own are drawn too
        needed = {**dict.fromkeys(nearest(name, known)), **dict.fromkeys(nearest(name, light(known)))}
        task.set_upstream([tasks[each] for each in needed] or opened)
    closed.set_upstream([task for task in tasks.values() if not task.downstream_task_ids])
    promoted = OnlyIf(
        task_id="promoted",
        outlets=[assets.MODEL],
        on_skipped_callback=notify.not_promoted,
        doc_md="Green: a new champion serves. Skipped: the champion stays, and the log says why.",
    )
    delivered = OnlyIf(
        task_id="delivered",
        outlets=[assets.RECOMMENDATIONS],
        doc_md="Green: the lists lie in the delivery folder. Skipped: they were held back, and the log says why.",
    )
    closed.set_downstream([promoted, delivered])


def light(known: Mapping[str, Stage]) -> dict[str, Stage]:
    """The stages of a light night, and what each needs of the others."""
    kept = {name: stage for name, stage in known.items() if not only_full(stage.meta)}
    return {
        name: replace(stage, after=tuple(each for each in stage.after if each in kept)) for name, stage in kept.items()
    }


def nearest(name: str, known: Mapping[str, Stage]) -> list[str]:
    """What stage `name` needs and nothing else that it needs needs: the same order, drawn with the fewest arrows."""
    after = known[name].after if name in known else ()
    further = {beyond for needed in after for beyond in _all_needs(needed, known)}
    return [needed for needed in after if needed not in further]


def _all_needs(name: str, known: Mapping[str, Stage]) -> set[str]:
    return {stage for needed in known[name].after for stage in {needed, *_all_needs(needed, known)}}


def task_id(stage: str) -> str:
    """A stage's name in the letters that Airflow allows (foreach gives names such as `train@click`)."""
    return stage.replace("@", "__")


def _task(stage: Stage) -> BaseOperator:
    base = stage.name.partition("@")[0]
    options: dict[str, Any] = {name: stage.meta[name] for name in ("pool", "retries") if name in stage.meta}
    if "pool" in stage.meta:
        options["queue"] = stage.meta[
            "pool"
        ]  # of a Celery worker that has what the pool counts; elsewhere it says nothing
    if "timeout_minutes" in stage.meta:
        options["execution_timeout"] = timedelta(minutes=stage.meta["timeout_minutes"])
    return RunStage(
        task_id=task_id(stage.name),
        stage=stage.name,
        trigger_rule="none_failed",  # what a light night skips holds nothing back
        outlets=[assets.OF_STAGE[base]] if base in assets.OF_STAGE else [],
        doc_md=_docstring(base) or stage.description or None,
        **options,
    )


def _docstring(stage: str) -> str | None:
    """Of the stage's module, read without importing it."""
    module = settings.checkout() / "src" / "triad" / "stages" / f"{stage}.py"
    return ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) if module.is_file() else None
