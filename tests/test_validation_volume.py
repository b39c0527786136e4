"""Days that are missing, stale or far from their peers, and days that only look so."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from triad.validation import volume

FIRST, AS_OF = date(2026, 1, 4), date(2026, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range((AS_OF - FIRST).days)]
WEEK = np.array([1.0, 1.0, 1.1, 1.1, 1.3, 1.7, 1.5])


def shop(rng: np.random.Generator, mean: float, growth: float = 0.0, scatter: float = 0.0) -> np.ndarray:
    n = np.arange(len(DAYS))
    return rng.poisson(mean * WEEK[n % 7] * np.exp(growth * n + scatter * rng.standard_normal(len(n)))).astype(float)


def alarms(counts: np.ndarray, **more: object) -> list[tuple[str, str]]:
    kinds = {"impression": {d: int(c) for d, c in zip(DAYS, counts, strict=True) if c}}
    checks = volume.check_volume(kinds, FIRST, AS_OF, sigmas=6, recent_days=7, **more)
    return [(c.severity, str(row["day"])) for c in checks if not c.passed for row in c.samples]


@pytest.mark.parametrize("mean", [3, 40, 400, 6000])
@pytest.mark.parametrize(("growth", "scatter"), [(0, 0), (0.02, 0), (-0.02, 0.05), (0, 0.1)])
def test_ordinary_weeks_and_growth_do_not_alarm(mean: float, growth: float, scatter: float) -> None:
    rng = np.random.default_rng(int(mean))
    assert sum(len(alarms(shop(rng, mean, growth, scatter))) for _ in range(30)) == 0


@pytest.mark.parametrize(("mean", "factor"), [(100, 0.1), (400, 0.4), (6000, 0.4), (6000, 2.5), (400, 3)])
def test_a_day_far_off_is_found_and_only_that_day(mean: float, factor: float) -> None:
    rng = np.random.default_rng(5)
    counts = shop(rng, mean)
    counts[-1] *= factor
    assert alarms(counts) == [("critical", "2026-02-28")]


def test_a_day_far_off_long_ago_is_a_warning_and_does_not_make_its_followers_alarm() -> None:
    counts = shop(np.random.default_rng(5), 2000)
    counts[20] *= 3
    assert alarms(counts) == [("warning", str(DAYS[20]))]


def test_a_known_rush_neither_alarms_nor_counts_as_usual() -> None:
    counts = shop(np.random.default_rng(5), 2000)
    counts[-2:] *= 4
    assert len(alarms(counts)) == 2
    assert alarms(counts, exceptional=DAYS[-2:]) == []


def test_a_kind_that_stops_while_others_go_on_is_named() -> None:
    rng = np.random.default_rng(0)
    shown, bought = shop(rng, 5000), shop(rng, 120)
    bought[-2:] = 0
    kinds = {
        "impression": dict(zip(DAYS, shown.astype(int).tolist(), strict=True)),
        "purchase": {d: int(c) for d, c in zip(DAYS, bought, strict=True) if c},
    }
    (wrong,) = [c for c in volume.check_volume(kinds, FIRST, AS_OF, sigmas=6, recent_days=7) if not c.passed]
    assert wrong.severity == "critical" and "2026-02-28 holds 0 where about" in wrong.message and wrong.unexpected == 2


def test_deviations_by_hand() -> None:
    counts = np.full(21, 999.5)
    counts[20] = 1999.5
    scores, expected = volume.deviations(counts)
    scale = np.hypot(0.08, 1 / np.sqrt(1000.5))
    assert np.isnan(scores[:5]).all() and scores[19] == pytest.approx(0)
    assert expected[20] == pytest.approx(999.5) and scores[20] == pytest.approx(np.log(2) / scale)


def test_a_missing_day_is_named() -> None:
    counts = dict.fromkeys(DAYS, 20)
    assert volume.check_days(counts, FIRST, AS_OF).passed
    del counts[date(2026, 2, 12)]
    found = volume.check_days(counts, FIRST, AS_OF)
    assert not found.passed and found.severity == "critical" and "no events on 2026-02-12" in found.message
    assert volume.check_days(counts, FIRST, AS_OF, [date(2026, 2, 12)]).passed
    assert volume.check_days({}, FIRST, AS_OF).unexpected == len(DAYS)


def test_a_day_without_one_of_few_customers_can_be_chance() -> None:
    """Days of four customers, by a Poisson law: an empty one now and then is no hole in the data."""
    severities = []
    for seed in range(100):
        random = np.random.default_rng(seed)
        counts = dict(zip(DAYS, map(int, random.poisson(4, len(DAYS))), strict=True))
        severities += [found.severity for found in [volume.check_days(counts, FIRST, AS_OF)] if not found.passed]
    assert severities and set(severities) == {"warning"}
    counts = dict.fromkeys(DAYS, 4)
    del counts[DAYS[20]]
    found = volume.check_days(counts, FIRST, AS_OF)
    assert found.severity == "warning" and "it can be chance" in found.message
    for day in DAYS[21:24]:
        del counts[day]
    found = volume.check_days(counts, FIRST, AS_OF)
    assert found.severity == "critical" and found.unexpected == 4, "four days in a row are not"
    scattered = {day: 6 for place, day in enumerate(DAYS) if place % 3}
    assert volume.check_days(scattered, FIRST, AS_OF).severity == "critical", "nor is each third day"


def test_a_shop_that_never_opens_on_saturdays_misses_none() -> None:
    counts = {d: 10 for d in DAYS if d.weekday() != 5}
    found = volume.check_days(counts, FIRST, AS_OF)
    assert found.passed and "Saturday" in found.message
    del counts[date(2026, 2, 12)]
    assert volume.check_days(counts, FIRST, AS_OF).unexpected == 1


def test_freshness() -> None:
    newest = datetime(2026, 2, 27, 12, tzinfo=UTC)
    found = volume.check_freshness(newest, AS_OF, 24)
    assert not found.passed and "36.0 hours" in found.message and "validate.freshness_hours" in found.message
    assert volume.check_freshness(newest, AS_OF, 36).passed
