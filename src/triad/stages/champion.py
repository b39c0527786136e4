"""Stage `champion`: fetch the registered versions, of this shop and of another market, that tonight may start from."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triad.artifacts import ARTIFACTS, replacing, write_json
from triad.errors import TriadError
from triad.features.champion import FUSE, MARKET, NAME, REFIT, STATE, read
from triad.tracking.continuing import check
from triad.tracking.fetching import folder_of
from triad.tracking.registry import describe, versions
from triad.tracking.store import client

if TYPE_CHECKING:
    from triad.config.params import Params

OUTPUT = ARTIFACTS / "champion"
NETWORKS = ("pretrain", "finetune")
LOG = logging.getLogger("triad.champion")


def champion(params: Params) -> None:
    """Write `artifacts/champion`: which version it is, its fitted features, its networks; no version, no more.

    A light night's is fetched whole, if it may be gone on from. Another market's lie likewise in its folder `market`,
    where a version of one is named.

    Raises:
        TriadError: there is no such version, its files are gone, or the present code cannot read them; or the other
            market uses another currency, or a stage starts from it and no version is named; or a light night cannot go
            on from it.
    """
    own, market, start = params.champion.version, params.champion.market, time.monotonic()
    inits = (params.pretrain.init, params.finetune.init)
    light = params.retraining.night == "light"  # which starts from no other market
    with replacing(OUTPUT) as folder:
        named: dict[str, Any] = {"version": own, **(_checked(params) if light else {})}
        write_json(folder / NAME, named)
        if own is not None:
            _fetch(params.publish.model, int(named.get("twin", own)), folder, "champion.version", whole=light)
        read(folder)
        if market.model is not None and not light and (market.version is not None or "market" in inits):
            theirs = folder / MARKET
            write_json(theirs / NAME, {"version": market.version, "market": market.model, "apart": market.apart})
            _fetch(market.model, market.version, theirs, "champion.market.version")
            _check_currency(market.model, str(market.version), params.ingest.currency)
            read(theirs)
    fetched = [f"version {own} of {params.publish.model}"] if own is not None else []
    fetched += [f"version {market.version} of {market.model}"] if market.version is not None else []
    LOG.info("%s · %.1f s · %s", " and ".join(fetched) or "none", time.monotonic() - start, OUTPUT)


def _checked(params: Params) -> dict[str, str]:
    """What a light night goes on from: the version of the last full night, and the last day that it learned.

    It is the champion, or what the champion, made in a light night, went on from itself.

    Raises:
        TriadError: there is no champion, or it cannot be gone on from (`tracking/continuing.py`).
    """
    if params.champion.version is None:
        mend = "`triad retraining night --night light` names the one that serves"
        raise TriadError("a light night needs a champion to go on from", where="champion.version", mend=mend)
    served = describe(params.publish.model, str(params.champion.version))
    check(served, params)
    twin = served.lineage.get("night", {}).get("twin", served.number)
    full = served if twin == served.number else describe(params.publish.model, twin)
    return {"twin": twin, "learned_until": full.lineage["learned"]["refitted"]["last_day"]}


def _check_currency(model: str, version: str, ours: str) -> None:
    """Its weights know prices as they are there."""
    theirs = describe(model, version).lineage["params"].get("ingest.currency")
    if theirs != ours:
        raise TriadError(
            f"version {version} of {model} learned prices in {theirs}, this shop's are in {ours}",
            where="champion.market",
            mend="name a market of the same currency, or let both shops' exports tell prices in one",
        )


def _fetch(model: str, version: int | None, folder: Path, dial: str, *, whole: bool = False) -> None:
    known = versions(client(make=False), model)
    if str(version) not in known:
        fault = "no version is named" if version is None else f"the registry has no version {version}"
        raise TriadError(
            f"{fault} of model {model}; known are {', '.join(known) or 'none'}",
            where=dial,
            mend="name one of them, or start from nothing",
        )
    inside = folder_of(model, str(version)) / "artifacts"
    networks = {name: inside / "fuse" / "members" / name for name in NETWORKS}
    parts = {STATE: inside / "state", **({name: inside / name for name in (FUSE, REFIT)} if whole else networks)}
    for name, part in parts.items():
        if part.is_dir():  # a model may have been fused without one of the networks
            shutil.copytree(part, folder / name)
