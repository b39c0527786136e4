"""A simulated shop: customers with tastes, products, changing prices, daily traffic, and the true probabilities.

`simulate` settles the state; `Shop.days` then makes one day after the other, so no more than a day of events is held.
All randomness is keyed by seed, purpose and day (`chance.py`): runs that share a day agree on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from triad.config.ingest import IngestParams
from triad.errors import TriadError
from triad.sources.simulated.attributes import described
from triad.sources.simulated.catalogue import products
from triad.sources.simulated.chance import OPENING
from triad.sources.simulated.days import Day, calendar, day_of, numbered
from triad.sources.simulated.messages import conversations
from triad.sources.simulated.oracle import item_table, price_table, user_table
from triad.sources.simulated.people import COUNTRIES, DEVICES, SEGMENTS, customers
from triad.sources.simulated.pictures import pictures
from triad.sources.simulated.prices import roll_prices
from triad.sources.simulated.queries import known_queries
from triad.sources.simulated.sizes import SIZES
from triad.sources.simulated.taxonomy import BRANDS, LEAVES
from triad.sources.simulated.text import product_texts
from triad.sources.simulated.trends import moving
from triad.sources.simulated.wanted import judgements, wants
from triad.sources.simulated.world import World


@dataclass(frozen=True)
class Shop:
    """`tables` are the contract's, events apart; `oracle` the truth, exposures apart; `days` gives both of those."""

    tables: dict[str, pa.Table]
    oracle: dict[str, pa.Table]
    world: World
    first: int
    last: int

    def days(self) -> Iterator[Day]:
        """Events and true probabilities, day by day."""
        for day in range(self.first, self.last + 1):
            yield day_of(self.world, day)

    def whole(self) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
        """All tables and all of the oracle in memory, events and exposures included."""
        days = list(self.days())
        events = pa.concat_tables([day.events for day in days])
        exposures = pa.concat_tables([day.exposures for day in days])
        return self.tables | {"events": events}, self.oracle | {"exposures": exposures}


def simulate(params: IngestParams) -> Shop:
    """The simulated shop over the window `[as_of - window_days, as_of)`.

    Raises:
        TriadError: the window begins before the shop opened.
    """
    last = (params.as_of - date(1970, 1, 1)).days - 1
    first = last - params.window_days + 1
    if first < OPENING:
        raise TriadError(
            f"the window begins on {calendar(first)}, the simulated shop opened on {calendar(OPENING)}",
            where="params.yaml: ingest.as_of, ingest.window_days",
            mend="choose a later as_of or fewer window_days",
        )
    seed, size = params.simulated.seed, SIZES[params.simulated.size]
    goods = products(seed, size, last)
    people = customers(seed, size, first, last)
    moves = moving(seed, params.simulated.trends, goods, people)
    world = World(seed, size, goods, people, roll_prices(seed, goods, first, last), known_queries(), moves)

    shown = goods.in_window(first)
    item_id = numbered("i", shown, 6)
    titles, descriptions = product_texts(goods, shown)
    attributes, priced = described(seed, goods, shown)
    leaves = pa.array([leaf.path for leaf in LEAVES])
    day = np.arange(first, last + 1)[:, None]
    row, item = np.nonzero((goods.arrived <= day) & (day < goods.leaves_on))
    graded, truly_graded = judgements(seed, wants(seed, goods, shown), goods, shown, item_id)
    tables = {
        "users": pa.table(
            {
                "user_id": numbered("u", people.number, 7),
                "signed_up_at": pa.array(people.signed_up, pa.timestamp("us", tz="UTC")),
                "country": pa.array(COUNTRIES).take(pa.array(people.country)),
                "device": pa.array(DEVICES).take(pa.array(people.device)),
                "segment": pa.array(SEGMENTS).take(pa.array(people.segment, mask=~people.declared)),
            }
        ),
        "items": pa.table(
            {
                "item_id": item_id,
                "title": titles,
                "description": descriptions,
                "category": leaves.take(pa.array(goods.leaf[shown])),
                "brand": pa.array(BRANDS).take(pa.array(goods.brand[shown])),
                "attributes": attributes,
                "price_cents": goods.list_cents[shown],
                "available_from": pa.array(goods.available[shown] * 86_400_000_000, pa.timestamp("us", tz="UTC")),
                "image_path": pa.array(pictures(seed, goods, shown), pa.string()),
            }
        ),
        "prices": pa.table(
            {
                "item_id": numbered("i", item, 6),
                "day": pa.array([calendar(first + offset) for offset in range(last - first + 1)]).take(pa.array(row)),
                "price_cents": world.prices.cents[row, item],
                "is_promoted": world.prices.depth[row, item] > 0,
            }
        ),
        "searches": graded,
    }
    tables["conversations"], messages = conversations(seed, size.messages, first, last)
    oracle = {
        "users": user_table(world.on(last)),
        "items": item_table(world.on(last), shown, last),
        "prices": price_table(world, item, row),
        "messages": messages,
        "products": priced,
        "searches": truly_graded,
    }
    return Shop(tables, oracle, world, first, last)
