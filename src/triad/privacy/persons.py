"""What `ingest` does before it writes anything: it removes forgotten persons and replaces ids by pseudonyms."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from triad.artifacts import INGESTED, read_json, write_json
from triad.errors import TriadError
from triad.privacy import forgotten
from triad.privacy.pseudonyms import Key, needed_key, pseudonymised
from triad.redaction import KEY
from triad.schema import TABLES
from triad.tables import PSEUDONYMS, conform


@dataclass(frozen=True)
class Persons:
    """`secret` is there where ids become pseudonyms; `left_out` counts rows a table."""

    secret: Key | None
    forgotten: forgotten.Forgotten
    left_out: Counter[str] = field(default_factory=Counter)

    def table(self, name: str, data: pa.Table) -> pa.Table:
        """Table `name` of the contract as it may be written.

        Raises:
            TriadError: it does not fit the contract, or an attribute repeats the ids that become pseudonyms.
        """
        return self.rows(name, conform(name, data))

    def rows(self, name: str, data: pa.Table) -> pa.Table:
        """The same of any rows whose ids are texts."""
        kept = self.forgotten.without(data)
        self.left_out[name] += data.num_rows - kept.num_rows
        if self.secret is None:
            return kept
        if name == "users":
            _refuse_copies(kept)
        return pseudonymised(kept, self.secret)

    def check_list(self) -> None:
        """Raises:
        TriadError: the list has changed since it was read, so what was written may hold somebody who is on it.
        """
        if forgotten.read().digest != self.forgotten.digest:
            raise TriadError(
                "the list of forgotten persons has changed while the tables were read",
                where=str(forgotten.place()),
                mend="run it again",
                transient=True,
            )

    def record(self, tables: Path) -> None:
        """Write down, beside the tables and for the deployment, under which key they are."""
        if self.secret is not None:
            known = forgotten.home() / PSEUDONYMS
            before = read_json(known) if known.is_file() else {}
            write_json(tables / PSEUDONYMS, {"key_check": self.secret.check})
            write_json(known, {**before, "key_check": self.secret.check})


def persons(pseudonymise: bool) -> Persons:
    """Asked before anything is read.

    Raises:
        TriadError: the key is missing or not the one of the nights before, or the list of the forgotten cannot be read.
    """
    secret = needed_key("ingest.pseudonymise: true") if pseudonymise else None
    if secret is not None:
        _check_key(secret)
    return Persons(secret, forgotten.read())


def _check_key(secret: Key) -> None:
    known = next((path for path in (forgotten.home() / PSEUDONYMS, INGESTED / PSEUDONYMS) if path.is_file()), None)
    before = read_json(known)["key_check"] if known else secret.check
    if secret.check != before:
        raise TriadError(
            f"the key is not the one of the nights before (its check value is {secret.check}, theirs {before}). Users "
            "would fall into other folds, so that a warm start and the champion have learned from the very users they "
            "are tested on; the shop could not read the lists, and those to be forgotten would come back",
            where=str(known),
            mend=f"set {KEY} to the former key. Is it lost, or must it change? `triad pseudonym --new-key`",
        )


def renew_key(secret: Key) -> str:
    """Take `secret` for the key from here on; returns what to tell the user.

    Raises:
        TriadError: the forgotten are listed under another key.
    """
    forgotten.read()
    write_json(forgotten.home() / PSEUDONYMS, {"key_check": secret.check, "is_new": True})
    return (
        f"Later ingests use the key of check value {secret.check}. Learn from nothing (pretrain.init: scratch, "
        "finetune.init: pretrain, champion.version: null) and deliver the lists anew. The present champion has learned "
        "from users that now test it, so the first comparisons flatter it."
    )


def _refuse_copies(users: pa.Table) -> None:
    """An attribute that is the user's id would stay readable."""
    for name in users.column_names:
        if name not in TABLES["users"].names and users.num_rows:
            same = pc.sum(pc.equal(users[name], users["user_id"])).as_py() or 0
            if 2 * same > users.num_rows:
                raise TriadError(
                    f"repeats the user's id in {same:,} of {users.num_rows:,} rows, where pseudonymise is to hide it",
                    where=f"table users, column {name}",
                    mend="do not map this attribute",
                )
