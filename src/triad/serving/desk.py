"""`POST /price` and `POST /classify`: what the registered model says a product costs and is, why, and what if not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from triad.errors import TriadError
from triad.serving import by_facts, by_patches, schemas
from triad.serving.holder import Holder, Served
from triad.serving.refusals import LackingError
from triad.serving.words import patch, typed
from triad.tracking import asked


def add(app: FastAPI, holder: Holder, said: Callable[..., JSONResponse]) -> None:
    """The paths.

    Args:
        said: of a state and what is answered, the answer.
    """

    @app.post("/price", summary="What products should cost, from what is said of them")
    def price(body: schemas.Price) -> JSONResponse:
        served = holder.now
        with served.lock:
            rows = _rows(served, "price", body)
            for row, product in zip(rows, _products(body)[: by_facts.PRODUCTS] if body.changes else (), strict=False):
                changes = by_facts.of_price(served.night, product)
                row["changes"] = [{"if": each.words, **each.cents} for each in changes]
        return said(served, rows=rows)

    @app.post("/classify", summary="What products are, from their words and picture")
    def classify(body: schemas.Classify) -> JSONResponse:
        served = holder.now
        with served.lock:
            rows = _rows(served, "classify", body)
            for row, product in zip(rows, _products(body)[: by_patches.PRODUCTS] if body.why else (), strict=False):
                carried = by_patches.of_product(served.night.model, product)
                row["because"] = {
                    task: {"words": typed(each.words), "patches": [patch(part) for part in each.patches]}
                    for task, each in carried.items()
                }
        return said(served, rows=rows)


def _rows(served: Served, mode: str, body: schemas.Ask) -> list[dict[str, Any]]:
    try:
        rows = asked.answer(served.night.model, body.tables, {"k": 0, "query": "", **body.params, "mode": mode})
    except TriadError as error:
        if error.where == "params.mode":  # the version that serves was not taught it
            raise LackingError(error.what, where=mode, mend=error.mend) from error
        raise
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict(orient="records")]


def _products(body: schemas.Ask) -> list[dict[str, str]]:
    """What is said of each, as the model reads it; the rows were answered already, so they are in order."""
    return [{n: v for n, v in each.items() if n != "price_cents"} for each in asked.described(body.tables["items"])]
