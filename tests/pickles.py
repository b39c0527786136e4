"""Where files hold objects that run code when they are read: found by what is in them, whatever they are called."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickletools
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MOST = 2_000_000
"""Bytes of an unpacked part that are looked into."""
_FRAMED = [b"\x80" + bytes([protocol]) + b"\x95" for protocol in (4, 5)]
_LAMBDA = re.compile(rb'"class_name":\s*"(__lambda__|Lambda)"')


def pickles(folder: Path) -> dict[str, str]:
    """File below `folder` → what of it is a pickle."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        for name, part in _parts(path.name, path.read_bytes()):
            if why := _is_pickle(part):
                found[str(path.relative_to(folder))] = f"{name}: {why}"
    return found


def _parts(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """The file and, where it is packed, what is in it."""
    yield name, data
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for inside in archive.namelist():
                yield from _parts(f"{name}/{inside}", archive.read(inside))
        return
    if data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for each in archive:
                if (file := archive.extractfile(each)) is not None:
                    yield from _parts(f"{name}/{each.name}", file.read())
        return
    magics = {
        b"\x1f\x8b": gzip.decompress,
        b"BZh": bz2.decompress,
        b"\xfd7zXZ": lzma.decompress,
        b"]\0\0": lzma.decompress,
    }
    for magic, unpack in magics.items():
        if data.startswith(magic):
            yield from _parts(f"{name}/unpacked", unpack(data))
    for start in (0, 9) if data[:2] in (b"ZF", b"x\x01", b"x^", b"x\x9c", b"x\xda") else ():  # joblib's compressions
        try:
            yield f"{name}/inflated", zlib.decompressobj().decompress(data[start:], MOST)
        except zlib.error:
            continue


def _is_pickle(data: bytes) -> str | None:
    if data.startswith(b"\x93NUMPY"):
        major = data[6]
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        held = io.BytesIO(data)
        np.lib.format.read_magic(held)
        return "an array of objects" if read(held)[2].hasobject else None
    if _LAMBDA.search(data):
        return "a function of Keras, whose code lies in the file"
    for magic in _FRAMED:  # anywhere: in a database or a table, say
        at = data.find(magic)
        while at >= 0:
            if 0 < int.from_bytes(data[at + 3 : at + 11], "little") <= len(data) - at - 11:
                return f"a pickle's frame at byte {at}"
            at = data.find(magic, at + 1)
    try:
        pickletools.dis(data, io.StringIO())  # which follows the stack too: a text such as "0.5" is none
    except (ValueError, IndexError, KeyError, OverflowError):
        return None
    return "a pickle"
