"""Retrains the models on all days up to this one, every night.

Each task is a stage of `dvc.yaml`, run in a checkout of the run's own; one that is up to date is skipped.

* **A task failed?** Its log ends with what is wrong and how to mend it. Then clear it: the run continues where it
  stopped.
* **`promoted` is skipped?** The night went well, and the champion stays: the new model was not shown to be better. The
  log of `promoted` says by what, the *Report* of `evaluate` shows it.
* **`validate` failed?** The data are not fit to learn from; its *Data Docs* show what is wrong with them.

It takes no configuration: `manual_retraining` does.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from triad.airflow import settings
from triad.airflow.form import refuse_unknown
from triad.airflow.notify import deadline
from triad.airflow.wiring import DEFAULTS, draw

cron = settings.nightly_cron()


def arguments(context):
    refuse_unknown(context["dag_run"].conf or {}, ())
    # the first day that is not read; a trigger by hand has no interval
    moment = context.get("data_interval_end") or context["dag_run"].run_after
    return ["--as-of", str(moment.date())]


with DAG(
    "nightly_retraining",
    schedule=CronTriggerTimetable(cron, timezone="UTC") if cron else None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=20),
    deadline=deadline(),
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["triad"],
):
    draw(arguments)
