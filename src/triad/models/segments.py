"""Cuts streams into segments for the trunk: each requested state is computed once and reads only its past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triad.arrays import Ints


@dataclass(frozen=True)
class Segments:
    """Runs of a user's interactions, and where each asked row reads its state.

    Attributes:
        user: (s,) catalogue row of the user.
        first: (s,) place of the run's first interaction in the user's own stream.
        length: (s,) interactions read; no state beyond the last one is asked for.
        segment: (n,) the segment of each asked row.
        step: (n,) the state of each asked row: after `step` interactions of its segment, 0 is the start state.
    """

    user: Ints
    first: Ints
    length: Ints
    segment: Ints
    step: Ints


def segment(user: Ints, history: Ints, max_steps: int) -> Segments:
    """The segments that hold the states asked for.

    Segments of `max_steps` interactions start every `max_steps // 2`: a state after `history` interactions is read in
    the first segment that reaches it, so it sees all of them, or at least `max_steps - max_steps // 2 + 1`.

    Args:
        user: (n,) catalogue rows.
        history: (n,) how many of the user's interactions each state has seen.
        max_steps: interactions read at once, at least 2.
    """
    user, history = np.asarray(user, np.int64), np.asarray(history, np.int64)
    stride = max_steps // 2
    number = -(-np.maximum(history - max_steps, 0) // stride)
    names, place = np.unique(np.stack([user, number], axis=1), axis=0, return_inverse=True)
    place = place.reshape(-1)
    step = history - number * stride
    length = np.zeros(len(names), np.int64)
    np.maximum.at(length, place, step)
    return Segments(names[:, 0], names[:, 1] * stride, length, place, step)
