"""`dvc repro` for the studies: one stage, or several chains of stages at once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from triad.errors import TriadError


def repro(*arguments: str) -> bool:
    """Whether `dvc repro` failed, of which DVC has said why."""
    return subprocess.run(["dvc", "--wait-for-lock", "repro", *arguments], check=False).returncode != 0


def at_once(chains: Sequence[Sequence[str]], jobs: int) -> bool:
    """Run `chains` of stages that need none but finished ones, `jobs` at a time, each on its part of the cores.

    Gives whether any stage failed; the others are run all the same.

    Raises:
        TriadError: there are fewer cores than jobs.
    """
    pins = hasattr(os, "sched_setaffinity")  # on Linux
    cores = sorted(os.sched_getaffinity(0)) if pins else list(range(os.cpu_count() or 1))
    if jobs > len(cores):
        raise TriadError(f"{jobs} jobs for {len(cores)} cores", where="--jobs", mend=f"ask for {len(cores)} at most")
    parts = SimpleQueue[set[int]]()
    for first in range(jobs):
        parts.put(set(cores[first::jobs]))

    def settle() -> None:
        if pins:  # of this thread alone, and of what it starts, which then runs as many threads as it sees cores
            os.sched_setaffinity(0, parts.get())

    with ThreadPoolExecutor(jobs, initializer=settle) as pool:
        # without --single-item a chain would look at the data that another's unit is reading, which DVC refuses
        return any(list(pool.map(lambda chain: repro("--single-item", "--keep-going", *chain), chains)))
