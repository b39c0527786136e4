"""The truth of the simulated shop, hidden from models. Only evaluation may read it.

Each function gives one table; the probabilities of impressions come with their day (`days.py`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from triad.sources.simulated.catalogue import Floats, Ints
from triad.sources.simulated.days import calendar, numbered
from triad.sources.simulated.funnel import DEAL_CLICK, DEAR_CLICK, ON_SURFACE, QUALITY, leaning
from triad.sources.simulated.pages import (
    CATEGORY,
    FOCUSED,
    HOME,
    PERSONAL,
    POLICY_TASTE,
    POPULAR,
    SEARCH,
    surface_chances,
)
from triad.sources.simulated.people import SEGMENTS, segment_chances
from triad.sources.simulated.prices import expected_move
from triad.sources.simulated.tastes import brand_liking, category_liking
from triad.sources.simulated.taxonomy import BRANDS, LEAVES, TOP_OF_LEAF
from triad.sources.simulated.world import World


def user_table(world: World) -> pa.Table:
    """user_id, the true segment, p_<segment> given the true latent vector, and `vector` (see `item_table`)."""
    people = world.people
    chances = segment_chances(people.latent)
    columns = {
        "user_id": numbered("u", people.number, 7),
        "segment": pa.array(SEGMENTS).take(pa.array(people.segment)),
    } | {f"p_{name}": chances[:, place] for place, name in enumerate(SEGMENTS)}
    return pa.table(columns | {"vector": _lists(_user_vectors(world))})


def item_table(world: World, shown: Ints, day: int) -> pa.Table:
    """item_id, `vector` and `bias`: with a customer's vector, dot product + bias orders the products of `day` by the
    expected number of that customer's next clicks.

    An approximation: log(how often shown) + log-odds of a click, with the page's order counted as a further pull of
    taste, and the mixture of ways to be shown taken category by category. Products not on sale that day have -1e9.
    """
    goods, row = world.goods, world.prices.row(day)
    leaf = np.eye(len(LEAVES))[goods.leaf[shown]]
    brand = np.eye(len(BRANDS))[goods.brand[shown]]
    cents = np.maximum(world.prices.cents[row, shown], 1)
    dear = goods.dearness[shown] + np.log(cents / goods.list_cents[shown])
    promoted = world.prices.depth[row, shown] > 0
    vector = np.column_stack([leaf, brand, dear, promoted])
    weight = _leaf_weights(world, day)
    bias = np.log(goods.popularity[shown] / weight[goods.leaf[shown]]) + QUALITY * goods.quality[shown]
    sale = np.isin(shown, goods.on_sale(day))
    return pa.table({"item_id": numbered("i", shown, 6), "vector": _lists(vector), "bias": np.where(sale, bias, -1e9)})


def price_table(world: World, item: Ints, row: Ints) -> pa.Table:
    """item_id, day and `price_move_7d`, the conditional median of the log price move over the coming seven days."""
    days = np.array([calendar(world.prices.first + offset) for offset in range(len(world.prices.cents))])
    return pa.table(
        {
            "item_id": numbered("i", item, 6),
            "day": pa.array(days[row], pa.date32()),
            "price_move_7d": expected_move(world.prices)[row, item],
        }
    )


def _user_vectors(world: World) -> Floats:
    """(customers, leaves + brands + 2), the order of `item_table`'s vectors."""
    people = world.people
    last = world.prices.first + len(world.prices.cents) - 1
    everywhere = _leaf_weights(world, last)
    everywhere /= everywhere.sum()
    surfaces = surface_chances(people) * np.exp(ON_SURFACE)
    focused = surfaces[:, [SEARCH]] + surfaces[:, [CATEGORY]]
    near = people.broad_interest[:, TOP_OF_LEAF] / np.bincount(TOP_OF_LEAF)[TOP_OF_LEAF]
    at_home = PERSONAL * people.interest + (1 - PERSONAL) * everywhere
    shown = surfaces[:, [HOME]] * at_home + focused * (FOCUSED * people.interest + (1 - FOCUSED) * near)
    assert PERSONAL + POPULAR <= 1
    pull = 1 + POLICY_TASTE
    leaf = np.log(shown) + pull * category_liking(people)[:, TOP_OF_LEAF]
    dear, deal = leaning(people, "sensitivity", DEAR_CLICK), leaning(people, "deals", DEAL_CLICK)
    return np.column_stack([leaf, pull * brand_liking(people), dear, deal])


def _leaf_weights(world: World, day: int) -> Floats:
    """(leaves,) summed popularity of what is on sale."""
    goods = world.goods
    sale = goods.on_sale(day)
    return np.maximum(np.bincount(goods.leaf[sale], goods.popularity[sale], len(LEAVES)), 1e-9)


def _lists(rows: Floats) -> pa.Array:
    """Rows as fixed-size lists of float32."""
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.astype(np.float32).ravel()), rows.shape[1])
