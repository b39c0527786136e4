"""Checks days: is each there, is the newest fresh, and is its number of events similar to that of its peers?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtrc

from triad.schema import EVENT_KINDS
from triad.validation.checks import Check, Severity

LARGE = np.log(1.6)
"""A day's log ratio to what was expected that matters: 60 % more, or 37 % less. A weekend's swing stays below."""

_CLOSED = 2  # weekdays without one event that are a shop's habit; more are a hole in the data
_CHANCE = 0.001  # of windows show as many days without a customer, or as long a run of them, where that is still chance
_JUDGED = 30  # events a day, below which a day's count says too little
_HISTORY = 5  # earlier days before one is judged
_FLOOR = 0.08  # a shop's log count scatters by at least this much a day, however calm the earlier ones were
_UNSEASONAL_FLOOR = 0.25  # and by this much between weekdays, as long as the week's shape is not known


def check_days(
    customers: Mapping[date, int], first_day: date, as_of: date, exceptional: Collection[date] = ()
) -> Check:
    """Every day of `[first_day, as_of)` has events, but for `exceptional` days and weekdays the shop never opens.

    Critical, but a warning where days without one are to be expected by chance: of a shop with few customers a day.
    """
    days = [first_day + timedelta(days=n) for n in range((as_of - first_day).days)]
    weekdays = {d.weekday() for d in days if customers.get(d)}
    closed = {w for w in range(7) if w not in weekdays and sum(d.weekday() == w for d in days) >= 3}
    closed = closed if len(closed) <= _CLOSED else set()
    opened = [d for d in days if d not in exceptional and d.weekday() not in closed]
    missing = [d for d in opened if not customers.get(d)]
    message = f"every day from {days[0]} to {days[-1]} holds events"
    spared = [f"{name}s" for name in _names(closed)]
    if known := sum(not customers.get(d) and d in exceptional for d in days):
        spared.append(f"{known} exceptional days")
    if spared:
        message += f", but for {' and '.join(spared)}"
    by_chance = bool(missing) and _by_chance(customers, opened)
    if missing:
        message = "no events on " + ", ".join(map(str, missing[:40])) + (" …" if len(missing) > 40 else "")
        message += "; if the shop was closed, name the day in validate.exceptional_days"
        if by_chance:
            message += "; with so few customers a day it can be chance"
    severity: Severity = "warning" if by_chance else "critical"
    samples = tuple({"day": str(d)} for d in missing[:5])
    return Check("missing_days", "events", "occurred_at", severity, not missing, message, len(missing), samples)


def _by_chance(customers: Mapping[date, int], opened: Sequence[date]) -> bool:
    """Whether chance leaves as many of the days without a customer, and as many in a row.

    Customers of a day are taken as Poisson about the median of that weekday's other days.
    """
    counts: dict[int, list[float]] = {weekday: [] for weekday in range(7)}
    for day in opened:
        if customers.get(day):
            counts[day.weekday()].append(customers[day])
    usual = {weekday: float(np.median(daily or [np.inf])) for weekday, daily in counts.items()}
    missing = sum(not customers.get(day) for day in opened)
    mean = sum(np.exp(-usual[day.weekday()]) for day in opened)
    as_many = pdtrc(missing - 1, mean) if missing else 1.0
    expected, most = 0.0, 0.0  # customers of the present run of such days, and of the run that should have had most
    for day in opened:
        expected = 0.0 if customers.get(day) else expected + usual[day.weekday()]
        most = max(most, expected)
    return bool(min(as_many, len(opened) * np.exp(-most)) >= _CHANCE)


def _names(weekdays: Collection[int]) -> list[str]:
    monday = date(2024, 1, 1)
    return [(monday + timedelta(days=w)).strftime("%A") for w in sorted(weekdays)]


def check_freshness(newest: datetime, as_of: date, hours: float) -> Check:
    """The newest event lies at most `hours` before the window's end. `newest` is in UTC."""
    end = datetime(as_of.year, as_of.month, as_of.day, tzinfo=newest.tzinfo)
    age = (end - newest).total_seconds() / 3600
    message = f"the newest event, {newest:%Y-%m-%d %H:%M} UTC, is {age:.1f} hours older than {as_of}"
    fresh = age <= hours
    if not fresh:
        message += f"; allowed are {hours:g} (validate.freshness_hours)"
    return Check("freshness", "events", "occurred_at", "critical", fresh, message)


def check_volume(
    kinds: Mapping[str, Mapping[date, int]],
    first_day: date,
    as_of: date,
    *,
    sigmas: float,
    recent_days: int,
    exceptional: Collection[date] = (),
) -> list[Check]:
    """Each day's events, by kind, beside the days before it.

    A day that is more than `sigmas` robust deviations off, and off by much, is critical among the `recent_days` last
    ones; before them it is a warning, for it was critical in its own night.
    """
    days = [first_day + timedelta(days=n) for n in range((as_of - first_day).days)]
    checks = []
    for kind in EVENT_KINDS:
        if not any(kinds.get(kind, {}).values()):
            continue
        counts = np.array([kinds[kind].get(d, 0) for d in days], float)
        total = np.array([sum(per.get(d, 0) for per in kinds.values()) for d in days])
        # a day without any events is missing, which another check reports
        counts[(total == 0) | np.isin(np.array(days, "datetime64[D]"), _array(exceptional))] = np.nan
        scores, expected = deviations(counts)
        judged = np.fmax(counts, expected) >= _JUDGED
        ratios = np.abs(np.log((counts + 0.5) / (expected + 0.5)))
        far = np.flatnonzero(judged & (np.abs(scores) > sigmas) & (ratios > LARGE))
        off = [_Day(days[place], counts[place], expected[place], scores[place]) for place in far]
        last = as_of - timedelta(days=recent_days)
        checks.append(_volume_check(kind, "critical", [day for day in off if day.day >= last]))
        if former := [day for day in off if day.day < last]:
            checks.append(_volume_check(kind, "warning", former))
    return checks


def deviations(counts: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """How far each day's log count lies from what the days before it lead one to expect, in robust deviations.

    Expected is the median of up to three same weekdays before, shifted by the median error that this rule made so far
    (which takes up growth); as long as less than a week of such errors is known, the median of the days before. The
    scale is 1.4826 × the median absolute error, and never below the Poisson error of the counts.

    Args:
        counts: (days,) events a day, in order; NaN where the day is not to be judged or used.

    Returns:
        (days,) scores, NaN for the first days, and (days,) expected counts.
    """
    logs = np.log(counts + 0.5)
    seasonal = np.full(len(counts), np.nan)
    for day in range(7, len(counts)):
        peers = logs[[d for d in (day - 7, day - 14, day - 21) if d >= 0]]
        if np.isfinite(peers).any():
            seasonal[day] = np.nanmedian(peers)
    scores, expected = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
    for day in range(_HISTORY, len(counts)):
        errors = (logs - seasonal)[:day]
        errors = errors[np.isfinite(errors)]
        if len(errors) >= 7 and np.isfinite(seasonal[day]):
            centre, floor = seasonal[day] + np.median(errors), _FLOOR
        else:
            earlier = logs[:day][np.isfinite(logs[:day])]
            if len(earlier) < _HISTORY:
                continue
            centre, floor, errors = np.median(earlier), _UNSEASONAL_FLOOR, earlier
        spread = 1.4826 * np.median(np.abs(errors - np.median(errors)))
        count = np.exp(centre) - 0.5
        expected[day] = max(count, 0.0)
        poisson = 1 / np.sqrt(expected[day] + 1)
        scores[day] = (logs[day] - centre) / np.sqrt(max(spread, floor) ** 2 + poisson**2)
    return scores, expected


def _array(days: Collection[date]) -> NDArray[np.datetime64]:
    return np.array(sorted(days), "datetime64[D]")


class _Day(NamedTuple):
    day: date
    events: float
    expected: float
    score: float

    def __str__(self) -> str:
        wanted = f"about {self.expected:,.0f} were expected ({self.score:+.1f} deviations)"
        return f"{self.day} holds {self.events:,.0f} where {wanted}"


def _volume_check(kind: str, severity: Severity, off: Sequence[_Day]) -> Check:
    message = f"{kind} events a day are near those of the days before"
    if off:
        message = f"{kind}: {', '.join(map(str, off[:5]))}; if it is real, name the day in validate.exceptional_days"
    samples = tuple(
        {"day": str(d.day), "kind": kind, "events": int(d.events), "expected": round(d.expected)} for d in off[:5]
    )
    return Check("volume", "events", "kind", severity, not off, message, len(off), samples)
