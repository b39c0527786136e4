"""The list of persons who asked to be forgotten: every later ingest leaves them out.

It lies in the deployment's own git folder, which its worktrees, nights and experiments share, no commit holds and no
`git clean` removes. It names persons by their pseudonyms where the environment has a key, else by their ids.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from triad.artifacts import read_json, replacing_file
from triad.errors import TriadError
from triad.privacy.pseudonyms import Key, key
from triad.redaction import KEY
from triad.tracking.place import checkout

KINDS = {"user_id": "user", "message_id": "message"}
"""The columns by which rows are left out. A conversation names no user, so its message id identifies it."""


@dataclass(frozen=True)
class Forgotten:
    """`named`: kind → pseudonyms under the key whose check value is `check`, or bare ids where that is None."""

    check: str | None
    named: dict[str, frozenset[str]]
    secret: Key | None = None

    def __len__(self) -> int:
        return sum(map(len, self.named.values()))

    @cached_property
    def digest(self) -> str:
        """Differs with the list, and with the key that the environment holds."""
        named = {kind: sorted(names) for kind, names in self.named.items()}
        own = self.secret.check if self.secret else None
        return hashlib.sha256(repr((self.check, own, named)).encode()).hexdigest()

    def holds(self, id_: str, kind: str = "user") -> bool:
        """Whether the id, or the pseudonym, is on the list."""
        names = self._known.get(kind, frozenset())
        return bool(names) and (id_ in names or (self.secret is not None and self.secret.pseudonym(id_, kind) in names))

    @cached_property
    def _known(self) -> dict[str, frozenset[str]]:
        """What a table may hold in place of those listed: bare ids become pseudonyms too, where there is a key."""
        if self.secret is None or self.check is not None:
            return self.named
        secret = self.secret
        return {kind: names | {secret.pseudonym(id_, kind) for id_ in names} for kind, names in self.named.items()}

    def without(self, data: pa.Table) -> pa.Table:
        """The rows of `data` that are of nobody on the list."""
        for column, kind in KINDS.items():
            if column in data.column_names and self.named.get(kind):
                ids = pc.unique(data[column]).drop_null().to_pylist()
                gone = pa.array([id_ for id_ in ids if self.holds(id_, kind)], pa.string())
                data = data.filter(pc.invert(pc.is_in(data[column], gone)))
        return data


def deployment() -> Path:
    """The checkout whose list is meant.

    Raises:
        TriadError: the present folder belongs to none, so that a list made here would be obeyed by nobody.
    """
    here = _here()
    if not (here / "dvc.yaml").is_file():
        mend = "run this in the top folder of the deployment's checkout, or name it in TRIAD_CHECKOUT"
        raise TriadError("no checkout with a dvc.yaml", where=str(here), mend=mend)
    return here


def _here() -> Path:
    return Path(os.environ.get("TRIAD_CHECKOUT") or checkout()).resolve()


def home() -> Path:
    """The folder of what a deployment knows of persons: in its git folder, or beside it where there is none."""
    here = _here()
    for folder in (here, *here.parents):
        git = folder / ".git"
        if git.is_dir():
            return git / "triad"
        if git.is_file():  # a worktree, whose folder lies in the repository's
            own = (folder / git.read_text().partition(":")[2].strip()).resolve()
            common = own / "commondir"
            return ((own / common.read_text().strip()) if common.is_file() else own).resolve() / "triad"
    return here / ".triad"


def place() -> Path:
    """Where the list lies, or would."""
    return home() / "forgotten.json"


def read() -> Forgotten:
    """The list; an empty one where nobody was forgotten.

    Raises:
        TriadError: it cannot be read, or was made under a key that the environment does not hold: those on it would
            come back.
    """
    path, secret = place(), key()
    if not path.exists():
        return Forgotten(None, {}, secret)
    try:
        held = read_json(path)
        check, named = held["key"], {kind: frozenset(held[kind]) for kind in KINDS.values()}
    except (ValueError, KeyError, TypeError) as error:
        raise TriadError(
            "the list of forgotten persons is damaged", where=str(path), mend="bring its copy back from your backup"
        ) from error
    if check is not None and (secret is None or secret.check != check):
        key_state = "holds none" if secret is None else f"holds one of check value {secret.check}"
        raise TriadError(
            f"the forgotten persons are listed under the key of check value {check}, but the environment {key_state}: "
            "they would come back",
            where=str(path),
            mend=f"set {KEY} to that key. If it is lost, move the file away and forget all of them again",
        )
    return Forgotten(check, named, secret)


def lift(ids: Iterable[str], kind: str = "user") -> tuple[int, Path]:
    """Take ids off the list; returns how many stood on it, and the file that says when and by whom.

    The note names nobody: a lifted person is told by the keyed hash alone, and without a key not at all.

    Raises:
        TriadError: none of them is on the list.
    """
    from triad.tracking.lineage import trigger

    with replacing_file(place()) as fresh:
        known, secret = read(), key()
        named = {k: set(known.named.get(k, ())) for k in KINDS.values()}
        gone = {name for id_ in ids for name in _spelled(id_, kind, secret) if name in named[kind]}
        if not gone:
            mend = "`triad forget --list` prints it; ids are spelled as in users.user_id"
            raise TriadError("none of them is on the list", where=str(place()), mend=mend)
        named[kind] -= gone
        _write(fresh, named, known.check)
    audit = home() / "lifted.jsonl"
    line: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": trigger(os.environ),
        "kind": kind,
    }
    line |= {"count": len(gone), "left": len(named[kind]), "pseudonyms": sorted(gone) if known.check else None}
    with replacing_file(audit) as fresh:
        before = audit.read_text(encoding="utf-8") if audit.is_file() else ""
        fresh.touch(mode=0o600)
        fresh.write_text(f"{before}{json.dumps(line)}\n", encoding="utf-8")
    return len(gone), audit


def _spelled(id_: str, kind: str, secret: Key | None) -> set[str]:
    """How the list may name an id: bare, or as its pseudonym."""
    return {id_} | ({secret.pseudonym(id_, kind)} if secret else set())


def _write(fresh: Path, named: Mapping[str, Iterable[str]], check: str | None) -> None:
    held = {kind: sorted(names) for kind, names in named.items()} | {"key": check}
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(held, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def add(ids: Iterable[str], kind: str = "user") -> int:
    """Put ids on the list; returns how many are new. With a key, what stood there in plain becomes pseudonyms."""
    with replacing_file(place()) as fresh:
        known, secret = read(), key()
        before = {k: set(known.named.get(k, ())) for k in KINDS.values()}
        if secret is not None and known.check is None:
            before = {k: {secret.pseudonym(id_, k) for id_ in names} for k, names in before.items()}
        after = {k: set(names) for k, names in before.items()}
        after[kind] |= {id_ if secret is None else secret.pseudonym(id_, kind) for id_ in ids}
        _write(fresh, after, secret.check if secret else None)
    return len(after[kind]) - len(before[kind])
