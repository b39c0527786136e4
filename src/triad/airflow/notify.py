"""Notifications of a night that fails, ends without promotion or is late: to the log, or through TRIAD_NOTIFIER.

TRIAD_NOTIFIER is the import path of a notifier class, such as
`airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier` or
`airflow.providers.smtp.notifications.smtp.SmtpNotifier`, with its arguments as a JSON object in
TRIAD_NOTIFIER_ARGUMENTS; or of a function that takes the context. `{{ message }}` in an argument is what is said.
"""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from airflow.sdk import DeadlineAlert, DeadlineReference, SyncCallback

from triad.airflow import settings
from triad.airflow.operators import WHY
from triad.errors import TriadError
from triad.redaction import shown_path

log = logging.getLogger("triad.notify")

Notifier = Callable[[Any], Any]


def notifier(environment: Mapping[str, str] = os.environ) -> Notifier:
    """What TRIAD_NOTIFIER names; the log where it names nothing.

    Raises:
        TriadError: there is no such notifier, or its arguments do not fit.
    """
    named = environment.get("TRIAD_NOTIFIER")
    if not named:
        return to_log
    module, _, name = named.rpartition(".")
    try:
        target: Any = getattr(importlib.import_module(module), name)
        arguments = json.loads(environment.get("TRIAD_NOTIFIER_ARGUMENTS") or "{}")
        made: Any = target(**arguments) if inspect.isclass(target) else target
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise TriadError(
            f"{named}: {error}", where="TRIAD_NOTIFIER", mend="docs/airflow.md shows one for e-mail and one for Slack"
        ) from error
    return made


def to_log(context: Mapping[str, Any]) -> None:
    """Write the message where the task's, or the deadline's, log goes."""
    log.error("%s", context["message"])


def failed(context: Any) -> None:
    """A task failed for good."""
    tell(context, f"{_place(context)} failed: {context.get('exception') or 'its process was lost'}")


def not_promoted(context: Any) -> None:
    """The night went well, and the champion stays."""
    ti = context["ti"]
    tell(context, f"{ti.dag_id} {ti.run_id}: {ti.xcom_pull(task_ids=ti.task_id, key=WHY) or 'the champion stays'}")


def late(context: Any, **_: Any) -> None:
    """The run has not ended when it should have."""
    run = context.get("dag_run") or {}
    name = run.get("dag_run_id") or run.get("run_id") if isinstance(run, Mapping) else run.run_id
    tell(context, f"{name} is late: it has not ended within the time of TRIAD_DEADLINE_MINUTES")


def deadline() -> DeadlineAlert | None:
    """Tells when a run has not ended in time; None where nobody wants to be told."""
    allowed = settings.deadline()
    if allowed is None:
        return None
    return DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, allowed, SyncCallback(late))


def tell(context: Any, message: str) -> None:
    """Hand `message` to the notifier."""
    notifier()({**context, "message": shown_path(message)})


def _place(context: Any) -> str:
    ti = context["ti"]
    return f"{ti.dag_id} {ti.run_id} {ti.task_id}"
