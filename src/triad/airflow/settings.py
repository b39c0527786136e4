"""Settings of the machine from environment variables. docs/airflow.md lists them."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from triad.redaction import shown_path


def checkout() -> Path:
    """The deployed checkout: its `dvc.yaml` is drawn, its revision runs."""
    return Path(os.environ.get("TRIAD_CHECKOUT") or Path(__file__).parents[3]).resolve()


def workspaces() -> Path:
    """Where each run has its folder."""
    return Path(os.environ.get("TRIAD_WORKSPACES") or checkout() / "runs" / "retraining").resolve()


def nightly_cron() -> str | None:
    """When the night begins, in UTC; `TRIAD_NIGHTLY_CRON=never` leaves it to backfills and triggers."""
    cron = os.environ.get("TRIAD_NIGHTLY_CRON") or "0 2 * * *"
    return None if cron == "never" else cron


def deadline() -> timedelta | None:
    """How long after its start a night is late; None where nobody wants to be told."""
    minutes = float(os.environ.get("TRIAD_DEADLINE_MINUTES") or 360)
    return timedelta(minutes=minutes) if minutes else None


def retry_delay() -> timedelta:
    """The wait before the first retry; each further one is twice as long."""
    return timedelta(seconds=float(os.environ.get("TRIAD_RETRY_SECONDS") or 60))


def mlflow_address() -> str:
    """Where a person's browser finds MLflow, or nothing where no server is named."""
    named = os.environ.get("TRIAD_MLFLOW_ADDRESS") or os.environ.get("MLFLOW_TRACKING_URI", "")
    return shown_path(named).rstrip("/") if named.startswith("http") else ""
