"""`POST /describe`: texts of products by what the version that serves learned to write, else by `triad describe`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from triad.serving import schemas
from triad.serving.holder import Holder
from triad.serving.refusals import LackingError
from triad.tracking.asked import described
from triad.tracking.wording import writer_of
from triad.writing import files
from triad.writing.asked import rows, written
from triad.writing.catalogue import product_of
from triad.writing.writer import Writer, counts


def add(app: FastAPI, holder: Holder | None, folder: Path | None, said: Callable[..., JSONResponse]) -> None:
    """The path.

    Args:
        holder: of the version that serves; None: there is none.
        folder: what `triad describe` learned in this checkout; it is read again when it was made anew.
        said: what an answer says beside its own.
    """

    @lru_cache(maxsize=1)
    def writer(_: int) -> Writer:
        return files.load(Path(str(folder)))

    @app.post("/describe", summary="Title, description and promotion line of products, from their attributes alone")
    def describe(body: schemas.Describe) -> JSONResponse:
        own = None if holder is None else _own(holder)
        if own is None:
            if folder is None or not folder.is_dir():
                mend = "name product_writer in fuse.members and let a night train it, or run `triad describe` here"
                raise LackingError("nothing has learned to write", where="describe", mend=mend)
            own = writer(folder.stat().st_mtime_ns)
        products = [product_of(item) for item in described(body.items)]
        texts = written(own, products, body.tone, body.length)
        return said(texts=rows(texts), counts=counts(texts))


def _own(holder: Holder) -> Writer | None:
    served = holder.now
    with served.lock:  # a member is read when it is first asked
        return writer_of(served.night.model.fused)
