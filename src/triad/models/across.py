"""Sums over the workers that share a step: what one worker alone would have summed over the whole batch.

Inside `workers` a loss is that of the global batch, and the mean of the workers' gradients is its gradient. Outside,
and with one worker, a sum is what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from keras import ops

_REDUCE: list[tuple[int, Callable[[Any], Any]]] = []


@contextmanager
def workers(count: int, reduce: Callable[[Any], Any]) -> Iterator[None]:
    """Inside, `count` workers trace the same operations, and `reduce` sums a tensor over them."""
    _REDUCE.append((count, reduce))
    try:
        yield
    finally:
        _REDUCE.pop()


def total(value: Any) -> Any:
    """The sum of `value` over the workers; its gradient is `count` times each worker's own, whose mean is the sum's."""
    if not _REDUCE:
        return value
    count, reduce = _REDUCE[-1]
    own = count * value
    return own + ops.stop_gradient(reduce(ops.stop_gradient(value)) - own)


def mean(value: Any) -> Any:
    """The mean of `value` over the workers. No gradient flows through it where there are several."""
    if not _REDUCE:
        return value
    count, reduce = _REDUCE[-1]
    return reduce(ops.stop_gradient(value)) / count
