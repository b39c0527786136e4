"""The key of tonight's pseudonyms, held against the one under which a registered version learned.

Under another key every user falls into another fold, so the version has learned from users that test it. `ingest` sees
a change by the record in the checkout; in a new clone only the version itself still tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triad.artifacts import TABLES, read_json
from triad.errors import TriadError
from triad.privacy.forgotten import home
from triad.redaction import KEY
from triad.tables import PSEUDONYMS, key_check


def check_same_key(data: Mapping[str, Any], where: str) -> None:
    """Raises:
    TriadError: a version of whose lineage `data` is knows users by other names than tonight's tables, and nobody said
        so.
    """
    theirs, ours = data.get("pseudonyms"), key_check(TABLES)
    if theirs in (None, ours) or _is_meant():
        return
    now = "bare ids" if ours is None else f"pseudonyms under the key of check value {ours}"
    raise TriadError(
        f"it learned from pseudonyms under the key of check value {theirs}, and tonight's tables hold {now}. Users "
        "fall into other folds, so it has learned from the very users it is tested on",
        where=where,
        mend=f"set ingest.pseudonymise: true and {KEY} to the former key, then ingest again. Is it lost, or must it "
        "change? `triad pseudonym --new-key`",
    )


def _is_meant() -> bool:
    record = home() / PSEUDONYMS
    return record.is_file() and bool(read_json(record).get("is_new"))
