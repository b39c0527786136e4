"""What a light night's version says of itself: it goes on from the last full night's, and shares its evaluated twin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from triad.artifacts import ARTIFACTS, read_json
from triad.features.champion import NAME

if TYPE_CHECKING:
    from triad.config.params import Params


def night_of(params: Params) -> dict[str, str]:
    """What a version's lineage says of a light night; nothing of a full one.

    `twin` is the full night's version, whose refitted model it goes on from and whose evaluated twin it holds;
    `first_day` the first that it learned; `from` the version that served.
    """
    if params.retraining.night != "light":
        return {}
    before = read_json(ARTIFACTS / "champion" / NAME)
    first = date.fromisoformat(before["learned_until"]) + timedelta(days=1)
    return {"from": str(before["version"]), "twin": before["twin"], "first_day": first.isoformat()}


def verdict(health: Mapping[str, Any], night: Mapping[str, str]) -> dict[str, Any]:
    """A light night's: PASS where the model answers as its evaluated twin does, else INCONCLUSIVE."""
    unfit = list(health["doubts"])
    learned = f"{night['first_day']} to {health['learned_until']['refitted']}"
    kept = f"light night: version {night['twin']} learned {learned} and answers as its evaluated twin"
    return {
        "verdict": "INCONCLUSIVE" if unfit else "PASS",
        "reasons": unfit or [kept],
        "champion": night["from"],
    }
