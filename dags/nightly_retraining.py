"""Retrains the models every night, on all days before this one.

Each task is a stage of `dvc.yaml`. It runs in the run's own checkout. A stage that is up to date is skipped.

* **A task failed?** Its log ends with the error and how to fix it. Then clear the task: the run continues where it
  stopped.
* **`features` to `evaluate` are skipped?** It is a light night: the model that serves only learns the newest days.
  `retraining.full_every_days` of params.yaml says how often a night is full.
* **`promoted` is skipped?** The night succeeded, but the new model was not shown to be better, so the champion
  stays. The log of `promoted` gives the reasons, and the *Report* of `evaluate` shows the numbers.
* **`validate` failed?** The data cannot be used; its *Data Docs* show the faults.

It takes no configuration; use `manual_retraining` for that.
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
