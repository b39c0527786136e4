"""A connection of the service: HTTP/1.1 as h11 reads it, and no client who keeps one without asking anything.

A slow or silent client costs nothing but its connection, of which a worker has few. So who begins has a time to say
what is asked, and to take the answer; between, `guard` has its own. h11 limits the size of a request's head; what
uvicorn prefers where it is installed does not.

Who was answered while still sending (too large, refused) is read for a while yet: to close on bytes that nobody read
resets the connection, and a client may then lose the answer (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD = 10.0
"""Seconds for a request's head, and for what a client still sends after it was answered or refused."""
TAKEN = 20.0
"""Seconds in which a client takes nothing of an answer that is ready."""
HEAD_BYTES = 16_384


class Connection(H11Protocol):
    """As uvicorn's, with these limits."""

    _until: asyncio.TimerHandle | None = None
    _taken: asyncio.TimerHandle | None = None
    _read_on: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(_Transport(transport, self._close))
        self._until = self.loop.call_later(HEAD, self._end)

    def data_received(self, data: bytes) -> None:
        if self._read_on is not None:
            return
        super().data_received(data)
        if self._is_asked():
            self._until = _stop(self._until)
        elif self._until is None:
            self._until = self.loop.call_later(HEAD, self._end)

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()  # an answer has begun, or was given: there is no other

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._until = _stop(self._until)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taken = self._taken or self.loop.call_later(TAKEN, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken = _stop(self._taken)

    def connection_lost(self, exc: Exception | None) -> None:
        self._until, self._taken, self._read_on = _stop(self._until), _stop(self._taken), _stop(self._read_on)
        super().connection_lost(exc)

    def _is_asked(self) -> bool:
        """Whether a request is being read or answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _end(self) -> None:
        self._until = None
        if not self._is_asked():
            self.timeout_keep_alive_handler()

    def _close(self, transport: asyncio.Transport) -> None:
        """Close; where the client still sends, say first that nothing more comes, and read on."""
        if self._read_on is not None or transport.is_closing() or not self._hears():
            transport.close()
            return
        self._until, self._read_on = _stop(self._until), self.loop.call_later(HEAD, transport.abort)
        if self._is_asked():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        transport.resume_reading()
        transport.write_eof()

    def _hears(self) -> bool:
        """Whether the client has not said all of its request."""
        return self.conn.their_state in (h11.SEND_BODY, h11.ERROR)


class _Transport:
    """A connection's transport, which `close` ends."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[asyncio.Transport], None]) -> None:
        self._transport, self._close, self._closing = transport, close, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def close(self) -> None:
        self._closing = True
        self._close(self._transport)


def _stop(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """What stands in the timer's place: nothing."""
    if timer is not None:
        timer.cancel()
    return None
