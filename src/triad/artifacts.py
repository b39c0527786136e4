"""Where stages keep their outputs, and how an output appears: whole, or not at all."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from triad.errors import TriadError

ARTIFACTS = Path("artifacts")
"""Each stage writes `artifacts/<stage>/`, relative to the folder that holds dvc.yaml."""

TABLES = ARTIFACTS / "ingest" / "tables"
ORACLE = ARTIFACTS / "ingest" / "oracle"
"""A simulated shop's true probabilities. Only evaluation may read them."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A fresh folder to write in, which takes `target`'s place at the end, and only if nothing was raised.

    The folder that stood there stays usable until then: a killed or failed writer loses nothing.

    Raises:
        TriadError: the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.parent / f".{target.name}.new"
    gone = target.parent / f".{target.name}.old"
    if gone.exists() and not target.exists():  # a writer was killed between the two renames below
        gone.rename(target)
    for leftover in (fresh, gone):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
    except BaseException as error:
        full = isinstance(error, OSError) and _is_full(error, target.parent)
        shutil.rmtree(fresh, ignore_errors=True)
        if not full:
            raise
        raise TriadError(
            f"no space left on the disk ({error}); earlier outputs are as they were",
            where=str(target),
            mend="free some space or choose a smaller window, and run again",
            transient=True,
        ) from error
    if target.exists():
        target.rename(gone)
    fresh.rename(target)
    shutil.rmtree(gone, ignore_errors=True)


def _is_full(error: OSError, folder: Path) -> bool:
    # NumPy's writer says how much it could not write, without an error number
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or (
        error.errno is None and shutil.disk_usage(folder).free < 1 << 20
    )


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """A path to write to, of `path`'s suffix, which takes `path`'s place at the end, and only if nothing was raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".new.{path.name}")
    try:
        yield fresh
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    fresh.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, the same bytes for the same value; NaN is refused."""
    with replacing_file(path) as fresh:
        fresh.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON value in `path`."""
    return json.loads(path.read_text())
