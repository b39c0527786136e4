"""What the page asks besides the service's own paths: whom and what the shop has, and what its model can do.

It names customers of the shop, so it is there only with `triad serve --demo`, and in no OpenAPI description.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Query
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse, Response
from PIL import Image

from triad.examples.messages import UNIT as MESSAGES
from triad.examples.products import UNIT as PRODUCTS
from triad.examples.searches import UNIT as SEARCHES
from triad.images.decoding import Fault, decode
from triad.images.files import read
from triad.kinds import KINDS
from triad.schema import EVENT_KINDS
from triad.serving.customers import described_item
from triad.serving.holder import Holder
from triad.serving.merchant import Merchant
from triad.serving.night import Night
from triad.serving.refusals import UnknownError
from triad.tasks import LABELS
from triad.tasks.base import Outlook
from triad.tracking.inputs import opened

CUSTOMERS, LATELY, MOST_NAMES = 24, 12, 400
FEWEST_EVENTS = 5
"""A customer who did less shows little of what the model learned."""
SIDE, PICTURES = 192, 256
"""Pixels of a picture's side, and how many are kept."""
NEAR = ("127.0.0.1", "localhost", "::1", "[::1]")
"""What this machine is called: any other name is a page elsewhere that had its name point here, to read the shop's."""
TOLD = ("description", "attributes", "image_path")

Id = Annotated[str, Query(min_length=1, max_length=200)]


@dataclass(frozen=True)
class Demo:
    """What the page needs to know of the shop: its currency, and the folder below which its pictures lie.

    Args:
        hosts: what requests may call this service; None: anything.
    """

    currency: str | None = None
    images: str | None = None
    merchant: Merchant | None = None
    hosts: tuple[str, ...] | None = None


def add(app: FastAPI, holder: Holder, said: Callable[..., JSONResponse], writer: Path | None, demo: Demo) -> None:
    """The paths.

    Args:
        said: what an answer says beside its own.
        writer: where `triad describe` left what writes texts.
    """

    if demo.hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(demo.hosts), www_redirect=False)

    @lru_cache(maxsize=1)
    def rows(version: str, moment: int) -> dict[str, dict[str, str]]:
        return _rows(holder.now.night)

    @lru_cache(maxsize=PICTURES)
    def picture(path: str) -> bytes | None:
        return _png(demo.images, path)

    def row(item_id: str) -> dict[str, str]:
        return rows(holder.now.version, holder.now.night.moment).get(item_id, dict.fromkeys(TOLD, ""))

    @app.get("/shop", include_in_schema=False)
    def all_of_it() -> JSONResponse:
        served = holder.now
        night = served.night
        return said(
            currency=demo.currency,
            customers=_customers(night),
            categories=_names(night.categories),
            brands=_names(night.brands),
            can=abilities(night, writer),
            thresholds=night.model.fused.thresholds,
            verdict=served.verdict,
        )

    @app.get("/shop/customer", include_in_schema=False)
    def customer(user_id: Id) -> JSONResponse:
        night = holder.now.night
        user = night.users.get(user_id)
        return said(user_id=user_id, is_known=user is not None, lately=[] if user is None else _lately(night, user))

    @app.get("/shop/item", include_in_schema=False)
    def item(item_id: Id) -> JSONResponse:
        night = holder.now.night
        told = row(item_id)
        more = {"description": told["description"], "attributes": told["attributes"]}
        return said(**described_item(night, _item(night, item_id)), **more, has_picture=bool(told["image_path"]))

    @app.get("/shop/picture", include_in_schema=False)
    def drawn(item_id: Id) -> Response:
        _item(holder.now.night, item_id)
        content = picture(row(item_id)["image_path"])
        if content is None:
            return Response(status_code=204)
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=600"})

    @app.get("/shop/products", include_in_schema=False)
    def products(
        like: Annotated[str, Query(max_length=200)] = "", k: Annotated[int, Query(ge=1, le=50)] = 8
    ) -> JSONResponse:
        night = holder.now.night
        return said(items=[described_item(night, place) for place in called(night.titles, like, k)])


def abilities(night: Night, writer: Path | None) -> dict[str, bool]:
    """What the model that serves can do; the page says so of what it cannot."""
    fused, data, model = night.model.fused, night.data, night.model
    products = fused.of_unit(data, PRODUCTS.name)
    return {
        "search": bool(fused.of_unit(data, SEARCHES.name)),
        "answer": any(task in fused.thresholds for task in fused.of_unit(data, MESSAGES.name)),
        "price": any(task in fused.intervals for task in products),
        "classify": any(KINDS[fused.kinds[task]].has_classes for task in products),
        "describe": bool(fused.writers) or (writer is not None and writer.is_dir()),
        "forecast": any(isinstance(LABELS[task.label], Outlook) for task in model.state.tasks.values()),
        **{name: bool(len(page.other)) for name, page in night.pages.items()},
    }


def called(titles: np.ndarray, like: str, k: int) -> list[int]:
    """At most `k` catalogue rows whose titles hold every word that was typed; those that begin with it first."""
    words = like.casefold().split()
    folded = [str(title).casefold() for title in titles]
    places = [place for place, title in enumerate(folded) if title and all(word in title for word in words)]
    first = words[0] if words else ""
    return sorted(places, key=lambda place: (not folded[place].startswith(first), folded[place]))[:k]


def _customers(night: Night) -> list[dict[str, Any]]:
    """A few who did enough, spread over the shop's, and how much each did."""
    length = np.diff(night.data.streams.offsets)
    busy = [name for name, row in night.users.items() if length[row] >= FEWEST_EVENTS]
    some = busy[:: max(1, len(busy) // CUSTOMERS)][:CUSTOMERS]
    return [{"user_id": name, "events": int(length[night.users[name]])} for name in some]


def _lately(night: Night, user: int) -> list[dict[str, Any]]:
    """What a customer did last, newest first."""
    streams = night.data.streams
    begin, end = int(streams.offsets[user]), int(streams.offsets[user + 1])
    places = range(end - 1, max(begin, end - LATELY) - 1, -1)
    return [
        described_item(night, int(streams.item[at]))
        | {"kind": EVENT_KINDS[int(streams.kind[at])], "day": str(np.datetime64(int(streams.time[at]), "us"))[:10]}
        for at in places
    ]


def _names(values: np.ndarray) -> list[str]:
    return sorted({str(value) for value in values if value})[:MOST_NAMES]


def _rows(night: Night) -> dict[str, dict[str, str]]:
    """What the night's tables say of each item beside what every answer says."""
    with opened(night.tables) as session:
        there = {name for (name, *_) in session.execute("DESCRIBE items").fetchall()}
        some = [name if name in there else f"NULL AS {name}" for name in TOLD]
        described = session.execute(f"SELECT item_id, {', '.join(some)} FROM items").fetchall()
    return {key: dict(zip(TOLD, (str(each or "") for each in told), strict=True)) for key, *told in described}


def _item(night: Night, item_id: str) -> int:
    if (place := night.items.get(item_id)) is None:
        raise UnknownError("is not known as of the night", where="item_id", mend="name one of the night's tables")
    return place


def _png(folder: str | None, path: str) -> bytes | None:
    """A picture drawn anew: a browser is handed no bytes that a shop's folder holds."""
    content = read(folder, path)
    pixels = content if isinstance(content, Fault) else decode(content, SIDE)
    if isinstance(pixels, Fault):
        return None
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()
