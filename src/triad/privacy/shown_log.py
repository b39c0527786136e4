"""The log of what the service showed (`serve.log`): it names customers, so it forgets them, too.

A process adds to files of the present day alone, so lines are taken out of earlier ones while services run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from triad.artifacts import replacing_file, sweep_files
from triad.config.params import read


def folder_of(here: Path) -> Path | None:
    """Where the services of the checkout `here` write; None where they write nothing down.

    A person is forgotten whatever else params.yaml lacks or gets wrong, so one value of it is read alone.
    """
    params = here / "params.yaml"
    serve = read(params, empty=True).get("serve") if params.is_file() else None
    log = serve.get("log") if isinstance(serve, dict) else None
    return here / log if isinstance(log, str) and (here / log).is_dir() else None


def count(folder: Path, is_meant: Callable[[str], bool]) -> int:
    """Lines of a person."""
    return sum(_is_of(line, is_meant) for path in folder.glob("[!.]*.jsonl") for line in _lines(path))


def without(folder: Path, is_meant: Callable[[str], bool]) -> int:
    """Take a person's lines out of the files of earlier days; returns how many went."""
    today, gone = datetime.now(UTC).date().isoformat(), 0
    sweep_files(folder)
    for path in sorted(folder.glob("[!.]*.jsonl")):
        lines = list(_lines(path))
        kept = [line for line in lines if not _is_of(line, is_meant)]
        if path.name[: len(today)] < today and len(kept) < len(lines):
            with replacing_file(path) as fresh:
                fresh.touch(0o600)
                fresh.write_bytes(b"".join(kept))
            gone += len(lines) - len(kept)
    return gone


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _is_of(line: bytes, is_meant: Callable[[str], bool]) -> bool:
    try:
        return is_meant(str(json.loads(line)["user_id"]))
    except (ValueError, KeyError, TypeError):  # half a line, or none of the service's
        return False
