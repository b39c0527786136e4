"""The unit `exposures`: what a user was shown, or may have been; the models score each of them."""

from __future__ import annotations

from dataclasses import dataclass

from triad.arrays import Bools, Floats, Ints
from triad.texts import Texts


@dataclass(frozen=True)
class Exposures:
    """What the models score, by user, then by time. (n,) unless said otherwise."""

    event_id: Texts
    user: Ints  # catalogue row
    item: Ints  # catalogue row
    time: Ints  # µs
    split: Ints
    history: Ints  # how many of the user's interactions happened strictly before `time`: the trunk's step to read
    context: Floats  # (n, n_context) raw values, NaN where unknown; names in Meta.context
    labels: Floats  # (n, n_tasks) columns as Meta.tasks has them; NaN is missing and must be masked
    is_new_user: Bools  # no interaction before the exposure's split began
    is_cold_item: Bools  # fewer than min_count train interactions


@dataclass(frozen=True)
class _Unit:
    name: str = "exposures"
    arrays: type = Exposures


UNIT = _Unit()
