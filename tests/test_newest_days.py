"""The newest days of a log, held against the week before: wrong items are found, what is healthy is not stopped."""

import numpy as np
import pytest

from triad.config.refit import HealthLimits
from triad.evaluation.newest_days import agreement, doubts
from triad.features.dataset import Streams
from triad.features.sql import DAY

LEAST = HealthLimits().min_days_agreement
DAYS, ITEMS = 40, 300


def log(daily: int = 1500, items: int = ITEMS) -> tuple[np.ndarray, np.ndarray]:
    """Item and day of each interaction; how often items are taken follows a power law."""
    random = np.random.default_rng(1)
    shares = 1 / np.arange(1, items + 1) ** 0.8
    day = np.repeat(np.arange(DAYS), random.poisson(daily * np.where(np.arange(DAYS) % 7 == 6, 0.3, 1)))
    return random.choice(items, len(day), p=shares / shares.sum()), day


def judged(item: np.ndarray, day: np.ndarray, size: int) -> list[str]:
    streams = Streams(np.array([0, len(item)]), item, np.ones(len(item), int), day * DAY, np.zeros(len(item), int))
    return doubts(agreement(streams, (DAYS - size) * DAY, DAYS * DAY), LEAST)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_days_like_those_before_are_learned(size: int) -> None:
    assert judged(*log(), size) == []


@pytest.mark.parametrize("size", [1, 2])
def test_days_that_name_other_items_are_doubted(size: int) -> None:
    item, day = log()
    is_new = day >= DAYS - size
    mixed = np.where(is_new, np.random.default_rng(2).permutation(ITEMS)[item], item)
    (sentence,) = judged(mixed, day, size)
    assert "name the right items?" in sentence
    assert judged(np.where(is_new, 5, item), day, size)


def test_new_items_and_fewer_events_are_no_reason_to_doubt() -> None:
    item, day = log()
    is_new = day >= DAYS - 2
    launched = np.where(is_new & (np.arange(len(day)) % 3 == 0), ITEMS + np.arange(len(day)) % 40, item)
    assert judged(launched, day, 2) == []
    kept = ~is_new | (np.arange(len(day)) % 4 == 0)
    assert judged(item[kept], day[kept], 2) == []


@pytest.mark.parametrize("case", ["closed", "short", "few", "none", "nothing new"])
def test_what_cannot_be_told_is_not_doubted(case: str) -> None:
    item, day = log(daily=20, items=30) if case == "few" else log()
    if case == "few":  # so few that chance alone may do it
        item = np.where(day >= DAYS - 1, np.random.default_rng(2).permutation(30)[item], item)
    kept = {"closed": day < DAYS - 1, "short": day >= DAYS - 9, "none": day < 0}.get(case, day >= 0)
    assert judged(item[kept], day[kept], 0 if case == "nothing new" else 1) == []
