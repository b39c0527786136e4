"""The files that a table's `path` names: a file, a folder, a pattern or an archive, at any fsspec URL.

What other tools leave in folders is no data. What could be, but is not what Triad reads, and what could be meant twice,
is refused: a guess would be wrong in silence. Variables of a path are put in at the last moment and never printed.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import fsspec
from fsspec.implementations.local import LocalFileSystem

from triad.errors import TriadError
from triad.redaction import shown_path
from triad.sources.packed import UNPACKERS, ZIP, Place, members

Format = Literal["csv", "parquet"]

ALLOWED = "TRIAD_PATH_VARIABLES"
"""The environment variable that names, with commas between, further variables that a path may hold."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSW|CREDENTIAL", re.IGNORECASE)
_FORMATS: dict[str, Format] = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_UNREAD = re.compile(
    r"\.(tar|tgz|tbz2?|txz|7z|rar|zst|lz4|snappy|sz|br|lzo|z|xlsx?|ods|jsonl|ndjson|orc|avro|feather|arrow|ipc)"
    r"(\.(gz|bz2|xz|lzma))?$|\.(csv|tsv|parquet|pq)(\.[^./]+)+$",
    re.IGNORECASE,
)
"""Names of data in a form that is not read."""
_LEFT = re.compile(
    r"\.|_(?!.*=)|~\$|.*~$|#.*#$|thumbs\.db$|desktop\.ini$|lost\+found$|\$recycle\.bin$|@eadir$"
    r"|.*\.(bak|old|orig|save|sw[op]|tmp|temp|part|partial|filepart|crdownload|download|opdownload|inprogress|aria2"
    r"|_copying_|crc|md5|sha\d+|sum|asc|sig|lock|ok|done|ready|ctl|trg|log|meta)$",
    re.IGNORECASE,
)
"""Names that are no data: hidden ones, notes of other tools, backups, sums, what is still being written."""
_MAGIC = re.compile(r"[*?\[]")
_LAKES = {"_delta_log": "Delta", ".hoodie": "Hudi", "metadata": "Iceberg"}
_SHOWN = 3  # names in a message


def find(path: str, where: str, form: Format | None, most: int) -> tuple[list[Place], Format, list[str]]:
    """The files that `path` names in the order of their names, their format, and the names left out.

    Args:
        path: as the user wrote it.
        where: the params key of the table.
        form: the format, where the user names it.
        most: how many files there may be.

    Raises:
        TriadError: a variable is not allowed or not set, nothing matches, a URL's driver is missing, or what the files
            are is not clear.
    """
    at = f"{where}.path {shown_path(path)}"
    system, root, shown, names, left = _names(path, at)
    _refuse_lakes(system, root, names, left, at)
    kept = _data(names, at, form, left)
    places = []
    for name in kept:
        place = Place(system, root + name, shown + name)
        if isinstance(system, LocalFileSystem) and not Path(place.path).is_file():  # a pipe would never end
            mend = "take it away, or narrow the path"
            raise TriadError("is no regular file, or a link to nothing", where=place.name, mend=mend)
        if not place.inner.endswith(ZIP):
            places.append(place)
            continue
        inside, hidden = _sorted_out(sorted(members(place)))
        if nested := [each for each in inside if each.lower().endswith(ZIP)]:
            raise TriadError(f"is an archive in an archive: {_few(nested)}", where=place.name, mend="unpack it")
        inside = _data(inside, place.name, form or _format(place.inner), hidden)
        places += [Place(system, place.path, f"{place.name}: {each}", each) for each in inside]
        left += [f"{place.name}: {each}" for each in hidden]
    if not places:
        also = f"; not read: {_few(left)}" if left else ""
        raise TriadError(f"no such file{also}", where=at, mend="correct the path, or bring the file")
    if len(places) > most:
        mend = f"narrow the path, or raise {where}.limits.files"
        raise TriadError(f"{len(places):,} files, more than {most:,}", where=at, mend=mend)
    return places, form or _one_format(places, at, where), left


def _names(path: str, at: str) -> tuple[Any, str, str, list[str], list[str]]:
    """The file system, what all paths in it begin with, the same as it may be printed, their ends, those left out."""
    blind = _VARIABLE.sub(lambda match: "_" * len(match[0]), path)  # a variable's signs are no pattern
    magic = _MAGIC.search(blind)
    cut = path.rfind("/", 0, magic.start()) + 1 if magic else len(path)
    pattern = path[cut:].rstrip("/")
    if _VARIABLE.search(pattern):
        raise TriadError("a variable stands behind a pattern", where=at, mend="put variables before the first * ? or [")
    url = expanded(path, at)
    try:
        system, root = _opened(url)
        if system.isfile(root) and not url.endswith("/"):
            return system, root, shown_path(path), [""], []
        if system.isdir(root):
            root = root.rstrip("/") + "/"
            return system, root, shown_path(path).rstrip("/") + "/", *_sorted_out(_below(system, root, ""))
        if system.exists(root):
            raise TriadError("is no regular file", where=at, mend="name a file or a folder")
        if not magic or (url.startswith("http") and magic[0] == "?"):
            return system, root, "", [], []
        if (inner := _MAGIC.search(root)) and not root.endswith(pattern):  # in a chain the first path comes first
            pattern = root[root.rfind("/", 0, inner.start()) + 1 :]
        root = root.removesuffix(pattern)
        left: list[str] = []
        names = sorted(set(_matches(system, root, pattern.split("/"), left)))
        files = [name for name in names if system.isfile(root + name)]
        if not files:  # it is of folders
            files, more = _sorted_out([each for name in names for each in _below(system, root, f"{name}/")])
            left += more
        return system, root, shown_path(path[:cut]), files, left
    except ImportError as error:
        raise TriadError(str(error), where=at, mend="install that package beside triad") from None
    except OSError as error:
        lasting = isinstance(error, FileNotFoundError | PermissionError)
        what = error.strerror or type(error).__name__  # its text can hold the URL
        raise TriadError(what, where=at, mend="correct the path or the access", transient=not lasting) from None
    except ValueError as error:  # of a protocol that is not known
        what = shown_path(str(error)) if url == path and "::" not in url else type(error).__name__
        raise TriadError(what, where=at, mend="correct the path") from None


def expanded(text: str, at: str) -> str:
    """`text` with what its `${VARIABLES}` stand for, never to be printed; `at` is for errors.

    Raises:
        TriadError: a variable is not allowed or not set.
    """
    return _VARIABLE.sub(lambda match: _value(match[1], at), text)


def _opened(url: str) -> tuple[Any, str]:
    """A file system and the path in it. What exists on the disk is taken by its name, whatever signs that holds."""
    begins = Path(url.partition("/")[0])
    if not re.match(r"[A-Za-z][\w+.-]*(://|::)", url) or os.path.lexists(begins):
        local = Path(url) if os.path.lexists(begins) else Path(url).expanduser()
        return LocalFileSystem(), str(local if local.is_absolute() else Path.cwd() / local)
    system, root = fsspec.core.url_to_fs(url)
    return system, str(root)


def _below(system: Any, root: str, folder: str) -> list[str]:
    """The names of all files in a folder, from `root` on."""
    top = f"{root}{folder}".rstrip("/")
    return sorted(folder + name[len(top) + 1 :] for name in system.find(top))


def _sorted_out(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names that may be data's, and the others."""
    left = [name for name in names if any(map(_LEFT.match, name.split("/")))]
    return [name for name in names if name not in set(left)], left


def _matches(system: Any, root: str, parts: Sequence[str], left: list[str], below: str = "") -> Iterator[str]:
    """The names from `root` on that fit a pattern's parts. A part that exists as it stands is no pattern."""
    part, rest = parts[0], parts[1:]
    folder = f"{root}{below}"
    if not _MAGIC.search(part) or system.exists(folder + part):
        fitting = [part] if system.exists(folder + part) else []
    elif not system.isdir(folder):
        return
    else:
        entries = {
            entry["name"].rstrip("/").rsplit("/", 1)[-1]: entry["type"] for entry in system.ls(folder, detail=True)
        }
        named = [name for name in sorted(entries) if fnmatch.fnmatchcase(name, part.replace("[^", "[!"))]
        fitting = [name for name in named if part[0] in "._" or not _LEFT.match(name)]
        left += [below + name for name in named if name not in fitting]
        if part == "**":
            yield from _matches(system, root, rest or ["*"], left, below)
            for name in fitting:
                if entries[name] == "directory":
                    yield from _matches(system, root, parts, left, f"{below}{name}/")
            return
    for name in fitting:
        if rest:
            yield from _matches(system, root, rest, left, f"{below}{name}/")
        else:
            yield below + name


def _value(name: str, at: str) -> str:
    named = [each.strip() for each in os.environ.get(ALLOWED, "").split(",")]
    if name not in named and (not name.startswith(("TRIAD_", "SHOP_")) or _SECRET.search(name)):
        raise TriadError(
            f"the environment variable {name} may not stand in a path",
            where=at,
            mend=f"name it TRIAD_… or SHOP_…, or let the operator allow it: export {ALLOWED}={name}",
        )
    value = os.environ.get(name)
    if not value:
        mend = f"export {name}=… before the run, or write the path out"
        raise TriadError(f"the environment variable {name} is not set", where=at, mend=mend)
    return value


def _data(names: Sequence[str], at: str, form: Format | None, left: list[str]) -> list[str]:
    """The names of data; others go to `left`."""
    if unread := [name for name in names if _UNREAD.search(name) and not _format(name)]:
        mend = "unpack or convert it, or take it away: CSV (plain, .gz, .bz2, .xz, .zip) and Parquet are read"
        raise TriadError(f"holds data in a form that is not read: {_few(unread)}", where=at, mend=mend)
    wanted = {form} if form else {"csv", "parquet"}
    kept = [name for name in names if name.lower().endswith(ZIP) or _format(name) in wanted]
    kept = kept or list(names)  # where no name tells the format
    left += [name for name in names if name not in set(kept)]
    same: dict[str, list[str]] = defaultdict(list)
    for name in kept:
        same[_stem(name)].append(name)
    if twice := [some for some in same.values() if len(some) > 1]:
        raise TriadError(f"may be the same data twice: {', '.join(twice[0])}", where=at, mend="take one of them away")
    return kept


def _stem(name: str) -> str:
    """The name without the endings that tell packing and format."""
    path = PurePosixPath(name)
    while path.suffix.lower() in {*UNPACKERS, ZIP, *_FORMATS}:
        path = path.with_suffix("")
    return str(path)


def _format(name: str) -> Format | None:
    path = PurePosixPath(re.sub(r"[?#].*", "", name.lower()) if "://" in name else name.lower())
    return _FORMATS.get(PurePosixPath(path.stem).suffix if path.suffix in {*UNPACKERS, ZIP} else path.suffix)


def _one_format(places: Sequence[Place], at: str, where: str) -> Format:
    first = {_format(place.member or place.path) or _format(place.path): place for place in reversed(places)}
    if None in first:
        mend = f"set {where}.format; archives other than .zip are to be unpacked"
        raise TriadError(f"is it csv or parquet? The name does not tell: {first[None].name}", where=at, mend=mend)
    if len(first) > 1:
        said = ", ".join(f"{form} ({place.name})" for form, place in first.items())
        raise TriadError(
            f"holds files of two formats: {said}", where=at, mend=f"narrow the path, or set {where}.format"
        )
    return next(form for form in first if form)


def _refuse_lakes(system: Any, root: str, names: Sequence[str], left: Sequence[str], at: str) -> None:
    """Parquet files of a Delta, Iceberg or Hudi table hold rows that were deleted, and rows twice."""
    lakes = {mark for name in left for mark in name.split("/") if mark in ("_delta_log", ".hoodie")}
    if not lakes and "http" not in system.protocol:
        tops = {root.rstrip("/")}
        for name in names:
            parts = f"{root}{name}".split("/")[:-1]
            while len(parts) > 1 and "=" in parts[-1]:
                parts.pop()
            tops |= {"/".join(parts), "/".join(parts[:-1])}
        lakes = {mark for top in tops for mark in _LAKES if top and _is_lake(system, f"{top}/{mark}")}
    if lakes:
        lake = _LAKES[min(lakes)]
        mend = "export what it holds now as Parquet, to a folder of its own"
        mend = mend if lake == "Hudi" else f"set format: {lake.lower()}, which reads what the table holds now"
        raise TriadError(
            f"is a {lake} table: its files hold rows that were deleted since",
            where=at,
            mend=mend,
        )


def _is_lake(system: Any, mark: str) -> bool:
    if not mark.endswith("metadata"):
        return bool(system.exists(mark))
    return bool(system.isdir(mark)) and any(name.endswith(".metadata.json") for name in system.ls(mark, detail=False))


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
