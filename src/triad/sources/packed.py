"""Opens a file as plain bytes, unpacked from gzip, bzip2, xz or an archive's member, within limits."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any

from triad.errors import TriadError

UNPACKERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".lzma": lzma.open}
ZIP = ".zip"
_BROKEN = (zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)
"""What unpackers raise on a damaged file, besides EOFError on one that is cut short and OSError without a number."""
_TELLING = {"mtime", "ETag", "etag", "md5Hash", "content_md5", "generation", "LastModified", "last_modified"}
_MARKS = ("size", "ino", *sorted(_TELLING))
"""What file systems say of a file that differs whenever it was written anew."""
_FREE = 64 << 20  # bytes that any file may unpack to


@dataclass(frozen=True)
class Place:
    """A file of a file system, or a member of a zip archive in it; `name` is what may be printed."""

    system: Any = field(repr=False)
    path: str = field(repr=False)  # holds what variables stand for
    name: str
    member: str | None = None

    @property
    def identity(self) -> str:
        """What no other file or member has. It holds what variables stand for."""
        return f"{self.system.unstrip_protocol(self.path)} {self.member or ''}"

    def version(self) -> str | None:
        """What its file system says of when it was written: size, time and inode, or a digest; None: nothing.

        Raises:
            TriadError: it cannot be asked.
        """
        with explained(self.name):
            info = self.system.info(self.path)
        marks = {key: str(info[key]) for key in _MARKS if info.get(key) is not None}
        return " ".join(f"{key} {value}" for key, value in marks.items()) if marks.keys() & _TELLING else None

    @property
    def inner(self) -> str:
        """The name that tells the format and the packing."""
        path = self.member or re.sub(r"(://[^?#]*).*", r"\1", self.path)
        return path.rsplit("/", 1)[-1].lower()


class Unpacked:
    """The bytes of a file; `raw` is the file as it lies.

    Raises:
        TriadError: the file is damaged, or unpacks to more than `ratio` times its size.
    """

    def __init__(self, place: Place, raw: IO[bytes], stream: IO[bytes], most: float) -> None:
        self.raw, self.is_packed = raw, stream is not raw
        self._place, self._stream, self._left = place, stream, most

    @property
    def taken(self) -> int:
        """How many bytes of the file as it lies have been read."""
        return self.raw.tell()

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        pieces = []
        with explained(self._place.name):
            while size and (piece := self._stream.read(min(size, 1 << 20) if size > 0 else 1 << 20)):
                pieces.append(piece)
                size -= len(piece) if size > 0 else 0
                self._left -= len(piece)
                if self._left < 0:
                    raise TriadError(
                        "unpacks to far more than its size, as a file does that is made to fill a disk",
                        where=self._place.name,
                        mend="see where it comes from; if it is meant, unpack it, or raise limits.unpacked_ratio",
                    )
        return b"".join(pieces)


@contextmanager
def opened(place: Place, ratio: float) -> Iterator[Unpacked]:
    """The file at `place`, unpacked as its name says.

    Raises:
        TriadError: it cannot be opened or unpacked.
    """
    with ExitStack() as stack:
        with explained(place.name):
            raw: IO[bytes] = stack.enter_context(place.system.open(place.path, "rb"))
            stream, size = raw, int(place.system.size(place.path) or 0)
            if place.member is not None:
                archive = stack.enter_context(zipfile.ZipFile(raw))
                info = archive.getinfo(place.member)
                if info.flag_bits & 1:
                    raise TriadError("is encrypted", where=place.name, mend="unpack it, and name what it holds")
                stream, size = stack.enter_context(archive.open(info)), min(size, info.compress_size)
            suffix = PurePosixPath(place.inner).suffix
            if suffix in UNPACKERS:
                stream = stack.enter_context(UNPACKERS[suffix](stream))
        most = float("inf") if stream is raw else max(_FREE, ratio * size)
        yield Unpacked(place, raw, stream, most)


def members(place: Place) -> list[str]:
    """The names of the files in a zip archive, folders left out.

    Raises:
        TriadError: it cannot be read.
    """
    with explained(place.name), place.system.open(place.path, "rb") as raw, zipfile.ZipFile(raw) as archive:
        return [info.filename for info in archive.infolist() if not info.is_dir()]


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turns what the libraries raise on a file into what its owner can act on. Their texts may hold bytes and paths."""
    try:
        yield
    except EOFError:
        raise TriadError("the file is cut short", where=name, mend="copy it again") from None
    except OSError as error:
        if error.errno is not None:
            lasting = isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError)
            raise TriadError(
                f"cannot be read: {error.strerror}",
                where=name,
                mend="give this user access to it",
                transient=not lasting,
            ) from None
        raise _damaged(name, error) from None
    except _BROKEN as error:
        raise _damaged(name, error) from None


def _damaged(name: str, error: Exception) -> TriadError:
    kind = "as its name says" if not isinstance(error, NotImplementedError) else "by this way of packing"
    return TriadError(
        f"cannot be unpacked {kind} ({type(error).__name__})",
        where=name,
        mend="if it is damaged, copy it again; if it is packed in another way, rename it; else pack it again",
    )
