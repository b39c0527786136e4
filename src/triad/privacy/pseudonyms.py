"""Ids of persons as keyed hashes (HMAC-SHA256): only a holder of the key can tell whose they are.

The key comes from the environment and is stored nowhere. Its check value (a hash that tells nothing of it) is, so that
another key is noticed before it makes everybody a stranger.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from triad.errors import TriadError
from triad.redaction import KEY

COLUMNS = {"user_id": "user", "event_id": "event", "session_id": "session", "message_id": "message"}
"""What becomes a pseudonym, in any table, and of which kind: a shop makes the other ids of the user's, too."""

_SHORT = 16  # characters of a key that can be guessed
log = logging.getLogger("triad.ingest")


@dataclass(frozen=True)
class Key:
    """The secret of the environment."""

    secret: bytes = field(repr=False)

    @property
    def check(self) -> str:
        """Eight hexadecimal digits that are the same for the same key."""
        return self._hash("check", "triad")[:8]

    def pseudonym(self, text: str, kind: str = "user") -> str:
        """32 hexadecimal digits in place of an id."""
        return self._hash(f"pseudonym {kind}", text)[:32]

    def derived(self, purpose: str) -> bytes:
        """32 bytes that only who holds the key can make."""
        return hmac.digest(self.secret, f"derived {purpose}".encode(), hashlib.sha256)

    def _hash(self, domain: str, text: str) -> str:
        return hmac.digest(self.secret, f"{domain} {text}".encode(), hashlib.sha256).hex()


def key() -> Key | None:
    """The environment's key; None where it holds none."""
    secret = os.environ.get(KEY, "").strip()
    return Key(secret.encode()) if secret else None


def needed_key(why: str) -> Key:
    """The environment's key.

    Raises:
        TriadError: it holds none. `why` is what asks for it.
    """
    secret = key()
    if secret is None:
        mend = f"set {KEY} to the shop's key; a new one: `openssl rand -hex 32`, kept where secrets are kept"
        raise TriadError("needs a key, and the environment holds none", where=why, mend=mend)
    if len(secret.secret) < _SHORT:
        log.warning("the key in %s is shorter than %d characters: hashes under it can be guessed", KEY, _SHORT)
    return secret


def pseudonymised(data: pa.Table, secret: Key) -> pa.Table:
    """`data` with pseudonyms in the text columns that `COLUMNS` names; what is missing stays so."""
    for name, kind in COLUMNS.items():
        if name in data.column_names:
            ids = pc.unique(data[name]).drop_null()
            made = pa.array([secret.pseudonym(id_, kind) for id_ in ids.to_pylist()], pa.string())
            fresh = made.take(pc.index_in(data[name].combine_chunks(), ids))
            data = data.set_column(data.column_names.index(name), data.schema.field(name), fresh)
    return data
