"""What each of a few players is worth: Shapley values (Shapley 1953) over one order of players and its reverse.

Shares always sum to what all players are worth beyond none. Over such a pair of orders they are exact up to
interactions of two players (Mitchell et al. 2022, arXiv:2104.12199).

Example:
    >>> import numpy as np
    >>> there = coalitions(2)
    >>> shares(there @ np.array([1.0, 2.0]) + 3.0 * there.all(axis=1)).tolist()
    [2.5, 3.5]
"""

from __future__ import annotations

import numpy as np

from triad.arrays import Bools, Floats


def coalitions(players: int) -> Bools:
    """(2 · players, players) who is there: nobody; the first, the first two …; the last, the last two …; all."""
    place, count = np.arange(players), np.arange(1, players)[:, None]
    return np.concatenate([place[None] < 0, place < count, place >= players - count, place[None] >= 0])


def shares(values: Floats) -> Floats:
    """(players, …) of (2 · players, …) worths of `coalitions`."""
    players = len(values) // 2
    none, every = values[:1], values[-1:]
    first = np.diff(np.concatenate([none, values[1:players], every]), axis=0)
    last = np.diff(np.concatenate([none, values[players:-1], every]), axis=0)[::-1]
    return (first + last) / 2
