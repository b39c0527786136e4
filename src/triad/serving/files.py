"""The page's own files, with what a browser is to hold it to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

PAGE = Path(__file__).parent / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing from elsewhere, no script in the text, and no text that becomes HTML."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked again each time, which costs nothing on one machine
}


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Any) -> Any:
        answer = await super().get_response(path, scope)
        answer.headers.update(HEADERS)
        return answer


def paths() -> frozenset[str]:
    """Those of the page's files. They say nothing of a shop, so they need no key."""
    return frozenset({"/", *(f"/{file.name}" for file in PAGE.iterdir())})


def add(app: FastAPI) -> None:
    """Serve them."""
    app.mount("/", _Files(directory=PAGE, html=True))
