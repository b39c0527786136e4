"""Removes old workspaces, deliveries and cached data, by the rule in docs/retraining.md, at noon every day.

**Without a DVC remote the data of nights older than that are gone for good**: switch it on when a remote is set.
"""

from airflow.sdk import DAG, CronTriggerTimetable, Param

from triad.airflow.operators import Triad
from triad.airflow.wiring import DEFAULTS


def arguments(context):
    kept = context["params"]
    return ["retraining", "prune", "--keep-days", str(kept["keep_days"]), "--keep", str(kept["keep"])]


with DAG(
    "prune_workspaces",
    schedule=CronTriggerTimetable("0 12 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    params={
        "keep_days": Param(
            14, type="integer", minimum=1, title="Days", description="Failed runs and data stay so long."
        ),
        "keep": Param(3, type="integer", minimum=0, title="Workspaces", description="Closed ones that stay."),
    },
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["triad"],
):
    Triad(task_id="prune", arguments=arguments)
