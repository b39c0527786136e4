"""A customer's request: who it is, what they did since the night, the list as rows, and what of it is written down."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from triad.errors import TriadError
from triad.schema import EVENT_KINDS
from triad.serving import impressions, schemas
from triad.serving.asking import Explained
from triad.serving.holder import Served
from triad.serving.impressions import ImpressionLog
from triad.serving.night import Event, Night, Visit
from triad.serving.trial import CHAMPION, Rows, Trial
from triad.serving.words import done, told
from triad.tracking.recommending import DAY

LOG = logging.getLogger("triad.serve")
LOG_ODDS = "log odds of the score"
BEFORE, AFTER = 2 * DAY, 7 * DAY
"""How far beyond the state's day events may lie: a night may come late, or not at all for some days."""
INNER = ("version", "arm", "propensity", "log_odds")
"""What a row says beside the answer."""


@dataclass(frozen=True)
class Customers:
    """How requests name customers.

    Args:
        log: where lists that are shown somewhere are written down; None: nowhere.
        trial: a challenger; None: there is none.
        pseudonym: the name that the night's tables have for an id of the shop's; None: the id itself.
    """

    log: ImpressionLog | None = None
    pseudonym: Callable[[str], str] | None = None
    trial: Trial | None = None
    lost: Counter[str] = field(default_factory=Counter)

    def name(self, night: Night, user_id: str) -> str:
        """The customer as tables name them; an id and its pseudonym name the same one."""
        return user_id if self.pseudonym is None or user_id in night.users else self.pseudonym(user_id)

    def visit(self, night: Night, body: schemas.Customer) -> Visit:
        """The customer of a request; events on items that the night does not know are left out.

        A shop's clock turns to another day before its night is done. So events shortly before the state's day, which
        the night's tables hold, are left out, too; and those shortly after it count as its last.

        Raises:
            TriadError: an item was not there yet, or a time does not fit.
        """
        events, late, last = list[Event](), list[Event](), night.moment - 1_000_000
        for each in body.events:
            now = max(last + 1_000_000, night.moment)
            last = now if each.occurred_at is None else schemas.micros(each.occurred_at)
            if (item := night.items.get(each.item_id)) is None or _is_known(night, last):
                continue
            if night.data.items.available_from[item] > last:
                mend = "send what happened once the item was there"
                raise TriadError("an item was not there yet at that time", where="events.item_id", mend=mend)
            is_late = night.moment + DAY - 1 <= last < night.moment + DAY + AFTER
            (late if is_late else events).append(Event(item, EVENT_KINDS.index(each.kind), last))
        late.sort(key=lambda each: each.time)
        end = night.moment + DAY - 1 - len(late)
        events += [replace(each, time=end + place) for place, each in enumerate(late)]
        newest = max((each.time for each in events), default=night.moment - 1)
        at = schemas.micros(body.at) if body.at is not None else min(newest + 1, night.moment + DAY - 1)
        return night.visit(night.users.get(self.name(night, body.user_id), night.guest), events, at)

    def described(self, night: Night, body: schemas.Customer) -> dict[str, Any]:
        """Whom the answer is for, and what of the request it does not rest on."""
        times = [None if each.occurred_at is None else schemas.micros(each.occurred_at) for each in body.events]
        ignored = sum(
            each.item_id not in night.items or (time is not None and _is_known(night, time))
            for each, time in zip(body.events, times, strict=True)
        )
        known = self.name(night, body.user_id) in night.users
        return {"user_id": body.user_id, "is_known": known, "ignored_events": ignored}

    def answer(self, champion: Served, body: schemas.Recommend) -> tuple[Served, Rows]:
        """The list that the customer gets, and the state that made it; it is written down, if it is shown somewhere."""
        served, rows = champion, Rows()
        if self.trial is None:
            rows = self.listed(champion, body)
        else:
            self.visit(champion.night, body)  # what is wrong with the request is no fault of a challenger
            asked, name = partial(self.listed, body=body), self.name(champion.night, body.user_id)
            served, rows = self.trial.answer(champion, name, asked, body.k)
        self._note(body, champion, rows)
        return served, rows

    def listed(self, served: Served, body: schemas.Recommend) -> Rows:
        """A state's list as rows, best first."""
        night = served.night
        listed = served.recommend(self.visit(night, body), body.k, why=body.why)
        rows = []
        for place, item in enumerate(listed.items.tolist()):
            row = {"rank": place + 1, **described_item(night, item), "score": number(listed.scores[place])}
            row |= {"explored": bool(listed.explored[place]), "reason": listed.reasons[place]}
            if body.why:
                row["why"] = [told(part) for part in listed.parts[place]]
                row["because"] = [done(deed, night) for deed in listed.deeds[place]]
                row["why_found"] = [told(part) for part in listed.order[place]]
            inner = served.version, CHAMPION, float(listed.propensity[place]), listed.log_odds
            rows.append(row | dict(zip(INNER, inner, strict=True)))
        return rows

    def close(self) -> None:
        """Let go of what is written to."""
        if self.trial is not None:
            self.trial.close()
        if self.log is not None:
            self.log.close()

    def _note(self, body: schemas.Recommend, champion: Served, rows: Rows) -> None:
        """A full disk costs the log, and not the answer. Nothing is written down of who is to be forgotten."""
        user = self.name(champion.night, body.user_id)
        if self.log is None or body.surface is None or (champion.gone is not None and champion.gone.holds(user)):
            return
        try:
            self.log.write(impressions.rows(user, body.request_id, body.surface, body.at, rows))
        except OSError as error:
            LOG.error("%d impressions are lost: %s", len(rows), error)
            self.lost["impressions"] += len(rows)


def _is_known(night: Night, time: int) -> bool:
    """Whether an event of that time lies in the night's tables."""
    return night.moment - BEFORE <= time < night.moment


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the answer says of an item."""
    return {name: value for name, value in row.items() if name not in INNER}


def described_item(night: Night, item: int) -> dict[str, Any]:
    """An item as answers name it."""
    price = night.known.catalogue.list_price[item]
    return {
        "item_id": night.data.items.item_id[item],
        "title": night.titles[item],
        "category": night.categories[item],
        "brand": night.brands[item],
        "price_cents": int(price) if price > 0 else None,
    }


def explanation(of: Explained, place: int, night: Night) -> dict[str, Any]:
    """Of the score of the item at `place`: the members' parts, and the customer's deeds; each sum to it."""
    sums = {"sums_to": LOG_ODDS if of.log_odds else "score"}
    deeds = [done(deed, night) for deed in of.deeds[place]]
    return {**sums, "parts": [told(part) for part in of.parts[place]], "because": deeds}


def number(value: Any) -> float | None:
    """As JSON has it."""
    return float(value) if math.isfinite(value) else None
