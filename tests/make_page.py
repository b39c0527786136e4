"""The page over a night whose words attack it, and over answers of a model that has every part."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import uvicorn
from fastapi import FastAPI, Request
from make_night import make_night
from make_tables import make_tables
from PIL import Image

from triad.serving import files

HOSTILE = (
    "<img src=x onerror=window.hurt=1>",
    '"><script>window.hurt=1</script>',
    "javascript:window.hurt=1",
    "\u202egnp.exe\u0007 A" + "a" * 180,
    "{{7*7}} ${7*7} &lt;b&gt;bold&lt;/b&gt; '\"`",
)


def dot() -> str:
    """A grey picture as a table holds it."""
    held = io.BytesIO()
    Image.new("L", (10, 10), 128).save(held, "PNG")
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()


PICTURES = (dot(), "../../../etc/passwd", "data:image/svg+xml;base64,PHN2Zy8+", None)


def hostile_night(root: Path) -> Path:
    """A night whose titles, categories, brands, descriptions and pictures are what an attacker would upload."""
    tables = make_tables()
    items, count = tables["items"], tables["items"].num_rows
    said = {
        "title": [HOSTILE[n % len(HOSTILE)] for n in range(count)],
        "category": [f"<b>c{n % 3}</b>" for n in range(count)],
        "brand": [HOSTILE[n % 2] for n in range(count)],
        "description": [HOSTILE[(n + 1) % len(HOSTILE)] for n in range(count)],
        "attributes": [json.dumps({"<i>colour</i>": HOSTILE[0]}) for _ in range(count)],
        "image_path": [PICTURES[n % len(PICTURES)] for n in range(count)],
    }
    for name, values in said.items():
        column = pa.array(values, pa.string())
        place = items.schema.get_field_index(name)
        items = items.append_column(name, column) if place < 0 else items.set_column(place, name, column)
    return make_night(root, tables={**tables, "items": items})


ITEMS = [
    {
        "item_id": f"i{n}",
        "title": HOSTILE[n % len(HOSTILE)] if n % 2 else f"Oak shelf {n}",
        "category": "home/<b>shelves</b>",
        "brand": "Heim & Co",
        "price_cents": 1000 + 250 * n,
        "rank": n + 1,
        "score": 0.3 - n / 100,
        "visits": n,
        "explored": n == 3,
        "reason": f"because you bought {HOSTILE[0]}",
        "why": [
            {"part": "own", "words": "what this customer did before", "value": 0.2},
            {"part": "x", "words": HOSTILE[1], "value": -0.1},
        ],
        "because": [{"item_id": "i9", "words": f"they bought {HOSTILE[2]} yesterday", "value": 0.12}],
        "why_found": [],
    }
    for n in range(6)
]
SHOP: dict[str, Any] = {
    "version": "2",
    "as_of": "2026-03-01T00:00:00Z",
    "currency": "EUR",
    "customers": [{"user_id": f"u<i>{n}</i>", "events": 9 + n} for n in range(3)],
    "categories": ["home/shelves"],
    "brands": ["Heim & Co"],
    "can": dict.fromkeys(
        ("search", "answer", "price", "classify", "describe", "forecast", "similar_items", "bought_together"), True
    ),
    "thresholds": {"intent": 0.6, "reply": 0.7},
    "verdict": {"verdict": "PASS", "reasons": [HOSTILE[0]]},
}
VERSIONS = [
    {"version": "2", "serves": True, "verdict": "PASS", "as_of": "2026-03-01", "promoted_at": "2026-03-01T04:00:00"},
    {"version": "1", "serves": False, "verdict": "PASS", "as_of": "2026-02-28", "promoted_at": "2026-02-28T04:00:00"},
]
PRICE = {
    "item_id": "new",
    "price_cents": 5214,
    "low_cents": 2272,
    "high_cents": 11737,
    "level": 0.9,
    "comparables": "i1 at 31.92 (83% alike); i2 at 32.03 (80% alike)",
    "why": "its category raises it by 12%",
    "note": HOSTILE[0],
}
ADVICE = {
    "price_cents": 1000,
    "advised_cents": 1100,
    "best_low_cents": 1050,
    "best_high_cents": 1150,
    "gain": 0.02,
    "gain_low": 0.01,
    "gain_high": 0.03,
    "level": 0.9,
    "why": HOSTILE[0],
}
COMING = {
    "item_id": "i0",
    "task": "demand",
    "from_day": "2026-03-01",
    "days": 7,
    "before": 3.0,
    "expected": 4.2,
    "low": 1.0,
    "high": 8.0,
    "level": 0.9,
}
ANSWERED = {
    "message_id": "page-1",
    "intent": "order_status",
    "intent_score": 0.98,
    "reply": f"It is on its way. {HOSTILE[0]}",
    "reply_score": 0.91,
    "reply_source": "m7",
    "because": {"reply": [{"word": "parcel", "words": "parcel", "value": 0.6}]},
}
REFUSED = ANSWERED | {"intent": None, "intent_score": 0.3, "reply": None, "reply_score": 0.2, "reply_source": None}
PATCHES = [
    {"row": at // 4, "column": at % 4, "grid": 4, "words": f"patch {at}", "value": 0.3 - at / 30} for at in range(16)
]
CLASS = {
    "item_id": "n",
    "picture": "read",
    "category": "home/shelves",
    "category_score": 0.8,
    "because": {"category": {"patches": PATCHES, "words": [{"word": "oak", "words": HOSTILE[1], "value": 0.4}]}},
}
OTHERWISE = {"if": f"its brand were {HOSTILE[0]}", "price_cents": 7777, "low_cents": 5555, "high_cents": 9999}
OVERALL = {
    "task": "click",
    "rests_on": [{"of": "where it is shown", "value": 0.54}, {"of": HOSTILE[0], "value": 0.22}],
    "by_price": [{"at": "80 %", "value": 0.026}, {"at": "100 %", "value": 0.021}],
    "by_time_away": [{"after": "1 day", "value": 0.02}],
}
POSTED: dict[str, Any] = {
    "recommend": {"items": ITEMS, "why_sums_to": "score"},
    "similar": {"items": ITEMS[:4]},
    "search": {"items": ITEMS[:3], "match": "corrected"},
    "price": {"rows": [PRICE | {"changes": [OTHERWISE]}]},
    "classify": {"rows": [CLASS]},
    "advise": {"items": [ADVICE]},
    "forecast": {"items": [COMING]},
    "score": {"items": [{"click": 0.1, "changes": [{"if": "a tenth dearer", "click": 0.05}]}]},
    "describe": {
        "texts": [{"genre": "title", "text": HOSTILE[0], "written_by": "model", "why": "", "machine_made": True}]
    },
}


def complete() -> tuple[FastAPI, list[Any]]:
    """A service of canned answers in the real one's form, with the page; and what was asked of it."""
    app, asked = FastAPI(), []
    gets = {
        "/shop": SHOP,
        "/shop/customer": {"is_known": True, "lately": [ITEMS[1] | {"kind": "purchase", "day": "2026-02-27"}]},
        "/shop/item": ITEMS[1] | {"description": HOSTILE[0], "attributes": '{"material": "oak"}', "has_picture": False},
        "/shop/products": {"items": ITEMS[:4]},
        "/merchant": {"model": "triad", "versions": VERSIONS, "may_roll_back": True, "delivery": None},
        "/merchant/why/2": "verdict PASS",
        "/health": {"version": "2"},
        "/importance": {"tasks": [OVERALL]},
    }
    for path, told in gets.items():
        app.get(path)(lambda told=told: told)

    @app.get("/shop/picture", status_code=204)
    def picture() -> None:
        return None

    @app.post("/{name:path}")
    async def post(name: str, request: Request) -> Any:
        body = await request.json()
        asked.append((name, body, request.headers.get("x-api-key")))
        if name == "answer":
            return {"answers": [REFUSED if "match" in body["messages"][0]["message"] else ANSWERED]}
        return POSTED.get(name, {"told": "Version 1 serves now.", "delivery": None})

    files.add(app)
    return app, asked


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of `app`, on a free port of this machine."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"
        server.should_exit = True
        thread.join(10)
