"""The unit `lists`: from a user's state, which items of the whole catalogue are turned to next?"""

from __future__ import annotations

from dataclasses import dataclass

from triad.arrays import Ints


@dataclass(frozen=True)
class Lists:
    """Queries, each answered by ranking the catalogue. Of the splits after train."""

    user: Ints  # (q,)
    history: Ints  # (q,) interactions strictly before, at least one
    time: Ints  # (q,) µs of the targets
    split: Ints  # (q,)
    offsets: Ints  # (q + 1,)
    target: Ints  # catalogue rows; query i's are target[offsets[i]:offsets[i + 1]], each once, ascending


@dataclass(frozen=True)
class _Unit:
    name: str = "lists"
    arrays: type = Lists


UNIT = _Unit()
