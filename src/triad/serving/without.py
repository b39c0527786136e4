"""One customer as often as wanted, each time without some of what they did: what the models would then be asked.

Steps are taken out of the history and out of the daily counts alike. What the customer was shown stays, and so does
what the shop's other counts owe to them. How a day's deeds were priced is lowered in proportion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Bools, Floats, Ints
from triad.examples.dataset import Dataset
from triad.features.aggregates import SPAN, Daily
from triad.features.catalogue import Catalogue
from triad.features.context import Known, Rows
from triad.features.dataset import Streams, Users
from triad.features.signals import TASTES, plural
from triad.serving.night import Visit
from triad.tracking.recommending import DAY
from triad.tracking.shown import as_shown


def without(visit: Visit, rows: Rows, kept: Bools) -> Dataset:
    """The data with `rows` shown to each variant of the customer, variant after variant.

    Args:
        rows: (n,) as `Visit.rows` gives them.
        kept: (variants, steps) which of the visit's interactions each variant has, oldest first.
    """
    count, data, user = len(kept), visit.data, visit.user
    mine = slice(int(data.streams.offsets[user]), int(data.streams.offsets[user + 1]))
    own = {name: np.asarray(getattr(data.streams, name))[mine] for name in ("item", "kind", "time", "split")}
    step = np.nonzero(kept)[1]
    length = kept.sum(axis=1)
    streams = Streams(np.r_[0, np.cumsum(length)], **{name: values[step] for name, values in own.items()})
    same, users = np.full(count, user), data.users
    who = Users(users.user_id[same], users.attributes[same], users.signed_up_at[same], users.fold[same])
    known = _known(visit.night.known, user, own, kept)
    of_variant = np.repeat(np.arange(count), len(rows.user))
    asked = rows.take(np.tile(np.arange(len(rows.user)), count))
    asked = replace(asked, user=of_variant, history=length[of_variant].astype(np.int32))
    return as_shown(data.replaced(users=who, streams=streams), known, asked)


def _known(known: Known, user: int, steps: Mapping[str, Ints], kept: Bools) -> Known:
    """`known` in which the variants are the users. `steps`: item, kind and time of what the customer did."""
    item, kind, day = steps["item"], steps["kind"], steps["time"] // DAY
    catalogue, wide = known.catalogue, len(known.catalogue.item_id)
    same, searches = np.full(len(kept), user), known.searches
    who = replace(catalogue, user_id=catalogue.user_id[same], signed_up_at=catalogue.signed_up_at[same])
    daily = dict(known.daily)
    for name, codes in _codes(catalogue, item).items():
        room = 1 if name == "user" else wide
        own = _own(known.daily[name], user, room)
        sums = _lowered(own, codes * SPAN + day, np.where(codes >= 0, kind, -1), kept)
        daily[name] = _joined(own.key, sums, room)
    if searches is not None:
        by_brand = _copied(searches.by_brand, user, searches.width, len(kept))
        searches = replace(searches, by_brand=by_brand, by_user=_copied(searches.by_user, user, 1, len(kept)))
    return replace(known, catalogue=who, daily=daily, searches=searches)


def _codes(catalogue: Catalogue, item: Ints) -> dict[str, Ints]:
    """Each step's code of what customers' sums are told apart by, -1 where it has none; names as in `Known.daily`."""
    levels = {f"user_category_{level + 1}": catalogue.category[item, level] for level in range(catalogue.levels)}
    codes = {"user": np.zeros(len(item)), **levels, "user_brand": catalogue.brand[item], "user_item": item}
    return {name: np.asarray(each, np.int64) for name, each in codes.items()}


def _own(daily: Daily, user: int, room: int) -> Daily:
    """A customer's sums, under keys in which they are user 0."""
    first, last = np.searchsorted(daily.key, np.array([user, user + 1]) * room * SPAN)
    running = {name: np.asarray(total[first : last + 1]) for name, total in daily.running.items()}
    return Daily(np.asarray(daily.key[first:last]) - user * room * SPAN, running)


def _copied(daily: Daily, user: int, room: int, count: int) -> Daily:
    """A customer's sums, `count` times."""
    own = _own(daily, user, room)
    return _joined(own.key, {name: np.tile(np.diff(total), (count, 1)) for name, total in own.running.items()}, room)


def _lowered(own: Daily, key: Ints, code: Ints, kept: Bools) -> dict[str, Floats]:
    """(variants, rows) each variant's sums by name. `code` of a step is its kind, -1 where it counts nowhere."""
    place = np.searchsorted(own.key, key)
    place[place == len(own.key)] = 0
    there = own.key[place] == key if len(own.key) else np.zeros(len(key), bool)
    sums: dict[str, Floats]
    sums = {name: np.tile(np.diff(total), (len(kept), 1)).astype(np.float64) for name, total in own.running.items()}
    for each in np.unique(code[there & (code >= 0)]).tolist():
        steps, name = np.flatnonzero(there & (code == each)), plural(each)
        if name not in sums:
            continue
        at = csr_array((np.ones(len(steps)), (np.arange(len(steps)), place[steps])), (len(steps), len(own.key)))
        before = sums[name]
        sums[name] = np.maximum(before - (~kept[:, steps]).astype(np.float64) @ at, 0)
        share = np.divide(sums[name], before, out=np.ones_like(before), where=before > 0)
        for taste in (f"{taste}_{name}{more}" for taste in TASTES for more in ("", "_known")):
            if taste in sums:
                sums[taste] = sums[taste] * share
    return sums


def _joined(key: Ints, sums: Mapping[str, Floats], room: int) -> Daily:
    """One `Daily` of all variants, variant v being user v; days on which nothing is left are left out."""
    shape = next(iter(sums.values())).shape
    some = np.any([values != 0 for values in sums.values()], axis=0)
    keys = (key[None] + (np.arange(shape[0]) * room * SPAN)[:, None])[some]
    return Daily(keys, {name: np.r_[0, np.cumsum(np.rint(values[some]))] for name, values in sums.items()})
