"""Where stages keep their outputs, and how an output appears: whole, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ARTIFACTS = Path("artifacts")
"""Each stage writes `artifacts/<stage>/`, relative to the folder that holds dvc.yaml."""

TABLES = ARTIFACTS / "ingest" / "tables"
ORACLE = ARTIFACTS / "ingest" / "oracle"
"""A simulated shop's true probabilities. Only evaluation may read them."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A fresh folder to write in, which takes `target`'s place at the end, and only if nothing was raised.

    The folder that stood there stays usable until then: a killed or failed writer loses nothing.
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
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if target.exists():
        target.rename(gone)
    fresh.rename(target)
    shutil.rmtree(gone, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, the same bytes for the same value; NaN is refused."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")
    fresh.replace(path)


def read_json(path: Path) -> Any:
    """The JSON value in `path`."""
    return json.loads(path.read_text())
