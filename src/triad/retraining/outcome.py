"""The names and numbers of a finished stage for the scheduler. Data stays in the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triad.artifacts import ARTIFACTS, read_json

REPORT = ARTIFACTS / "evaluate" / "report"
PUBLISHED = ARTIFACTS / "publish" / "published.json"
LISTS = ARTIFACTS / "recommend"

_FACTS = {
    REPORT / "verdict.json": ("evaluate", ("verdict", "champion", "reasons")),
    PUBLISHED: ("publish", ("verdict", "promoted", "version", "run_id", "champion", "reasons")),
    LISTS / "summary.json": ("recommend", ("rows", "users", "model_version")),
}


def outcome(stage: str, workspace: Path) -> dict[str, Any]:
    """What `stage` wrote in `workspace`, in short."""
    facts: dict[str, Any] = {}
    for path, (name, fields) in _FACTS.items():
        if name == stage and (workspace / path).is_file():
            written = read_json(workspace / path)
            facts |= {field: written[field] for field in fields}
    if stage == "validate":
        facts |= _validation(workspace)
    if stage == "evaluate" and (workspace / REPORT / "report.html").is_file():
        facts["report"] = str(workspace / REPORT / "report.html")
    return facts


def data_docs(workspace: Path) -> Path | None:
    """The pages of the checks: those that stopped the run, where they did."""
    for folder in ("failed", "report"):
        page = workspace / ARTIFACTS / "validate" / folder / "data_docs" / "index.html"
        if page.is_file():
            return page
    return None


def _validation(workspace: Path) -> dict[str, Any]:
    result = workspace / ARTIFACTS / "validate" / "report" / "result.json"
    if not result.is_file():
        return {}
    checks = read_json(result)["checks"]
    failed = [f"{c['name']} on {c['table']}" for c in checks if not c["passed"]]
    return {"checks": len(checks), "failed_checks": failed, "data_docs": str(data_docs(workspace))}
