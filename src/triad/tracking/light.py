"""What a light night's version says of itself: it goes on from the champion, and its twin is the champion's own."""

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

    `from` is the version that it goes on from, `twin` the version that was evaluated, `first_day` the first that it
    learned.
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
    kept = f"light night: version {night['from']} learned {learned} and answers as its twin, version {night['twin']}"
    return {
        "verdict": "INCONCLUSIVE" if unfit else "PASS",
        "reasons": unfit or [kept],
        "champion": night["from"],
    }


def source(params: Mapping[str, Any]) -> str | None:
    """The version that a night of these flat params went on or started from, if any."""
    starts = "champion" in (params.get("pretrain.init"), params.get("finetune.init"))
    named = params.get("champion.version")
    goes_on = starts or params.get("retraining.night") == "light"
    return str(named) if goes_on and named is not None and str(named) != "None" else None
