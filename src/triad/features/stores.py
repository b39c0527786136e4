"""Folders for what is too large for memory, which a killed run of the same inputs goes on from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from triad.digests import code_digest, digest
from triad.durable import remove, sweep

STORES = Path(".triad")
_NAME = re.compile(r"[0-9a-f]{16}")


@contextmanager
def store(stage: str, tables: Path, read: Sequence[Any]) -> Iterator[Path]:
    """Where a killed run of `stage`, with the same code and tables and what else it `read`, left its parts.

    Those of other runs of the stage are removed, and in the end this run's, unless it is killed.
    """
    stores = STORES / stage
    inputs = [*read, digest(tables), code_digest(), duckdb.__version__, np.__version__]
    own = stores / hashlib.sha256(repr(inputs).encode()).hexdigest()[:16]
    sweep(stores)
    for other in stores.glob("*"):
        if other != own and _NAME.fullmatch(other.name) and other.is_dir() and not other.is_symlink():
            remove(other)
    try:
        yield own
    except Exception:
        if own.is_dir():
            remove(own)
        raise
    if own.is_dir():
        remove(own)
