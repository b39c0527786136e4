"""Whether a light night may go on from a version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from triad.digests import code_digest
from triad.errors import TriadError
from triad.tracking.lineage import told

if TYPE_CHECKING:
    from triad.config.params import Params
    from triad.tracking.registry import Version

CHOSEN = ("tasks", "features", "pretrain", "finetune", "similarity", "profile", "fuse")
"""Sections by which the evaluated run chose what a light night keeps. `ingest.currency` is the scale of its prices."""

FULL = "run a full night: `triad retraining night --night full`"


def check(version: Version, params: Params, code: str | None = None) -> None:
    """That a light night of `params` may go on from `version`.

    Args:
        code: digest of the code that would run, by default of the code that runs.

    Raises:
        TriadError: it has no refitted model, other code or other params made it, or it has learned these days.
    """
    where, line = f"model {version.model}, version {version.number}", version.lineage
    refitted = line.get("learned", {}).get("refitted")
    if refitted is None:
        raise TriadError("it has no refitted model to go on from", where=where, mend=FULL)
    if line["code"]["digest"] != (code or code_digest()):
        what = "other code than tonight's made it, and by that code its twin was judged"
        raise TriadError(what, where=where, mend=FULL)
    if differing := _differing(line["params"], params):
        what = f"it was chosen with other params: {', '.join(differing)}"
        raise TriadError(what, where=where, mend=f"set them back, or {FULL}")
    last = params.ingest.as_of - timedelta(days=1)
    if date.fromisoformat(refitted["last_day"]) >= last:
        raise TriadError(
            f"it has learned the days until {refitted['last_day']}, and tonight's end with {last}",
            where=where,
            mend="name a later day as ingest.as_of; `triad retraining deliver` makes its lists again",
        )


def _differing(theirs: Mapping[str, Any], params: Params) -> list[str]:
    def chosen(flat: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in flat.items() if k.split(".")[0] in CHOSEN or k == "ingest.currency"}

    before, now = chosen(theirs), chosen(told(params))
    return [f"{key} {before.get(key)} → {now.get(key)}" for key in {**before, **now} if before.get(key) != now.get(key)]
