"""The served state: all that a request needs as of the night, read once from the model and the night's tables.

Counts and rates of items and customers end with the day before, so on the state's own day they are just those of the
night; what a customer did since then changes their history alone. A request is therefore answered from arrays, and the
log is never read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from triad.advice.sheet import Advisor
from triad.arrays import Bools, Floats, Ints
from triad.config.recommend import RecommendParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features import build
from triad.features.context import Known, Rows
from triad.features.dataset import Streams
from triad.features.signals import SLOTS, slots
from triad.fusion.ranker import Ranker
from triad.tracking import recommending
from triad.tracking.arranging import codes
from triad.tracking.forecasting import forecasts
from triad.tracking.inputs import Tables, opened
from triad.tracking.product_pages import Neighbours
from triad.tracking.recommending import DAY
from triad.tracking.repurchase import lasts
from triad.tracking.serving import ServingModel, busiest, midnight_after
from triad.tracking.shelf import Shelf, called, hidden
from triad.tracking.shop_pages import pages
from triad.tracking.shown import as_shown, with_guest


@dataclass(frozen=True)
class Event:
    """Something that a customer did since the night."""

    item: int  # catalogue row
    kind: int  # place in EVENT_KINDS
    time: int  # µs


@dataclass(frozen=True)
class Page:
    """Others to show beside each item: item i's are [start[i], start[i + 1]), best first."""

    start: Ints
    other: Ints
    score: Floats
    visits: Ints


@dataclass(frozen=True)
class Night:
    """What is known at `moment` (µs), the midnight that ends the night's log."""

    model: ServingModel
    settings: RecommendParams
    moment: int
    data: Dataset  # who and what is there; no exposures
    known: Known  # what their context is made from
    places: Mapping[tuple[str, int], int]  # (surface, slot) → the place's number in `known`
    surface: str | None  # most shown on
    hidden: Bools  # (n_items,)
    titles: np.ndarray
    categories: np.ndarray
    brands: np.ndarray
    pages: Mapping[str, Page]
    tables: Tables

    @classmethod
    def of(cls, model: ServingModel, tables: Tables, settings: RecommendParams) -> Night:
        """From a night's tables.

        Raises:
            TriadError: the tables do not fit the contract or the model.
        """
        settings = fitting(settings, model)
        with opened(tables) as session:
            moment = midnight_after(session)
            data = model.standing(session)
            names, surface, hide = called(session), busiest(session), hidden(session, settings.hide)
            known = build.standing(session, model.state, moment // DAY)[1]
            shown = pages(session, settings, moment)[1]
            places = slots(session) if known.places else {}
        beside = {name: _page(each, len(hide)) for name, each in shown.items()}
        who = with_guest(data, known, moment)
        return cls(model, settings, moment, *who, places, surface, hide, *names, beside, tables)

    @cached_property
    def users(self) -> dict[str, int]:
        """Id → row; the guest has none."""
        return {name: row for row, name in enumerate(self.data.users.user_id[: self.guest])}

    def forget(self, is_gone: Callable[[str], bool]) -> None:
        """Know all customers but these from now on: in one step, as requests may be reading `users`."""
        everybody = enumerate(self.data.users.user_id[: self.guest])
        vars(self)["users"] = {name: row for row, name in everybody if not is_gone(name)}

    @property
    def guest(self) -> int:
        """The row of whoever the night's tables lack: nothing is known of them, and they signed up just now."""
        return len(self.data.users.user_id) - 1

    @cached_property
    def items(self) -> dict[str, int]:
        """Id → catalogue row."""
        return {name: row for row, name in enumerate(self.data.items.item_id)}

    @cached_property
    def newest(self) -> int:
        """The split of the last days."""
        return int(np.asarray(self.data.streams.split).max(initial=0))

    @cached_property
    def ranker(self) -> Ranker:
        return self.model.fused.ranker(self.data)

    @cached_property
    def advisor(self) -> Advisor:
        """What moved demand in the log, read when it is first asked.

        Raises:
            TriadError: nothing was sold, or no price moved.
        """
        with opened(self.tables) as session:
            return Advisor.of(session)

    @cached_property
    def forecasts(self) -> dict[str, list[dict[str, Any]]]:
        """Item id → what its coming days bring, reckoned when it is first asked.

        Raises:
            TriadError: the model was not taught it.
        """
        told: dict[str, list[dict[str, Any]]] = {}
        for row in forecasts(self.model, self.tables).to_pylist():
            told.setdefault(row["item_id"], []).append(row)
        return told

    @cached_property
    def shelf(self) -> Shelf:
        """What may be shown to whom."""
        return Shelf.at(self.data, self.moment, self.settings, self.hidden, self.repeats)

    @cached_property
    def repeats(self) -> Floats | None:
        """(n_items,) how long each item lasts, where the settings ask for it."""
        return lasts(self.data) if self.settings.bought == "due" else None

    @cached_property
    def order(self) -> Ints:
        return recommending.by_item_id(self.data)

    @cached_property
    def standings(self) -> list[str]:
        return recommending.standings(self.data, self.moment)

    @cached_property
    def groups(self) -> Ints:
        """(n_items, 2) `codes` of category and brand, for caps and variety."""
        return codes(self.categories, self.brands)

    def visit(self, user: int, events: Sequence[Event], moment: int) -> Visit:
        """The customer `user` at `moment`, after `events`, of which impressions say nothing before tomorrow.

        Raises:
            TriadError: `moment` is not of the state's day, or an event does not lie between the night and it.
        """
        if not self.moment <= moment < self.moment + DAY:
            raise TriadError(
                f"lies outside the day of this state, which begins at {_iso(self.moment)}",
                where="at",
                mend="ask for a moment of that day, or leave it out; tomorrow's state comes with the next night",
            )
        late = [each for each in events if not self.moment <= each.time < moment]
        if late:
            raise TriadError(
                "an event lies before the night that the model knows, or not before the moment asked about",
                where="events.occurred_at",
                mend=f"send only what happened from {_iso(self.moment)} on, and before `at`",
            )
        streams, taken = self.data.streams, sorted((e for e in events if e.kind > 0), key=lambda each: each.time)
        mine = slice(int(streams.offsets[user]), int(streams.offsets[user + 1]))
        own = {
            name: np.concatenate([np.asarray(getattr(streams, name))[mine], np.array(fresh, np.int64)]).astype(
                np.asarray(getattr(streams, name)).dtype
            )
            for name, fresh in (
                ("item", [each.item for each in taken]),
                ("kind", [each.kind for each in taken]),
                ("time", [each.time for each in taken]),
            )
        }
        before = np.asarray(streams.split)
        split = np.concatenate([before[mine], np.full(len(taken), self.newest, before.dtype)])
        offsets = np.zeros(len(streams.offsets), np.int64)
        offsets[user + 1 :] = len(split)
        data = self.data.replaced(streams=Streams(offsets=offsets, split=split, **own))
        return Visit(self, user, moment, data, len(taken))


@dataclass(frozen=True)
class Visit:
    """One customer at a moment. `data` holds the history of nobody else, which makes asking cheap."""

    night: Night
    user: int
    moment: int
    data: Dataset
    since: int  # events of the request that count

    @property
    def history(self) -> int:
        """Interactions before the moment."""
        return int(self.data.streams.offsets[self.user + 1])

    @cached_property
    def ranker(self) -> Ranker:
        """The fusion's ranking of this customer; what the re-ranker reads of items is the night's."""
        night = self.night.ranker
        read = None if night.reranker is None else replace(night.reading, data=self.data)
        return replace(night, data=self.data, read=read)

    @cached_property
    def shelf(self) -> Shelf:
        night = self.night
        return Shelf.at(self.data, self.moment, night.settings, night.hidden, night.repeats)

    def exposures(
        self,
        items: Ints,
        position: Sequence[int | None],
        surface: Sequence[str | None],
        price: Floats | None = None,
    ) -> Dataset:
        """The data with these items shown to the customer now, each row as if the log held it.

        Args:
            price: (n,) cents, NaN for what the item costs.
        """
        return as_shown(self.data, self.night.known, self.rows(items, position, surface, price))

    def rows(
        self,
        items: Ints,
        position: Sequence[int | None],
        surface: Sequence[str | None],
        price: Floats | None = None,
    ) -> Rows:
        """What is known of each such row before its context; as `exposures`."""
        known, count = self.night.known, len(items)
        shown = known.funnel.shown  # else no log tells a position
        at = [None if not shown else each for each in position]
        return Rows(
            user=np.full(count, self.user),
            item=items,
            time=np.full(count, self.moment),
            history=np.full(count, self.history, np.int32),
            position=np.array([np.nan if each is None else each for each in at], np.float32),
            surface=np.array([known.surfaces.index(s) if s in known.surfaces else -1 for s in surface], np.int8),
            price=np.full(count, np.nan, np.float32) if price is None else np.asarray(price, np.float32),
            query=np.full(count, -1),
            place=np.array([self._place(s, p) for s, p in zip(surface, at, strict=True)]),
        )

    def _place(self, surface: str | None, position: int | None) -> int:
        return self.night.places.get((surface or "", min(position or 0, SLOTS)), -1)


def fitting(settings: RecommendParams, model: ServingModel) -> RecommendParams:
    """`settings`, whose `order_by` is null where the model has no such task."""
    known = settings.order_by is None or settings.order_by in model.fused.tasks
    return settings if known else settings.model_copy(update={"order_by": None})


def _page(lists: Neighbours, items: int) -> Page:
    return Page(np.searchsorted(lists.item, np.arange(items + 1)), lists.other, lists.score, lists.visits)


def _iso(moment: int) -> str:
    return f"{np.datetime64(moment, 'us').astype('datetime64[s]')}Z"
