"""Who keeps a connection and asks nothing loses it, and HTTP is read alike wherever the service is installed."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from uvicorn import Server

from triad.serving import connections
from triad.serving.commands import configured
from triad.serving.guard import Guard, Limits
from triad.serving.metrics import Metrics

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
ENDLESS = 32 << 20
"""Bytes of an answer that no buffer between two processes holds."""


async def answers(scope: Any, receive: Any, send: Any) -> None:
    size = ENDLESS if scope["path"] == "/endless" else 2
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    for _ in range(max(size >> 20, 1)):
        await send({"type": "http.response.body", "body": b"o" * min(size, 1 << 20), "more_body": True})
    await send({"type": "http.response.body"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = Guard(answers, None, Limits(body=1000, read=0.3), Metrics(), frozenset())
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as listening:
        patch.setattr(connections, "HEAD", 0.6)
        patch.setattr(connections, "TAKEN", 0.6)
        server = Server(configured(app, lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def lasts(port: int, first: bytes, step: bytes, patience: float = 8.0) -> tuple[float, bytes]:
    """How long a client is heard who says `first`, then `step` again and again; and what it was told."""
    begun, said = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.settimeout(0.05)
        try:
            line.sendall(first)
            while time.monotonic() - begun < patience:
                try:
                    if not (piece := line.recv(65_536)):
                        break
                    said += piece
                except TimeoutError:
                    line.sendall(step)
        except OSError:
            pass  # hung up while we spoke
    return time.monotonic() - begun, said


@pytest.mark.parametrize(
    ("first", "step", "told"),
    [
        (b"", b"", b""),
        (b"G", b"", b""),
        (HEAD, b"x: a\r\n", b""),
        (POST + b"Content-Length: 900\r\n\r\n", b" ", b" 408 "),
        (POST + b"Content-Length: 9000\r\n\r\n", b" ", b" 413 "),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", b" 408 "),
        (HEAD + b"\r\n" + HEAD, b"x: a\r\n", b" 200 "),
    ],
    ids=["silent", "one letter", "slow head", "slow body", "too large and slow", "slow chunks", "slow second head"],
)
def test_who_dribbles_is_hung_up_on(first: bytes, step: bytes, told: bytes, port: int) -> None:
    seconds, said = lasts(port, first, step)
    assert seconds < 4 and told in said and len(said) < 400


def test_who_takes_nothing_of_an_answer_is_hung_up_on(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(HEAD.replace(b"/ ", b"/endless ") + b"\r\n")
        time.sleep(2)
        line.settimeout(10)
        taken = 0
        try:
            while piece := line.recv(1 << 20):
                taken += len(piece)
        except ConnectionResetError:
            pass
    assert taken < ENDLESS


def test_a_client_who_asks_again_in_time_keeps_its_connection(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        for _ in range(4):
            time.sleep(0.3)
            line.sendall(HEAD + b"\r\n")
            assert line.recv(65_536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"x: " + b"a" * 1_000_000 + b"\r\n\r\n",
        HEAD + b"".join(b"x%d: a\r\n" % n for n in range(100_000)) + b"\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 1_000_000,
        HEAD + b"Host: example.org\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        POST + b"Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\nabcde",
        POST + b"Content-Length : 5\r\n\r\nabcde",
    ],
)
def test_what_readers_of_http_understand_differently_is_refused(sent: bytes, port: int) -> None:
    assert b" 400 " in lasts(port, sent, b"")[1].split(b"\r\n")[0]


@pytest.mark.parametrize("closing", [b"", b"Connection: close\r\n"], ids=["kept", "closed"])
@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"Content-Length: 4000000\r\n\r\n", b" 413 "),
        (b"Transfer-Encoding: chunked\r\n\r\n3d0900\r\n", b" 413 "),
        (b"Transfer-Encoding: chunked\r\n\r\nno number\r\n", b" 400 "),
        (b"Content-Length: no number\r\n\r\n", b" 400 "),
    ],
    ids=["too long", "chunk too long", "no chunk", "no length"],
)
def test_who_still_sends_is_told_why_it_is_refused(start: bytes, status: bytes, closing: bytes, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(POST + closing + start)
        time.sleep(0.1)  # refused by now
        for _ in range(4):
            line.sendall(b" " * 1_000_000)
        assert status in line.recv(65_536).split(b"\r\n")[0]


def test_what_is_malformed_after_the_answer_ends_the_connection(port: int, caplog: pytest.LogCaptureFixture) -> None:
    chunks = POST + b"Transfer-Encoding: chunked\r\n\r\n3d0900\r\n" + b" " * 4_000_000
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(chunks)
        assert b" 413 " in line.recv(65_536)
        line.sendall(b"no end of a chunk")
        assert line.recv(65_536) == b""
    assert "Fatal error" not in caplog.text


def test_no_other_protocol_passes_the_guard() -> None:
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    asyncio.run(Guard(None, "key", Limits(), Metrics(), frozenset())({"type": "websocket"}, send, send))  # type: ignore[arg-type]
    assert said == [{"type": "websocket.close", "code": 1008}]
