"""Links on a task's page: the report, the Data Docs, the MLflow run. A link is shown only if its target exists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlparse

from airflow.sdk import BaseOperatorLink, conf

from triad.airflow import settings

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

PREFIX = "/triad"
"""Where plugin.py serves the pages below, beside Airflow's own."""

PAGES = {
    "report": ("artifacts/evaluate/report/report.html",),
    # of a validation that failed, else of the one that passed
    "data_docs": ("artifacts/validate/failed/data_docs/index.html", "artifacts/validate/report/data_docs/index.html"),
}


def page(workspace: Path, name: str) -> Path | None:
    """The file of the page `name` of a run, or None where the run has none yet."""
    return next((workspace / place for place in PAGES[name] if (workspace / place).is_file()), None)


def links(workspace: Path, outcome: Mapping[str, Any]) -> dict[str, str]:
    """Name → address of what a task's `outcome` can be looked at by."""
    base = urlparse(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    addresses = {
        name: f"{base}{PREFIX}/{quote(workspace.name)}/{name}/{at.name}"
        for name in PAGES
        if (at := page(workspace, name)) is not None
    }
    if settings.mlflow_address() and outcome.get("run_id"):
        addresses["mlflow"] = f"{settings.mlflow_address()}/#/runs/{outcome['run_id']}"
    return addresses


class _Link(BaseOperatorLink):
    """Reads what the task found at its end, in the task's own process."""

    key = ""

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        return getattr(operator, "links_at_end", {}).get(self.key, "")


class ReportLink(_Link):
    name = "Report"
    key = "report"


class DataDocsLink(_Link):
    name = "Data Docs"
    key = "data_docs"


class MlflowLink(_Link):
    name = "MLflow run"
    key = "mlflow"


LINKS = (ReportLink(), DataDocsLink(), MlflowLink())
