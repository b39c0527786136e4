"""Parts of a log that nights keep: rows as they were read, each part under a version of what it came from.

A store belongs to one key: whatever changes how rows are made (code, mapping, who is to be forgotten) is in it, and the
stores of other keys are removed. With a secret the files are encrypted (AES-256-GCM), so that no bare id lies on the
disk. It is a cache: whoever deletes it waits for the source to be read again.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from triad.artifacts import read_json, replacing_file, sweep_files, write_json
from triad.durable import remove, sweep
from triad.locking import held
from triad.vector_store import shared

STORES = shared("days")
PURPOSE = "kept days"
"""What the secret of a store is derived for (`privacy.pseudonyms`)."""
_INDEX = "index.json"
_NONCE = 12  # bytes


@dataclass(frozen=True)
class Entry:
    """A part that is kept.

    Args:
        file: its name in the store.
        version: what the source said of it when it was read.
        digest: of the file. Parquet does not tell when a disk has changed a value in it.
        left_out: how many rows of persons to be forgotten are not kept.
        types: the types of the columns as they were read, one mapping for each that occurred.
    """

    file: str
    version: str
    digest: str
    left_out: int
    types: list[dict[str, str]]


class DayStore:
    """The parts under `key`.

    Args:
        key: what rows depend on beside the source.
        secret: 32 bytes that files are encrypted with; None: they are plain Parquet.
        stores: the folder of the stores of all keys.
    """

    def __init__(self, key: str, secret: bytes | None = None, stores: Path = STORES) -> None:
        self._stores, self._secret = stores, secret
        self._folder = stores / hashlib.sha256(key.encode()).hexdigest()[:16]
        held = read_json(self._folder / _INDEX) if (self._folder / _INDEX).is_file() else {}
        self._entries = {name: Entry(**entry) for name, entry in held.items()}

    def former(self, name: str) -> Entry | None:
        """The part as it was kept last, whatever its version."""
        return self._entries.get(_hidden(name))

    def rows(self, entry: Entry) -> pa.Table | None:
        """What is kept; None where the file is gone or damaged."""
        try:
            content = (self._folder / entry.file).read_bytes()
            return opened(content, self._secret) if _digest(content) == entry.digest else None
        except (FileNotFoundError, InvalidTag, pa.ArrowInvalid):
            return None

    def put(self, name: str, version: str, rows: pa.Table, *, left_out: int, types: list[dict[str, str]]) -> None:
        """Keep the rows of a part, whole or not at all; the others are fields of its entry."""
        suffix = "parquet" if self._secret is None else "sealed"
        file = f"{hashlib.sha256(f'{name} {version}'.encode()).hexdigest()[:24]}.{suffix}"
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        content = _sealed(sink.getvalue().to_pybytes(), self._secret)
        with replacing_file(self._folder / file) as fresh:
            fresh.write_bytes(content)
        self._entries[_hidden(name)] = Entry(file, version, _digest(content), left_out, types)

    def close(self, names: Collection[str]) -> None:
        """Keep the parts `names`, and nothing else of this store or of others."""
        hidden = set(map(_hidden, names))
        self._entries = {name: entry for name, entry in self._entries.items() if name in hidden}
        write_json(self._folder / _INDEX, {name: asdict(entry) for name, entry in self._entries.items()})
        files = {entry.file for entry in self._entries.values()}
        for path in self._folder.glob("[!.]*.[ps]*"):
            if path.suffix in (".parquet", ".sealed") and path.name not in files:
                path.unlink(missing_ok=True)
        sweep_files(self._folder)
        clear(self._stores, but=self._folder)


def clear(stores: Path = STORES, *, but: Path | None = None) -> bool:
    """Delete all stores but one; returns whether there were any."""
    if not stores.is_dir():
        return False
    with held(stores, wait=True):
        sweep(stores)
        others = [each for each in stores.iterdir() if re.fullmatch(r"[0-9a-f]{16}", each.name) and each != but]
        for other in others:
            remove(other)
    return bool(others)


def kept(stores: Path, secret: bytes | None) -> Iterator[pa.Table]:
    """All rows that lie in the stores of a folder and can be read, with the secret or without."""
    for path in sorted(stores.glob("*/[!.]*")):
        if path.suffix == ".parquet" or (path.suffix == ".sealed" and secret is not None):
            with suppress(InvalidTag, pa.ArrowInvalid):  # of another key
                yield opened(path.read_bytes(), secret if path.suffix == ".sealed" else None)


def opened(content: bytes, secret: bytes | None) -> pa.Table:
    """The rows of a file of a store.

    Raises:
        InvalidTag: it was encrypted with another secret, or is damaged.
        ArrowInvalid: it is damaged.
    """
    if secret is not None:
        content = AESGCM(secret).decrypt(content[:_NONCE], content[_NONCE:], None)
    try:
        return pq.ParquetFile(pa.BufferReader(content)).read()  # read_table loads a second of other code first
    except OSError as error:  # of pages that cannot be unpacked: the content is in memory
        raise pa.ArrowInvalid(str(error)) from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hidden(name: str) -> str:
    """A name may hold what a variable stands for, such as a token of a URL."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _sealed(content: bytes, secret: bytes | None) -> bytes:
    if secret is None:
        return content
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(secret).encrypt(nonce, content, None)
