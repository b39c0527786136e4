"""What every request passes first: key, size and time-outs; and what is left of it: a line of the log and the metrics.

The log names no customer, item or text: method, path as the service knows it, status, milliseconds and a number.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from triad.serving.metrics import Metrics
from triad.serving.refusals import refused

LOG = logging.getLogger("triad.access")
OPEN = ("/health",)
"""Paths that need no key: whoever watches the process asks them."""

LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""Names of this machine. Where no key is asked for, a page of another site could else be led here by its own name."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Limits:
    """Of one request."""

    body: int = 262_144  # bytes
    read: float = 10.0  # seconds until the body is there
    answer: float = 20.0  # seconds


class Guard:
    """ASGI middleware around `app`. `key` None: anybody may ask. `files` need no key beside `OPEN`.

    `hosts`: the names that requests may ask for it by; None: any.
    """

    def __init__(
        self,
        app: Any,
        key: str | None,
        limits: Limits,
        metrics: Metrics,
        paths: frozenset[str],
        *,
        files: frozenset[str] = frozenset(),
        hosts: frozenset[str] | None = None,
    ) -> None:
        self._app, self._key, self._limits, self._metrics, self._paths = app, key, limits, metrics, paths
        self._open, self._hosts = files | set(OPEN), hosts
        self._number = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks it, and it would pass without a key
            await send({"type": "websocket.close", "code": 1008})
            return
        begun, answer = time.perf_counter(), _Answer(send)
        try:
            await self._pass(scope, receive, answer)
        finally:
            self._note(scope, answer.status, time.perf_counter() - begun)

    async def _pass(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._hosts is not None and _host(headers) not in self._hosts:
            mend = "ask 127.0.0.1 or localhost; for other names set TRIAD_SERVE_KEY"
            await self._refuse(scope, receive, answer, refused(421, "it has another name", "header Host", mend))
            return
        if self._key is not None and scope["path"] not in self._open and not _is(self._key, headers):
            await self._refuse(
                scope, receive, answer, refused(401, "no key, or another", "header X-API-Key", "send the key")
            )
            return
        try:
            body = await asyncio.wait_for(self._read(headers, receive), self._limits.read)
        except TimeoutError:
            mend = f"send it within {self._limits.read:g} s"
            await self._refuse(scope, receive, answer, refused(408, "the body did not come", "body", mend))
            return
        if body is None:
            mend = f"send at most {self._limits.body:,} bytes"
            await self._refuse(scope, receive, answer, refused(413, "the body is too large", "body", mend))
            return
        work = asyncio.ensure_future(self._app(scope, _once(body, receive), answer.send))
        done, _ = await asyncio.wait({work}, timeout=self._limits.answer)
        if done:
            if (error := work.exception()) is not None:
                LOG.error("%s", json.dumps({"error": type(error).__name__, "path": self._path(scope)}))
                await self._refuse(
                    scope, receive, answer, refused(500, "an error of the service", "service", "try again")
                )
            return
        await self._refuse(
            scope, receive, answer, refused(504, "the answer took too long", "service", "try again later")
        )
        answer.close()  # what the work says now is lost

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
        """The body; None where it is too large, of which no more is read."""
        told = headers.get(b"content-length", b"0")
        if not told.isdigit() or int(told[:20]) > self._limits.body:
            return None
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            parts.append(message.get("body", b""))
            size, more = size + len(parts[-1]), message.get("more_body", False)
            if size > self._limits.body:
                return None
        return b"".join(parts)

    async def _refuse(self, scope: Scope, receive: Receive, answer: _Answer, refusal: Any) -> None:
        if not answer.status:
            await refusal(scope, receive, answer.send)

    def _path(self, scope: Scope) -> str:
        return scope["path"] if scope["path"] in self._paths else "other"

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        path = self._path(scope)
        self._metrics.observe(path, status, seconds)
        told = {"n": next(self._number), "method": str(scope["method"])[:10], "path": path, "status": status}
        LOG.info("%s", json.dumps({**told, "ms": round(1000 * seconds, 2)}))


class _Answer:
    """Passes an answer on, and remembers its status; after `close` nothing more."""

    def __init__(self, send: Send) -> None:
        self._send, self._closed, self.status = send, False, 0

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if self._closed:
            return
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
        await self._send(message)

    def close(self) -> None:
        self._closed = True


def _host(headers: dict[bytes, bytes]) -> str:
    """The name that a request asks for, without the port."""
    return re.sub(r":\d*$", "", headers.get(b"host", b"").decode("latin-1").lower())


def _is(key: str, headers: dict[bytes, bytes]) -> bool:
    given = headers.get(b"x-api-key") or headers.get(b"authorization", b"").removeprefix(b"Bearer ")
    return hmac.compare_digest(given, key.encode())


def _once(body: bytes, receive: Receive) -> Receive:
    """A body that was read already."""
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def read() -> MutableMapping[str, Any]:
        return next(parts, None) or await receive()

    return read
