"""Tasks that start `triad …` as a separate process and translate its exit code for Airflow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, DownstreamTasksSkipped
from airflow.sdk.execution_time.context import context_to_airflow_vars

from triad.airflow import settings
from triad.airflow.links import LINKS, links
from triad.paths import entry

if TYPE_CHECKING:
    from airflow.sdk import Context

ONLY_A_PERSON = 3
GRACE = 20
"""Seconds a child has to end its own children before all of them are killed."""
OPEN, CLOSE = "open", "close"
WHY = "why"
"""The XCom in which a task leaves, in words, why the run stopped or its model was held back."""

Outcome = dict[str, Any]


class Triad(BaseOperator):
    """One call of `triad`, whose arguments the context gives.

    Where the last line it prints is JSON, names and numbers, that is the task's XCom.
    """

    operator_extra_links = LINKS

    def __init__(self, *, arguments: Callable[[Context], Sequence[str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arguments = arguments
        self.links_at_end: dict[str, str] = {}
        self._hook: SubprocessHook | None = None

    def command(self, context: Context) -> Sequence[str]:
        """The arguments of `triad`."""
        return self.arguments(context)

    def execute(self, context: Context) -> Outcome:
        """Run it to its end.

        Raises:
            AirflowFailException: only a person can mend it, so no retry.
            AirflowException: it may go well another time.
        """
        try:
            command = self.command(context)
        except AirflowFailException as refused:
            context["ti"].xcom_push(key=WHY, value=str(refused))
            raise
        code, last = self.run_module(["triad", *command], settings.checkout(), context)
        outcome = parse(last)
        workspace = outcome.get("workspace") or workspace_of(context)
        self.links_at_end = links(Path(workspace), outcome) if workspace else {}
        if code:
            error = outcome.get("error")
            what = "{where}: {what}\n  to fix it: {mend}".format(**error) if error else f"it ended with {code}"
            context["ti"].xcom_push(key=WHY, value=what)
            raise (AirflowFailException if code == ONLY_A_PERSON else AirflowException)(what)
        say_of(self.outlets, context, outcome)
        return outcome

    def run_module(self, module: Sequence[str], folder: Path, context: Context) -> tuple[int, str]:
        """Exit code and last line of `python -m …` in `folder`."""
        environment = os.environ | context_to_airflow_vars(context, in_env_var_format=True)
        environment["TRIAD_CHECKOUT"] = str(settings.checkout())
        environment["PATH"] = f"{entry(Path(sys.executable).parent)}{os.pathsep}{environment.get('PATH', '')}"
        # a task's stdin is a socket; a bash below it would take itself for a remote login and read ~/.bashrc
        environment["SHLVL"] = "1"
        self._hook = SubprocessHook()
        done = self._hook.run_command([sys.executable, "-m", *module], env=environment, cwd=str(folder))
        return done.exit_code, done.output

    def on_kill(self) -> None:
        """End the child and all it started: first by asking."""
        child = self._hook.sub_process if self._hook is not None else None
        if child is None or child.poll() is not None:
            return
        for how, wait in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 5)):
            try:
                os.killpg(child.pid, how)
                child.wait(wait)
                return
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                return


class OpenWorkspace(Triad):
    """Makes the run's own checkout; `arguments` say what the run is of.

    Where `dry_run` is true it shows what would run and ends there. In a light night the tasks `full` are skipped.
    """

    def __init__(self, *, full: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.full = full

    def command(self, context: Context) -> Sequence[str]:
        return ["retraining", "open", context["run_id"], *self.arguments(context)]

    def execute(self, context: Context) -> Outcome:
        outcome = super().execute(context)
        if context["params"].get("dry_run"):
            context["ti"].xcom_push(key="return_value", value=outcome)
            plan = ["triad", "retraining", "plan", "--workspace", outcome["workspace"]]
            if self.run_module(plan, settings.checkout(), context)[0]:
                raise AirflowException("DVC does not tell what would run: see the log above")
            self.log.info("A dry run ends here. Above stands what would have run.")
            raise DownstreamTasksSkipped(tasks=sorted(context["task"].get_flat_relative_ids()))
        if outcome.get("night") == "light" and self.full:
            context["ti"].xcom_push(key="return_value", value=outcome)
            self.log.info("A light night: it has no need of %s.", ", ".join(self.full))
            raise DownstreamTasksSkipped(tasks=list(self.full))
        return outcome


class RunStage(Triad):
    """Runs one stage of dvc.yaml in the run's workspace; one that is up to date is skipped by DVC."""

    def __init__(self, *, stage: str, **kwargs: Any) -> None:
        super().__init__(arguments=self._arguments, **kwargs)
        self.stage = stage

    def _arguments(self, context: Context) -> Sequence[str]:
        forced = ["--force"] if self.stage in (context["params"].get("forced") or ()) else []
        return ["retraining", "stage", self.stage, "--workspace", workspace_of(context), *forced]


class OnlyIf(BaseOperator):
    """Shows on the run's page whether what the task is called came true of the closed run; else it is skipped.

    Its outlets' consumers are started only where it came true.
    """

    def execute(self, context: Context) -> Outcome:
        """Raises:
        AirflowSkipException: it did not, which is no failure of the night.
        """
        closed: Outcome = context["ti"].xcom_pull(task_ids=CLOSE)
        why = reason(self.task_id, closed)
        context["ti"].xcom_push(key=WHY, value=why)
        self.log.info(why)
        if not closed.get(self.task_id):
            raise AirflowSkipException(why)
        say_of(self.outlets, context, closed)
        return closed


def reason(question: str, closed: Outcome) -> str:
    """Why the run's model was, or was not, promoted; or its lists delivered."""
    if question == "delivered":
        return str(closed.get("delivery"))
    serves = f"version {closed.get('version')} serves" if closed.get("promoted") else "the champion stays"
    return " ".join([f"{closed.get('verdict')}: {serves}.", *closed.get("reasons", ())])


def say_of(outlets: Sequence[Any], context: Context, outcome: Outcome) -> None:
    """Say on each outlet's event of which run it is, and what the task found."""
    for asset in outlets:
        context["outlet_events"][asset].extra = {"run_id": context["run_id"], **outcome}


def parse(last: str) -> Outcome:
    """The JSON object that `triad retraining` ends with, or nothing where it ended otherwise."""
    try:
        outcome = json.loads(last)
    except json.JSONDecodeError:
        return {}
    return outcome if isinstance(outcome, dict) else {}


def workspace_of(context: Context) -> str:
    """The folder that `open` made for this run; empty before."""
    return (context["ti"].xcom_pull(task_ids=OPEN) or {}).get("workspace", "")
