"""Signatures: what Triad wrote into a registry carries a seal that only a holder of the key can make.

Others can write to a registry, and whoever loads a model runs its code. So `publish` lists every file of a version with
its SHA-256 and seals the list (HMAC-SHA256), with the model's name and the run; whoever reads the version compares both
first. The key never goes to the registry.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triad.artifacts import read_json
from triad.errors import TriadError
from triad.tracking.store import home, locked

KEY = "TRIAD_SIGNING_KEY"
"""The environment's keys, apart by blanks: the first seals, each is good for reading."""
KEY_FILE = Path(".triad") / "signing.key"
"""Where the key lies without that, in the folder whose processes share the store; made at first need."""
MANIFEST = "manifest.json"
SEAL = "signature"

_LEAST = 32  # characters of a key
_MEND = (
    "do not load it by other means: it may be somebody else's work. `triad rollback --to` a version that was published "
    "with this key, or start anew under another publish.model; docs/serving.md, Signatures"
)


def seal(value: Mapping[str, Any], of: str) -> dict[str, Any]:
    """`value` with its seal. `of` says what it is of: elsewhere the seal does not hold.

    Raises:
        TriadError: the key is too short, or others can read its file.
    """
    key = _keys(make=True)[0]
    return {**value, SEAL: {"key": _name(key), "hmac_sha256": _mac(key, value, of)}}


def opened(sealed: Any, of: str, where: str) -> dict[str, Any]:
    """The value that `seal` was given.

    Raises:
        TriadError: it carries no seal, one of a key that is not here, or one that does not hold for this value `of`.
    """
    mark = sealed.get(SEAL) if isinstance(sealed, dict) else None
    if not isinstance(mark, dict) or not all(_is_plain(mark.get(part)) for part in ("key", "hmac_sha256")):
        raise TriadError("it is not signed", where=where, mend=_MEND)
    keys = {_name(key): key for key in _keys(make=False)}
    if mark["key"] not in keys:
        raise TriadError(
            f"it is signed with the key {mark['key']!r:.20}, known here are: {', '.join(keys) or 'none'}",
            where=where,
            mend=f"give {KEY} the key of whoever published it, if you trust them; else {_MEND}",
        )
    value = {name: part for name, part in sealed.items() if name != SEAL}
    if not hmac.compare_digest(mark["hmac_sha256"].encode(), _mac(keys[mark["key"]], value, of).encode()):
        raise TriadError("its signature does not hold: it was changed, or made for another", where=where, mend=_MEND)
    return value


def sign(folder: Path, model: str, run_id: str) -> None:
    """Write the manifest of all files in `folder`, sealed for `model` and the run."""
    (folder / MANIFEST).write_text(
        json.dumps(seal({"files": _files(folder, str(folder))}, _of(model, run_id)), indent=1)
    )


def verify(folder: Path, model: str, run_id: str, where: str) -> None:
    """Make sure that `folder` holds just the files that `sign` saw, for this model and run.

    Raises:
        TriadError: it does not.
    """
    digests = _files(folder, where)
    if digests.pop(MANIFEST, None) is None:
        raise TriadError("it is not signed", where=where, mend=_MEND)
    try:
        listed = read_json(folder / MANIFEST)
    except (ValueError, RecursionError) as error:
        raise TriadError(f"its {MANIFEST} is no JSON: {error}", where=where, mend=_MEND) from error
    known = opened(listed, _of(model, run_id), where)["files"]
    for files, said in (
        (known.keys() - digests.keys(), "is missing"),
        (digests.keys() - known.keys(), "was added"),
        ({name for name in known if name in digests and known[name] != digests[name]}, "was changed"),
    ):
        if files:
            more = f" (and {len(files) - 1} more)" if len(files) > 1 else ""
            raise TriadError(f"its file {min(files)!r} {said}{more} since it was signed", where=where, mend=_MEND)


def _is_plain(text: object) -> bool:
    return isinstance(text, str) and text.isascii()  # half a letter can be in JSON, and in no bytes


def _of(model: str, run_id: str) -> str:
    return f"files of model {model}, run {run_id}"


def _files(folder: Path, where: str) -> dict[str, str]:
    """Path below `folder` → SHA-256. Only plain files count as files: a link leads to what nobody signed."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise TriadError(f"{path.relative_to(folder)} is no plain file", where=where, mend=_MEND)
        if path.is_file():
            with path.open("rb") as handle:
                digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(handle, "sha256").hexdigest()
    return digests


def _mac(key: bytes, value: Mapping[str, Any], of: str) -> str:
    plain = json.loads(json.dumps([of, value]))  # as it comes back from a file
    return hmac.new(key, json.dumps(plain, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def _name(key: bytes) -> str:
    return hmac.new(key, b"name of this key", hashlib.sha256).hexdigest()[:12]


def _keys(*, make: bool) -> list[bytes]:
    """All keys, the one that seals first; none where there is none and none is to be made."""
    words, where = os.environ.get(KEY, "").split(), KEY
    file = home() / KEY_FILE
    if not words and make and not file.exists():
        _draw(file)
    if not words and file.exists():
        if file.stat().st_mode & 0o077:
            raise TriadError("others can read the key", where=str(file), mend=f"chmod 600 {file}")
        words, where = file.read_text(encoding="utf-8").split(), str(file)
    if (make and not words) or any(len(word) < _LEAST for word in words):
        raise TriadError(
            f"a key has fewer than {_LEAST} characters", where=where, mend="draw one: `openssl rand -hex 32`"
        )
    return [word.encode() for word in words]


def _draw(file: Path) -> None:
    """Make a key, unless another process just did."""
    with locked("signing"):
        if file.exists():
            return
        fresh = file.with_name(f".new.{file.name}")
        fresh.unlink(missing_ok=True)  # of a process that was killed here
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(secrets.token_hex(32) + "\n")
            handle.flush()
            os.fsync(handle.fileno())
        fresh.replace(file)
