"""Work that lets go of Python, in as many threads as there are processors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], parts: Iterable[T]) -> list[R]:
    """`work` of each part, in their order. Each part keeps to one thread: libraries' own would wait for one another."""

    # OpenMP counts by the thread that asks, so this holds for these threads alone
    with ThreadPoolExecutor(os.cpu_count() or 1, initializer=partial(threadpool_limits, 1, "openmp")) as pool:
        return list(pool.map(work, parts))
