"""The HTTP service: paths, and what each answers. FastAPI describes and checks them (/openapi.json)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse

from triad.advice.wish import Wish
from triad.errors import TriadError
from triad.serving import (
    asking,
    by_words,
    describing,
    desk,
    files,
    merchant,
    overall,
    refusals,
    schemas,
    storefront,
)
from triad.serving.changes import changes
from triad.serving.customers import LOG_ODDS, Customers, described_item, explanation, number, shown
from triad.serving.guard import Guard, Limits
from triad.serving.holder import Holder, Served
from triad.serving.metrics import Metrics
from triad.serving.night import Night
from triad.serving.refusals import LackingError, UnknownError
from triad.serving.storefront import Demo
from triad.serving.words import typed
from triad.tracking.answering import answers

CHANGED = 20
"""Items of a request that it is told of what would change their scores."""

CAUSES: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Cause} for status in (400, 401, 404, 408, 413, 422, 500, 501, 504)
}


def make(
    holder: Holder,
    *,
    key: str | None = None,
    limits: Limits | None = None,
    poll: float = 5.0,
    demo: Demo | None = None,
    writer: Path | None = None,
    customers: Customers | None = None,
    hosts: frozenset[str] | None = None,
) -> Any:
    """The service around what `holder` hands out.

    Args:
        key: what a request must bring; None: anybody may ask.
        poll: seconds between looks for another version.
        demo: also the page, and what it needs to know; None: no page.
        writer: where `triad describe` left what writes texts, read again when it was made anew.
        customers: what names of customers mean, and where impressions are written down; None: nowhere.
        hosts: the names that requests may ask for the service by; None: any.
    """
    metrics, who = Metrics(), customers or Customers()
    metrics.lost = who.lost

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        holder.watch(poll, lambda outcome: metrics.swaps.update([outcome]))
        if who.trial is not None:
            who.trial.holder.watch(poll, lambda outcome: metrics.swaps.update([f"challenger {outcome}"]))
        yield
        holder.stop()
        who.close()

    app = FastAPI(title="Triad", version="1", lifespan=life, docs_url=None, redoc_url=None, responses=CAUSES)
    refusals.install(app)
    _answering(app, holder, who)
    _searching(app, holder, who)
    _of_products(app, holder)
    desk.add(app, holder, _said)
    overall.add(app, holder, _said)
    describing.add(app, holder, writer, lambda **more: _said(holder.now, **more))

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "version": holder.now.version, "as_of": _iso(holder.now.night.moment)}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def numbers() -> str:
        return metrics.text(holder.now.version)

    paths = frozenset(app.openapi()["paths"])
    if demo is not None:
        storefront.add(app, holder, lambda **more: _said(holder.now, **more), writer, demo)
        if demo.merchant is not None:
            merchant.add(app, demo.merchant, lambda **more: _said(holder.now, **more))
        files.add(app)
    pages = frozenset[str]() if demo is None else files.paths()
    return Guard(app, key, limits or Limits(), metrics, paths, files=pages, hosts=hosts)


def _answering(app: FastAPI, holder: Holder, who: Customers) -> None:
    @app.post("/recommend", summary="A customer's list, best first")
    def recommend(body: schemas.Recommend) -> JSONResponse:
        served, rows = who.answer(holder.now, body)
        sums = LOG_ODDS if rows and rows[0]["log_odds"] else "score"
        more = {"why_sums_to": sums} if body.why else {}
        return _said(served, **who.described(served.night, body), items=[shown(row) for row in rows], **more)

    @app.post("/score", summary="What each task says of items, were they shown now")
    def score(body: schemas.Score) -> JSONResponse:
        served = holder.now
        night, visit = served.night, who.visit(served.night, body)
        items = np.array([_row(night.items, each.item_id, "items.item_id") for each in body.items])
        places = [each.position for each in body.items]
        with served.lock:
            scores = asking.score(visit, items, places, [each.surface for each in body.items])
        rows = [
            {"item_id": each.item_id, **{task: _of(night, task, values[at]) for task, values in scores.items()}}
            for at, each in enumerate(body.items)
        ]
        if body.why:
            with served.lock:
                explained = asking.explain(visit, items, places, [each.surface for each in body.items])
            for at, row in enumerate(rows[:CHANGED]):
                row["why"] = {task: explanation(each, at, night) for task, each in explained.items()}
        if body.changes:
            for row, item, each in zip(rows[:CHANGED], items.tolist(), body.items, strict=False):
                with served.lock:
                    changed = changes(visit, item, each.position, each.surface)
                row["changes"] = [{"if": change.words, **change.scores} for change in changed]
        return _said(served, **who.described(night, body), items=rows)

    @app.post("/similar", summary="What to show beside an item")
    def similar(body: schemas.Similar) -> JSONResponse:
        served = holder.now
        night, page = served.night, served.night.pages.get(body.by)
        item = _row(night.items, body.item_id, "item_id")
        if page is None:
            raise LackingError("there are no such lists", where=body.by, mend="set recommend.page_items above 0")
        part = slice(int(page.start[item]), int(min(page.start[item] + body.k, page.start[item + 1])))
        rows = [
            {"rank": at + 1, **described_item(night, int(other)), "score": number(score), "visits": int(visits)}
            for at, (other, score, visits) in enumerate(
                zip(page.other[part], page.score[part], page.visits[part], strict=True)
            )
        ]
        return _said(served, item_id=body.item_id, items=rows)

    @app.post("/answer", summary="Intent and reply of messages, or that the model refuses")
    def answer(body: schemas.Answer) -> JSONResponse:
        served = holder.now
        model = served.night.model
        if not any(task in model.fused.thresholds for task in model.fused.of_unit(served.night.data, "messages")):
            raise refusals.lacks("answer")
        with served.lock:
            table = answers(
                model.state, model.fused, [m.message_id for m in body.messages], [m.message for m in body.messages]
            )
            rows = table.to_pylist()
            for row, each in zip(rows, body.messages[: by_words.MESSAGES] if body.why else (), strict=False):
                given = [task for task in model.fused.thresholds if row.get(task) is not None]
                carried = by_words.of_answers(served.night, each.message, given)
                row["because"] = {task: typed(words) for task, words in carried.items()}
        return _said(served, answers=rows)


def _searching(app: FastAPI, holder: Holder, who: Customers) -> None:
    @app.post("/search", summary="Products for what was typed")
    def search(body: schemas.Search) -> JSONResponse:
        served = holder.now
        if not served.night.model.fused.of_unit(served.night.data, "searches"):
            raise refusals.lacks("search")
        visit = None if body.customer is None else who.visit(served.night, body.customer)
        with served.lock:
            answer = asking.find(served.night, body.query, body.k, visit)
            carried = by_words.of_products(served.night, body.query, answer) if body.why else []
        rows = [
            {"rank": at + 1, **described_item(served.night, int(item)), "score": number(score)}
            for at, (item, score) in enumerate(zip(answer.items, answer.scores, strict=True))
        ]
        for row, words in zip(rows, carried, strict=False):
            row["because"] = typed(words)
        if visit is None or body.customer is None:
            return _said(served, match=answer.match, items=rows)
        for row, leans in zip(rows, answer.leans, strict=True):
            row["leans"] = number(leans)
        return _said(served, **who.described(served.night, body.customer), match=answer.match, items=rows)


def _of_products(app: FastAPI, holder: Holder) -> None:
    @app.post("/advise", summary="A price of each product within bounds, and how sure it is")
    def advise(body: schemas.Advise) -> JSONResponse:
        served = holder.now
        wish = Wish(**body.model_dump(exclude={"item_ids"}))
        for key in body.item_ids:
            _row(served.night.items, key, "item_ids")
        with served.lock:
            advisor = served.night.advisor
        rows = advisor.rows(body.item_ids, wish)
        return _said(served, items=[{name: _sent(value) for name, value in row.items()} for row in rows])

    @app.post("/forecast", summary="Demand or price of products over the coming days, with an interval")
    def forecast(body: schemas.Forecast) -> JSONResponse:
        served = holder.now
        try:
            with served.lock:
                known = served.night.forecasts
        except TriadError as error:
            raise (refusals.lacks("forecast") if error.where == "params.mode" else error) from error
        for key in body.item_ids:
            _row(served.night.items, key, "item_ids")
        rows = [row for key in body.item_ids for row in known.get(key, ())]
        return _said(served, items=[{name: _sent(value) for name, value in row.items()} for row in rows])


def _row(known: Mapping[str, int], name: str, where: str) -> int:
    if (row := known.get(name)) is None:
        raise UnknownError("is not known as of the night", where=where, mend="name one that the night's tables hold")
    return row


def _of(night: Night, task: str, values: Any) -> Any:
    """A score as JSON has it; of classes each one's probability."""
    classes = night.data.meta.classes.get(task)
    if classes is None:
        return number(values)
    return {name: number(value) for name, value in zip(classes, values, strict=True)}


def _sent(value: Any) -> Any:
    return number(value) if isinstance(value, float) else value


def _said(served: Served, **more: Any) -> JSONResponse:
    return JSONResponse({"version": served.version, "as_of": _iso(served.night.moment), **more})


def _iso(moment: int) -> str:
    return f"{np.datetime64(moment, 'us').astype('datetime64[s]')}Z"
