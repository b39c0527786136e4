"""Serves a run's report and Data Docs inside Airflow, read-only, to users who may read the DAG's tasks."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from triad.airflow import links, listener, settings

SHOWN = {".html", ".css", ".js", ".json", ".png", ".svg", ".woff", ".woff2"}
"""A report's folder also holds scores, which are nobody's to read here."""

HEADERS = {
    # the pages hold text from the shop's data: whatever script it might smuggle in has no part in Airflow's session
    "Content-Security-Policy": "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def find(run: str, name: str, path: str) -> Path | None:
    """The file `path` of the page `name` of a run's workspace, or None where there is none that may be shown."""
    root = settings.workspaces()
    index = links.page(root / run, name) if name in links.PAGES else None
    if index is None:
        return None
    wanted = (index.parent / path).resolve()
    inside = wanted.is_relative_to(index.parent.resolve()) and index.parent.resolve().is_relative_to(root)
    return wanted if inside and wanted.suffix in SHOWN and wanted.is_file() else None


@cache
def application() -> Any:
    """The pages, as what Airflow's api-server mounts."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.responses import FileResponse

    readers = Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE))
    made = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @made.get("/{run}/{name}/{path:path}", dependencies=[readers])
    def show(run: str, name: str, path: str) -> FileResponse:
        file = find(run, name, path)
        if file is None:
            raise HTTPException(404, "This run has no such page: it was not made yet, or its workspace was pruned.")
        return FileResponse(file, headers=HEADERS)

    return made


async def mounted(scope: Any, receive: Any, send: Any) -> None:
    """`application`, made when the first page is asked for: every task's process loads this module too."""
    await application()(scope, receive, send)


class TriadPlugin(AirflowPlugin):
    """Found by Airflow through the entry point in pyproject.toml."""

    name = "triad"
    fastapi_apps: ClassVar[list[Any]] = [{"app": mounted, "url_prefix": links.PREFIX, "name": "Triad"}]
    listeners: ClassVar[list[Any]] = [listener]
