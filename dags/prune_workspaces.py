"""Removes old workspaces, deliveries and cached data, by the rule in docs/retraining.md, at noon every day.

Branches, versions, MLflow runs and the remote stay, unless a parameter below limits them.

**Without a DVC remote the data of older nights are lost for good**: set a remote before you switch this DAG on.
"""

from airflow.sdk import DAG, CronTriggerTimetable, Param

from triad.airflow.operators import Triad
from triad.airflow.wiring import DEFAULTS

FURTHER = {
    "keep_branch_days": ("Days of branches", "Older branches retrain/* are deleted. Empty: they stay."),
    "keep_versions": ("Versions", "The newest ones that stay, beside those that serve or may serve. Empty: all stay."),
    "keep_run_days": ("Days of MLflow runs", "Older runs without a version are deleted. Empty: they stay."),
}


def arguments(context):
    kept = context["params"]
    named = {name: kept[name] for name in ("keep_days", "keep", *FURTHER, "remote") if kept[name] is not None}
    return ["retraining", "prune", *(w for name, v in named.items() for w in (f"--{name.replace('_', '-')}", str(v)))]


with DAG(
    "prune_workspaces",
    schedule=CronTriggerTimetable("0 12 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    params={
        "keep_days": Param(
            14, type="integer", minimum=1, title="Days", description="Days that failed runs and data stay."
        ),
        "keep": Param(3, type="integer", minimum=0, title="Workspaces", description="Closed ones that stay."),
        **{
            name: Param(None, type=["null", "integer"], minimum=0, title=title, description=text)
            for name, (title, text) in FURTHER.items()
        },
        "remote": Param(
            None,
            type=["null", "string"],
            title="DVC remote",
            description="Data that no branch, tag or worktree of this checkout names is deleted. Empty: all stays.",
        ),
    },
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["triad"],
):
    Triad(task_id="prune", arguments=arguments)
