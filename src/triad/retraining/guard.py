"""Runs a command and ends its whole process group when asked to stop, or when its starter is gone.

A program of its own, `python -I guard.py COMMAND …`, in a session of its own, because a killed process (kill -9)
can end nobody: its death must be seen by another. Standard library only, to start at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

_GRACE = 5  # seconds between asking and killing
_PR_SET_PDEATHSIG = 1


class _StopAskedError(Exception):
    pass


def _die_with_parent() -> None:
    """Be asked to stop when the parent dies, however it dies. Linux has this; elsewhere only the asking is left."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _ask_to_stop(*_: Any) -> None:
    raise _StopAskedError


def main(parent: int, command: list[str]) -> int:
    """The command's exit code, 128 + n where signal n ended it."""
    signal.signal(signal.SIGTERM, _ask_to_stop)
    signal.signal(signal.SIGINT, _ask_to_stop)
    child = None
    try:
        _die_with_parent()
        if os.getppid() != parent:  # it died before it could be watched
            return 128 + signal.SIGTERM
        child = subprocess.Popen(command)
        code = child.wait()
        return code if code >= 0 else 128 - code
    except _StopAskedError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if child is not None:
            os.killpg(0, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE)
        os.killpg(0, signal.SIGKILL)  # this process too
        raise


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
