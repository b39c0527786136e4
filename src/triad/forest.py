"""Small boosted trees of LightGBM or scikit-learn, asked in NumPy: bit for bit the library's answers, and much sooner.

All splits of a tree are asked of many rows at once. A row that goes right cannot end in a leaf on the left; of the
leaves that are left, the first is its own (QuickScorer: Lucchese et al. 2015, doi:10.1145/2766462.2767733).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.errors import TriadError

ROWS = 32_768
"""Rows that all trees read before the next ones: they stay in the processor's cache."""
FEW = 1_024
"""Rows of which all splits of all trees are asked at once: for one list, one tree after another takes too long."""
LEAVES = 16
"""Of a tree at most: each is a bit."""
CATEGORICAL, DEFAULT_LEFT, NAN_IS_MISSING = 1, 2, 8
"""Bits of LightGBM's `decision_type`."""


@dataclass(frozen=True)
class Tree:
    """Its splits."""

    column: list[int]
    limit: Floats  # (splits,) float32: at most this goes left
    nan_left: list[bool]
    lost: Ints  # (splits,) bits of the leaves that are lost to who goes right
    value: Floats  # (2^leaves, …) by bits of the leaves lost

    def add(self, columns: Floats, total: Floats) -> None:
        """Add the values for `columns` (columns, p) to `total` (p, …)."""
        lost = np.zeros(columns.shape[1], self.lost.dtype)
        for column, limit, nan_left, bits in zip(self.column, self.limit, self.nan_left, self.lost, strict=True):
            right = columns[column] > limit if nan_left else ~(columns[column] <= limit)
            lost |= right.view(np.uint8) * bits
        total += np.take(self.value, lost, axis=0)


@dataclass(frozen=True)
class Stack:
    """The same trees side by side, each with as many splits as the largest; a split too many sends nobody right."""

    column: Ints  # (trees · splits,)
    limit: Floats
    nan_right: Bools
    lost: Ints
    value: Floats  # (trees, 2^leaves, …)

    @classmethod
    def of(cls, trees: Sequence[Tree]) -> Stack:
        """Of at least one tree."""
        splits, width = (max(map(len, parts)) for parts in ([t.column for t in trees], [t.value for t in trees]))
        several = trees[0].value.shape[1:]
        shape, size = (len(trees), max(splits, 1)), np.result_type(*(tree.lost.dtype for tree in trees))
        stack = cls(
            np.zeros(shape, np.int64),
            np.full(shape, np.inf, np.float32),
            np.zeros(shape, bool),
            np.zeros(shape, size),
            np.zeros((len(trees), width, *several)),
        )
        for row, tree in enumerate(trees):
            mine = row, slice(len(tree.column))
            stack.column[mine], stack.limit[mine], stack.lost[mine] = tree.column, tree.limit, tree.lost
            stack.nan_right[mine] = ~np.array(tree.nan_left, bool)
            stack.value[row, : len(tree.value)] = tree.value
        return stack

    def scores(self, columns: Floats) -> Floats:
        """(p, …) sums, added in the order of the trees, of (p, columns) float32."""
        asked = np.ascontiguousarray(columns.T, np.float32)[self.column.ravel()]
        right = asked > self.limit.reshape(-1, 1)
        right |= np.isnan(asked) & self.nan_right.reshape(-1, 1)
        lost = np.where(right, self.lost.reshape(-1, 1), 0).astype(self.lost.dtype)
        bits = np.bitwise_or.reduce(lost.reshape(*self.column.shape, -1), axis=1)
        values = self.value[np.arange(len(bits))[:, None], bits]
        return np.cumsum(values, axis=0)[-1]  # one after the other; `sum` adds one row's values in pairs


@dataclass(frozen=True)
class Forest:
    """Trees whose values add up."""

    trees: Sequence[Tree]

    def scores(self, columns: Floats) -> Floats:
        """(p, …) sums, added in the order of the trees, of (p, columns) float32."""
        return self._stack.scores(columns) if len(columns) <= FEW else self.scores_by(columns, (len(self.trees),))[0]

    def scores_by(self, columns: Floats, counts: Sequence[int]) -> Floats:
        """(choices, p, …) sums of the first so many trees, for each of `counts`, which rise."""
        return scores_by(self.trees, columns, counts)

    @cached_property
    def _stack(self) -> Stack:
        return Stack.of(self.trees)


def forest(text: str) -> list[Tree]:
    """The trees of a model as LightGBM writes it.

    Raises:
        TriadError: it has splits by category, or too many leaves.
    """
    return [_tree(told, None) for told in _parts(text)]


def _parts(text: str) -> list[dict[str, str]]:
    """What is said of each tree."""
    parts = text.split("end of trees", maxsplit=1)[0].split("\nTree=")[1:]
    return [dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in parts]


def _numbers(told: dict[str, str], name: str, kind: type) -> Any:
    return np.array(told.get(name, "").split(), kind)


def paths(text: str, group: Ints, groups: int) -> list[Tree]:
    """The trees of such a model with values that say how each came about: (2^leaves, groups).

    Each split on the way to a leaf moves what a row of the learned ones may expect, and the move counts for the split's
    column (Palczewska et al. 2013, doi:10.1109/IRI.2013.6642461). A row's sum is its score less the trees' means.

    Args:
        group: (columns,) of each column, below `groups`.
    """
    return [_tree(told, partial(_moves, told, group, groups)) for told in _parts(text)]


def _moves(told: dict[str, str], group: Ints, groups: int) -> Floats:
    """(leaves, groups)"""
    column, left, right = (_numbers(told, name, np.int64) for name in ("split_feature", "left_child", "right_child"))
    leaf, inner = _numbers(told, "leaf_value", np.float64), _numbers(told, "internal_value", np.float64)
    moves = np.zeros((len(leaf), groups))

    def walk(node: int, so_far: Floats) -> None:
        for child in (int(left[node]), int(right[node])):
            moved = so_far.copy()
            moved[group[column[node]]] += (inner[child] if child >= 0 else leaf[~child]) - inner[node]
            if child >= 0:
                walk(child, moved)
            else:
                moves[~child] = moved

    if len(column):
        walk(0, np.zeros(groups))
    return moves


def scores_by(trees: Sequence[Tree], columns: Floats, counts: Sequence[int]) -> Floats:
    """(choices, p, …) sums of the first so many trees, for each of `counts`, which rise.

    Args:
        columns: (p, columns) float32.
    """
    width = trees[0].value.shape[1:] if trees else ()
    sums = np.zeros((len(counts), len(columns), *width))
    for start in range(0, len(columns), ROWS):
        part = np.ascontiguousarray(columns[start : start + ROWS].T, np.float32)
        total, done = np.zeros((part.shape[1], *width)), 0
        for choice, count in enumerate(counts):
            for tree in trees[done:count]:
                tree.add(part, total)
            done = count
            sums[choice, start : start + ROWS] = total
    return sums


def _tree(told: dict[str, str], values: Callable[[], Floats] | None) -> Tree:
    """Its leaves hold what `values` gives, (leaves, …), in place of their own."""
    names = ("decision_type", "split_feature", "left_child", "right_child")
    how, column, left, right = (_numbers(told, name, np.int64) for name in names)
    limit, value = (_numbers(told, name, np.float64) for name in ("threshold", "leaf_value"))
    if (how & CATEGORICAL).any() or len(value) > LEAVES:
        mend = f"grow trees that split numbers and have {LEAVES} leaves at most"
        raise TriadError("it cannot be asked", where="re-ranker", mend=mend)
    # where none was missing in training, a missing number is read as 0
    nan_left = np.where(how & NAN_IS_MISSING, how & DEFAULT_LEFT, limit >= 0).astype(bool)
    return grown(column, limit, nan_left, (left, right), value if values is None else values())


def grown(column: Ints, limit: Floats, nan_left: Bools, below: tuple[Ints, Ints], value: Floats) -> Tree:
    """A tree of its splits, the root first, and its leaves.

    Args:
        column, limit, nan_left: (splits,) at most `limit` goes left.
        below: (splits,) each, left and right: another split, or ~leaf.
        value: (leaves, …), `LEAVES` at most.
    """
    order: list[int] = []  # leaves, from left to right
    left, right = (each.tolist() for each in below)
    lost: Ints = np.zeros(len(left), np.uint8 if len(value) <= 8 else np.uint16)

    def walk(child: int) -> int:
        """The bits of the leaves below."""
        if child < 0:
            order.append(~child)
            return 1 << (len(order) - 1)
        bits = walk(left[child])
        lost[child] = bits
        return bits | walk(right[child])

    walk(0 if left else -1)
    return Tree(column.tolist(), _floor(limit), nan_left.tolist(), lost, value[[*order, 0]][_first(len(order))])


@cache
def _first(leaves: int) -> Ints:
    """(2^leaves,) by bits of the leaves lost, the first leaf that is not; the last row, all lost, does not occur."""
    bits = np.arange(1 << leaves)
    return np.log2(~bits & (bits + 1)).astype(np.int64)


def _floor(limit: Floats) -> Floats:
    """The largest float32 that is no larger: the same float32 numbers lie at or below it."""
    with np.errstate(over="ignore"):
        near = limit.astype(np.float32)
    return np.where(near > limit, np.nextafter(near, np.float32(-np.inf)), near)
