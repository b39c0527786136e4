"""Moves the alias back to the former champion, or to the version that is entered, and delivers its lists."""

from airflow.sdk import DAG, Param

from triad.airflow.operators import Triad
from triad.airflow.wiring import DEFAULTS

with DAG(
    "rollback_champion",
    schedule=None,
    max_active_runs=1,
    params={
        "version": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Version",
            description="Of the registered model; it must have been champion. Empty: the one before the present.",
        )
    },
    is_paused_upon_creation=False,
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["triad"],
):
    Triad(
        task_id="rollback",
        retries=0,  # a second try would go back one further
        arguments=lambda context: ["rollback", *(["--to", str(v)] if (v := context["params"]["version"]) else [])],
    )
