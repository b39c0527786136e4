"""Retrains the models when a person triggers it, with the day, shop and settings of the trigger form.

A dry run lists in the log of `open` which stages would run, and stops there. All else is as in `nightly_retraining`.
"""

from datetime import timedelta

from airflow.sdk import DAG

from triad.airflow.form import arguments, form
from triad.airflow.wiring import DEFAULTS, draw, stages

with DAG(
    "manual_retraining",
    schedule=None,
    max_active_runs=4,
    dagrun_timeout=timedelta(hours=20),
    params=form(stages()),
    is_paused_upon_creation=False,
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["triad"],
):
    draw(arguments)
