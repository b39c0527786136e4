"""`POST /describe`: texts of products by what `triad describe` learned in this checkout."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from triad.serving import schemas
from triad.serving.refusals import LackingError
from triad.tracking.asked import described
from triad.writing import files
from triad.writing.asked import rows, written
from triad.writing.catalogue import product_of
from triad.writing.writer import Writer, counts


def add(app: FastAPI, folder: Path | None, said: Callable[..., JSONResponse]) -> None:
    """The path, answered from the writer in `folder`; it is read again when it was made anew.

    Args:
        said: what an answer says beside its own.
    """

    @lru_cache(maxsize=1)
    def writer(_: int) -> Writer:
        return files.load(Path(str(folder)))

    @app.post("/describe", summary="Title, description and promotion line of products, from their attributes alone")
    def describe(body: schemas.Describe) -> JSONResponse:
        if folder is None or not folder.is_dir():
            mend = "run `triad describe` on the night's tables, where this service runs"
            raise LackingError("nothing has learned to write", where="describe", mend=mend)
        products = [product_of(item) for item in described(body.items)]
        texts = written(writer(folder.stat().st_mtime_ns), products, body.tone, body.length)
        return said(texts=rows(texts), counts=counts(texts))
