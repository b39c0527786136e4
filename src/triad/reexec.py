"""Restarts a process that has compiled many networks, because XLA keeps their memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FULL = 0.5
"""Of the memory mappings that Linux allows a process, by default 65,530."""


def reexec_when_full() -> None:
    """Replace this process by one that was asked the same, where it has taken `FULL` of its memory mappings.

    A network that XLA compiles for CPUs takes about a thousand, which are never given back; where none is left, LLVM
    aborts the process ("Unable to allocate section memory"). For a program that goes on where it was when it is asked
    again, and of which each process gets something done before it calls this. Elsewhere than on Linux nothing is done.
    """
    try:
        allowed = int(Path("/proc/sys/vm/max_map_count").read_text())
        taken = Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return
    if taken > FULL * allowed:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
