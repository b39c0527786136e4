"""The environment of every `triad` command: what must be set before its process starts, and whose code it runs.

Only the standard library is imported: the process that restarts itself has then loaded nothing in vain.
"""

from __future__ import annotations

import atexit
import codecs
import os
import sys
import threading
from pathlib import Path

# Variables that must be set before a process that runs stages starts. The malloc settings keep glibc from returning
# each training step's memory to the system and requesting it again (560 → 943 examples/s on two CPU cores).
ENVIRONMENT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "67108864",
    # waiting threads must sleep: with spinning ones the boosted trees took 219 s instead of 40 s beside other work
    "OMP_WAIT_POLICY": "PASSIVE",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "KERAS_BACKEND": "tensorflow",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # it would read the metadata of every package that is installed
}


def other_code() -> Path | None:
    """The folder of the present checkout's code, where it is not the code that runs."""
    here = next((path.resolve() for path in (Path("src/triad"), Path("../src/triad")) if path.is_dir()), None)
    return here.parent if here is not None and here != Path(__file__).resolve().parent else None


def open_closed() -> None:
    """Give what was closed (`triad … >&-`, some schedulers) an end that takes everything.

    Else the next file that is opened has its number, and what a child process prints lands in that file.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))


def enter() -> None:
    """Restart once, with the environment above and with the code of the present checkout.

    A night's run has its own checkout: its stages must run that revision's code, whatever revision is installed.
    Nothing is done where that folder's path cannot be an entry of PYTHONPATH (`triad.paths.entry` says so).
    """
    open_closed()
    wanted = {name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()}
    if code := other_code():
        if os.pathsep in str(code):
            return
        wanted["PYTHONPATH"] = str(code)
    # files are UTF-8 whatever encoding the terminal has; output to the terminal keeps its encoding
    wanted |= {"PYTHONUTF8": "1"}
    if codecs.lookup(sys.stdout.encoding).name != "utf-8":
        wanted.setdefault("PYTHONIOENCODING", os.environ.get("PYTHONIOENCODING", sys.stdout.encoding))
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        arguments = [sys.executable, "-m", "triad", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, **wanted})


def leave() -> None:
    """End the process well, without taking apart all that it holds: behind TensorFlow that takes more than a second.

    What was registered for the end is done and output is written. Where a thread still works, or output cannot be
    written, nothing is done here, and Python ends as always.
    """
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        return
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except OSError:
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)
