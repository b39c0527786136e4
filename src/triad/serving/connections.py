"""A connection of the service: HTTP/1.1 as h11 reads it, and no client who keeps one without asking anything.

A slow or silent client costs nothing but its connection, of which a worker has few. So who begins has a time to say
what is asked, and to take the answer; between, `guard` has its own. h11 limits the size of a request's head; what
uvicorn prefers where it is installed does not.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD = 10.0
"""Seconds for a request's head, and for what a client still sends after it was answered."""
TAKEN = 20.0
"""Seconds in which a client takes nothing of an answer that is ready."""
HEAD_BYTES = 16_384


class Connection(H11Protocol):
    """As uvicorn's, with these limits."""

    _until: asyncio.TimerHandle | None = None
    _taken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._until = self.loop.call_later(HEAD, self._end)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_asked():
            self._until = _stop(self._until)
        elif self._until is None:
            self._until = self.loop.call_later(HEAD, self._end)

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
        self._until, self._taken = _stop(self._until), _stop(self._taken)
        super().connection_lost(exc)

    def _is_asked(self) -> bool:
        """Whether a request is being read or answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _end(self) -> None:
        self._until = None
        if not self._is_asked():
            self.timeout_keep_alive_handler()


def _stop(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """What stands in the timer's place: nothing."""
    if timer is not None:
        timer.cancel()
    return None
