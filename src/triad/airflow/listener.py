"""Writes the note on a run's page: why it stopped, or why its model was not promoted. Runs in the scheduler."""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl

from triad.airflow.operators import WHY

LONGEST = 1000
"""Characters that a note may have."""


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    note(dag_run)


def note(dag_run: Any) -> None:
    """Put what the run's tasks left under `WHY` into its note, unless a person wrote one. The scheduler commits it."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session, written = object_session(dag_run), dag_run.dag_run_note
    if session is None or (written is not None and written.user_id is not None):
        return
    left = select(XComModel).filter_by(dag_id=dag_run.dag_id, run_id=dag_run.run_id, key=WHY)
    rows = session.scalars(left.order_by(XComModel.timestamp)).all()
    # the page shows the first line until it is opened: why a night stopped, or came to nothing, goes before the lists
    rows = sorted(rows, key=lambda row: row.task_id == "delivered")
    text = "\n\n".join(f"**{row.task_id}** · {XComModel.deserialize_value(row)}" for row in rows)
    if text:
        dag_run.note = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
