"""The context of an exposure, known when it is scored: numbers, one dictionary of columns per block of rows.

Counts and rates reach up to the end of the day before; only the time since the last interaction is of the moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from triad.arrays import Floats, Ints
from triad.features import rates
from triad.features.aggregates import Daily
from triad.features.catalogue import Catalogue
from triad.features.dataset import Streams
from triad.features.prices import LONG, SHORT, PriceGrid
from triad.features.searches import Searches
from triad.features.signals import IMPRESSION, TASTES, Funnel, plural
from triad.features.sql import DAY, HOUR, MICRO, day_of
from triad.features.streams import hours_since_last
from triad.schema import EVENT_KINDS

Columns = dict[str, Floats]

WINDOWS = {"item": (1, 7, 28), "user": (7, 28)}
"""Days of the counts of late, by entity."""
PRIOR_EVENTS = 5.0
"""Events that the usual price is worth against those whose prices a user's own mean is taken of."""


@dataclass(frozen=True)
class Rows:
    """A block of exposures. `price` is NaN, `surface`, `query` and `place` are -1 where there is none."""

    user: Ints
    item: Ints
    time: Ints
    history: Ints
    position: Floats
    surface: Ints
    price: Floats
    query: Ints
    place: Ints

    @property
    def day(self) -> Ints:
        return day_of(self.time)

    def take(self, part: slice | Ints) -> Rows:
        """These rows alone."""
        return Rows(**{field.name: getattr(self, field.name)[part] for field in fields(self)})


@dataclass(frozen=True)
class Known:
    """What the columns are made from."""

    funnel: Funnel
    surfaces: tuple[str, ...]
    catalogue: Catalogue
    streams: Streams
    daily: dict[str, Daily]
    grid: PriceGrid
    searches: Searches | None
    places: Daily | None
    strengths: rates.Strengths  # see `rates.lifts`
    price_lag: int  # days that prices are known late


def block(known: Known, rows: Rows) -> Columns:
    """All context columns of `rows`, by name, each (n,)."""
    spans = _spans(known, rows)
    sums = {name: of_entity[None] for name, of_entity in spans.items()}
    columns = _moment(known, rows) | _ages(known, rows)
    priced = _prices(known, rows)
    columns |= priced | _tastes(known, sums["user"], priced)
    columns |= _windows(known, spans)
    columns |= _rates(known, rows, sums)
    columns |= _affinity(known, rows, sums)
    if known.searches:
        columns |= known.searches.columns(rows.query, rows.user, known.catalogue.brand[rows.item], rows.day)
    return columns


def _entities(known: Known, rows: Rows) -> dict[str, Ints]:
    """The entities of each row, in the numbers of `signals.entities`."""
    catalogue, wide = known.catalogue, len(known.catalogue.item_id)
    categories = catalogue.category[rows.item].T
    attributes = {f"category_{level}": category for level, category in enumerate(categories, 1)}
    attributes["brand"] = catalogue.brand[rows.item]
    user = rows.user.astype(np.int64)
    pairs = {f"user_{name}": np.where(code >= 0, user * wide + code, -1) for name, code in attributes.items()}
    return {"item": rows.item, "user": user, **attributes, **pairs, "user_item": user * wide + rows.item}


def _moment(known: Known, rows: Rows) -> Columns:
    hour = rows.time % DAY / HOUR * (2 * np.pi / 24)
    weekday = (rows.day + 3) % 7 * (2 * np.pi / 7)  # the epoch was a Thursday
    columns = {
        "hour_sin": np.sin(hour),
        "hour_cos": np.cos(hour),
        "weekday_sin": np.sin(weekday),
        "weekday_cos": np.cos(weekday),
    }
    if known.funnel.shown:
        columns["position"] = np.log1p(rows.position)
    return columns | {
        f"surface_{name}": (rows.surface == place).astype(np.float32) for place, name in enumerate(known.surfaces)
    }


def _ages(known: Known, rows: Rows) -> Columns:
    signed_up, available = known.catalogue.signed_up_at[rows.user], known.catalogue.available_from[rows.item]
    return {
        "user_age": np.log1p(np.maximum(rows.time - signed_up, 0) / DAY),
        "item_age": np.log1p(np.maximum(rows.time - available, 0) / DAY),
        "hours_since_last": np.log1p(hours_since_last(known.streams, rows.user, rows.time, rows.history)),
    }


def _prices(known: Known, rows: Rows) -> Columns:
    at = known.grid.at(rows.item, rows.day - known.price_lag)
    price = np.where(np.isfinite(rows.price), np.log(rows.price), at["price"])
    return {
        "price": price,
        "price_to_mean": price - at["mean_long"],
        "price_to_long_mean": price - at["mean_ever"],
        "price_to_category": price - at["category_price"],
        "price_change_1d": price - at["before_1"],
        f"price_change_{SHORT}d": price - at[f"before_{SHORT}"],
        f"price_volatility_{LONG}d": at["volatility"],
        "is_promoted": at["is_promoted"],
        "promoted_days": at["promoted_days"],
    }


def _tastes(known: Known, user: Columns, priced: Columns) -> Columns:
    """How the price of what a user takes differs from what they are shown, and how this row's price goes with that."""
    candidate = dict(zip(TASTES, ("price_to_category", "price_to_mean", "is_promoted"), strict=True))
    shown = plural(IMPRESSION) if known.funnel.shown else None
    columns: Columns = {}
    for taste, column in candidate.items():
        usual = _mean(user, taste, shown, 0.0) if shown else np.zeros(len(priced["price"]), np.float32)
        for kind in dict.fromkeys((known.funnel.target, known.funnel.kinds[-1])):
            lean = _mean(user, taste, plural(kind), usual) - usual
            columns[f"user_{EVENT_KINDS[kind]}_{taste}_lean"] = lean
            columns[f"user_{EVENT_KINDS[kind]}_{taste}_match"] = lean * (priced[column] - usual)
        if taste == "relative":
            columns["price_to_usual"] = priced[column] - (
                usual + columns[f"user_{EVENT_KINDS[known.funnel.target]}_{taste}_lean"]
            )
    return columns


def _mean(user: Columns, taste: str, kinds: str, prior: Floats | float) -> Floats:
    strength = PRIOR_EVENTS
    return (user[f"{taste}_{kinds}"] / MICRO + strength * prior) / (user[f"{taste}_{kinds}_known"] + strength)


def _windows(known: Known, spans: Mapping[str, Mapping[int | None, Columns]]) -> Columns:
    columns: Columns = {}
    kinds = {"item": known.funnel.kinds, "user": known.funnel.counted}
    for entity, lengths in WINDOWS.items():
        for length in lengths:
            sums = spans[entity][length]
            columns |= {f"{entity}_{plural(kind)}_{length}d": np.log1p(sums[plural(kind)]) for kind in kinds[entity]}
            if entity == "item" and known.funnel.shown and length > 1:
                step = rates.steps(known.funnel, sums)[0]
                name = f"item_{step.name}_lift"
                columns[f"{name}_{length}d"] = step.lift(sums, known.strengths[name])
    return columns


def _rates(known: Known, rows: Rows, sums: dict[str, Columns]) -> Columns:
    """Lifts, the click rate of the place, and what they come to together, as logs."""
    funnel, overall = known.funnel, _overall(known, rows)
    columns: Columns = {}
    for step in rates.steps(funnel, overall):
        columns |= rates.lifts(step, _attributes(known), sums, known.strengths)
    so_far = (
        columns[f"match_{EVENT_KINDS[funnel.target]}_lift"] if funnel.shown else np.zeros(len(rows.day), np.float32)
    )
    if known.places:
        usual = (overall[plural(funnel.target)] + 1) / (overall[plural(IMPRESSION)] + 20)
        place = known.places.before(rows.place, rows.day)
        rate = np.where(rows.place >= 0, (place["taken"] + 20 * usual) / (place["shown"] + 20), usual)
        columns["place_rate"] = np.log(rate)
        so_far = columns[f"expected_{EVENT_KINDS[funnel.target]}"] = so_far + columns["place_rate"]
    for _, kind in funnel.steps[1:] if funnel.shown else funnel.steps:
        usual = (overall[plural(kind)] + 1) / (overall[plural(funnel.target)] + 20)
        columns[f"expected_{EVENT_KINDS[kind]}"] = so_far + np.log(usual) + columns[f"match_{EVENT_KINDS[kind]}_lift"]
    return columns


def learn(known: Known, rows: Rows, sums: dict[str, Columns]) -> rates.Strengths:
    """How far each rate is to be trusted, from the counts of `rows`' entities up to `rows.day` (see `counts`)."""
    strengths: rates.Strengths = {}
    entities = _entities(known, rows)
    for step in rates.steps(known.funnel, _overall(known, rows)):
        strengths |= rates.learn(step, _attributes(known), sums, entities)
    return strengths


def _overall(known: Known, rows: Rows) -> Columns:
    """(n,) counts of the whole shop up to the day before."""
    return known.daily["overall"].before(np.zeros(len(rows.day), np.int64), rows.day)


def counts(known: Known, rows: Rows) -> dict[str, Columns]:
    """The counts of each row's entities up to the day before, by entity."""
    return {name: known.daily[name].before(entity, rows.day) for name, entity in _entities(known, rows).items()}


def _spans(known: Known, rows: Rows) -> dict[str, dict[int | None, Columns]]:
    """The counts of each row's entities up to the day before, by entity and by how many days they reach back."""
    return {
        name: known.daily[name].over(entity, rows.day, (None, *WINDOWS.get(name, ())))
        for name, entity in _entities(known, rows).items()
    }


def _attributes(known: Known) -> list[str]:
    """Of items, broad to narrow, then the brand."""
    return [*(f"category_{level + 1}" for level in range(known.catalogue.levels)), "brand"]


def _affinity(known: Known, rows: Rows, sums: dict[str, Columns]) -> Columns:
    """What the user did with the item, its categories and its brand before, and what share of all they did that is."""
    target = plural(known.funnel.target)
    columns: Columns = {}
    for name in [f"user_{attribute}" for attribute in _attributes(known)]:
        columns[f"{name}_share"] = sums[name][target] / (sums["user"][target] + 1)
        columns |= {f"{name}_{plural(kind)}": np.log1p(sums[name][plural(kind)]) for kind in known.funnel.counted}
    columns |= {f"user_item_{plural(kind)}": np.log1p(sums["user_item"][plural(kind)]) for kind in known.funnel.counted}
    pair = rows.user.astype(np.int64) * len(known.catalogue.item_id) + rows.item
    columns["user_item_days_since"] = np.log1p(known.daily["user_item"].days_since(pair, rows.day))
    return columns
