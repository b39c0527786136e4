"""What was shown, as rows of the contract's table `events`, on the disk before the answer leaves.

A file holds one JSON object a line and is only ever added to; each process writes files of its own. The kernel has a
line when `write` returns, so no kill of the process loses one; `sync` says when the disk has it, too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from triad.config.serve import Sync

LOG = logging.getLogger("triad.serve")


class ImpressionLog:
    """Lines in `folder`. Any thread may write.

    Args:
        sync: when the disk has what was written: before `write` returns, within a second, or when the system pleases.
        most: bytes of a file, after which another is begun; so is one each UTC day.
    """

    def __init__(self, folder: Path, sync: Sync = "second", most: int = 1 << 26) -> None:
        self._folder, self._sync, self._most = folder, sync, most
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._file, self._day, self._size, self._dirty, self._number = -1, "", 0, False, 0
        folder.mkdir(parents=True, exist_ok=True)
        if sync == "second":
            threading.Thread(target=self._keep_syncing, name="triad-impressions", daemon=True).start()

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add `rows`, all or none of them.

        Raises:
            OSError: the disk is full, or broken.
        """
        lines = b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)
        with self._lock:
            day = datetime.now(UTC).date().isoformat()
            if day != self._day or self._size + len(lines) > self._most or self._is_gone():
                self._begin(day)
            try:
                rest = memoryview(lines)
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            except OSError:
                os.ftruncate(self._file, self._size)  # no half of a line stays
                raise
            self._size += len(lines)
            self._dirty = True
            if self._sync == "always":
                self._flush()

    def close(self) -> None:
        """Sync and close."""
        self._stop.set()
        with self._lock:
            self._end()

    def _is_gone(self) -> bool:
        """Whether there is no file yet, or somebody deleted it: what is written then, nobody reads."""
        return self._file < 0 or os.fstat(self._file).st_nlink == 0

    def _end(self) -> None:
        if self._file < 0:
            return
        try:
            self._flush()
        finally:  # once closed, its number is another file's
            os.close(self._file)
            self._file = -1

    def _begin(self, day: str) -> None:
        self._end()
        self._number += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        # the random part: a process that was killed may have had the same id
        name = f"{day}-{os.getpid()}-{self._number}-{uuid.uuid4().hex[:8]}.jsonl"
        self._file = os.open(self._folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        self._day, self._size = day, 0
        if self._sync != "never":
            folder = os.open(self._folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def _flush(self) -> None:
        is_due, self._dirty = self._dirty and self._sync != "never", False
        if is_due:
            os.fsync(self._file)

    def _keep_syncing(self) -> None:
        while not self._stop.wait(1.0):
            with self._lock:
                try:
                    if self._file >= 0:
                        self._flush()
                except OSError as error:  # the next one may succeed
                    LOG.error("what was shown is not on the disk yet: %s", error)


def rows(
    user: str, request: str | None, surface: str, at: datetime | None, listed: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """A list as impressions. The same `request` gives the same ids, so that a repeated one counts once.

    Args:
        listed: item_id, rank, price_cents, version, arm and propensity of each item.
    """
    key = uuid.uuid4().hex if request is None else hashlib.sha256(f"{user}\0{request}".encode()).hexdigest()[:32]
    moment = (at or datetime.fromtimestamp(time.time(), UTC)).astimezone(UTC).isoformat()
    return [
        {
            "event_id": f"shown-{key}-{row['rank']}",
            "user_id": user,
            "item_id": row["item_id"],
            "occurred_at": moment,
            "kind": "impression",
            "position": row["rank"],
            "surface": surface,
            "price_cents": row["price_cents"],
            "version": row["version"],
            "arm": row["arm"],
            "propensity": row["propensity"],
        }
        for row in listed
    ]
