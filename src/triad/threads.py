"""Work that lets go of Python, in as many threads as there are processors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

from threadpoolctl import ThreadpoolController, threadpool_limits

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], parts: Iterable[T]) -> list[R]:
    """`work` of each part, in their order. Each part keeps to one thread: libraries' own would wait for one another."""
    parts = list(parts)
    if len(parts) == 1:
        with _loaded().limit(limits=1, user_api="openmp"):
            return [work(parts[0])]
    # OpenMP counts by the thread that asks, so this holds for these threads alone
    with ThreadPoolExecutor(os.cpu_count() or 1, initializer=partial(threadpool_limits, 1, "openmp")) as pool:
        return list(pool.map(work, parts))


@cache
def _loaded() -> ThreadpoolController:
    """The libraries that have threads. To look for them takes milliseconds, which a small part does not."""
    return ThreadpoolController()
