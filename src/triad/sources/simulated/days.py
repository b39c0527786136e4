"""One day of the shop as rows: its events, and the true probabilities of its impressions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from triad.schema import EVENT_KINDS
from triad.sources.simulated.funnel import elasticity, odds, outcomes
from triad.sources.simulated.pages import SURFACES, shown_on
from triad.sources.simulated.world import World

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Day:
    """`events` as in the contract, by time; `exposures` (event_id, p_click, p_cart, p_purchase and its
    elasticity), one an impression.
    """

    events: pa.Table
    exposures: pa.Table


def numbered(prefix: str, numbers: Ints, width: int) -> pa.Array:
    """Ids such as u0000042."""
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def calendar(day: int) -> date:
    """The date of a day counted from 1970-01-01."""
    return date(1970, 1, 1) + timedelta(days=day)


def day_of(world: World, day: int) -> Day:
    """Everything that happened on `day`."""
    world = world.on(day)
    shown = shown_on(world, day)
    chances = odds(world, shown, day)
    came = outcomes(world, shown, chances, day)
    masks = (np.ones(len(shown.user), bool), came.clicked, came.carted, came.bought)
    row = np.concatenate([np.flatnonzero(mask) for mask in masks])
    step = np.repeat(np.arange(len(EVENT_KINDS)), [int(mask.sum()) for mask in masks])
    times = (shown.time, came.click_time, came.cart_time, came.buy_time)
    time = np.concatenate([stamp[mask] for stamp, mask in zip(times, masks, strict=True)])
    order = np.lexsort((row, step, time))
    row, step, time = row[order], step[order], time[order]

    stamp = f"{calendar(day):%Y%m%d}-"
    event_id = numbered("e" + stamp, np.arange(len(row)), 7)
    item, user = shown.item[row], shown.user[row]
    bought = step == EVENT_KINDS.index("purchase")
    events = pa.table(
        {
            "event_id": event_id,
            "user_id": numbered("u", world.people.number[user], 7),
            "item_id": numbered("i", item, 6),
            "occurred_at": pa.array(time, pa.timestamp("us", tz="UTC")),
            "kind": _named(EVENT_KINDS, step),
            "session_id": numbered("s" + stamp, shown.visit[row], 6),
            "position": shown.position[row],
            "surface": _named(SURFACES, shown.surface[row]),
            "query": _named(world.queries.text, shown.query[row]),
            "price_cents": world.prices.cents[world.prices.row(day), item],
            "quantity": np.where(bought, came.quantity[row], 1),
        }
    )
    first = np.flatnonzero(step == 0)
    at = row[first]
    carting = chances.click * chances.cart
    exposures = pa.table(
        {
            "event_id": event_id.take(pa.array(first)),
            "p_click": chances.click[at],
            "p_cart": carting[at],
            "p_purchase": (carting * chances.buy)[at],
            "elasticity": elasticity(world, shown, chances)[at],
        }
    )
    return Day(events, exposures)


def _named(names: tuple[str, ...], code: Ints) -> pa.Array:
    """Texts by number, null where the number is negative."""
    return pa.array(names).take(pa.array(code, mask=code < 0))
