"""A unit of examples: what one row is, and how rows are made, for training and for serving alike."""

from __future__ import annotations

from typing import Protocol


class Unit(Protocol):
    """What code elsewhere asks of a unit."""

    name: str
    arrays: type
    """A frozen dataclass of arrays. Its `split` (n,) is each row's place in SPLITS, -1 where it is left out; a unit
    with tasks of its own has `labels` (n, tasks), the columns as `Meta.tasks` names them."""
