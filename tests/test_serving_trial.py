"""Trials of a challenger: who gets which list, what happens when it fails, and what the report says."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from triad.config.evaluate import EvaluateParams
from triad.config.serve import ServeParams, TrialParams
from triad.errors import TriadError
from triad.serving.online import compare, differences, unseen
from triad.serving.trial import CHALLENGER, CHAMPION, Outcome, Trial, chances, drafted, failed
from triad.tables import connect

OLD: Any = SimpleNamespace(version="1")
NEW: Any = SimpleNamespace(version="2")


def rows(*items: str) -> list[dict[str, Any]]:
    known = {"arm": CHAMPION, "propensity": 1.0}
    return [{"item_id": item, "rank": place + 1, **known} for place, item in enumerate(items)]


def asked(state: Any) -> list[dict[str, Any]]:
    return rows("a", "b", "c") if state is OLD else rows("b", "d", "e")


def trial(folder: Path, patience: float = 5.0, **settings: Any) -> Trial:
    holder: Any = SimpleNamespace(now=NEW, stop=lambda: None)
    return Trial(TrialParams(alias="challenger", **settings), holder, folder, patience)


def until(met: Callable[[], bool]) -> None:
    for _ in range(500):
        if met():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_a_canary_answers_its_share_of_customers_always_the_same_ones(tmp_path: Path) -> None:
    tried = trial(tmp_path, mode="canary", share=0.2)
    arms = {f"u{n}": tried.arm(f"u{n}") for n in range(2000)}
    assert Counter(arms.values())[CHALLENGER] == pytest.approx(400, abs=60)
    assert all(tried.arm(user) == arm for user, arm in arms.items())
    for user in list(arms)[:50]:
        state, listed = tried.answer(OLD, user, asked, 3)
        expected = (NEW, ["b", "d", "e"]) if arms[user] == CHALLENGER else (OLD, ["a", "b", "c"])
        assert (state, [row["item_id"] for row in listed]) == expected and {row["arm"] for row in listed} == {
            arms[user]
        }
    tried.close()


def test_where_the_challenger_fails_the_champion_answers_and_the_canary_returns(tmp_path: Path) -> None:
    def broken(state: Any) -> list[dict[str, Any]]:
        if state is NEW:
            raise RuntimeError("no")
        return asked(state)

    tried = trial(tmp_path, mode="canary", share=1.0, requests=20, most_errors=0.1)
    for n in range(25):
        assert tried.answer(OLD, f"u{n}", broken, 3) == (OLD, asked(OLD))
    assert tried.ended.is_file() and "100.0% of its answers failed" in unseen(tmp_path)
    again = trial(tmp_path, mode="canary", share=1.0)  # another worker, or the same one started anew
    assert again.answer(OLD, "u1", asked, 3) == (OLD, asked(OLD))
    tried.close()


def test_a_challenger_that_is_slow_or_lists_nothing_costs_no_answer(tmp_path: Path) -> None:
    def slow(state: Any) -> list[dict[str, Any]]:
        if state is NEW:
            time.sleep(0.3)
        return asked(state)

    tried = trial(tmp_path, mode="compare", patience=0.05)
    user = next(f"u{n}" for n in range(99) if tried.arm(f"u{n}") == CHALLENGER)
    begun = time.perf_counter()
    assert tried.answer(OLD, user, slow, 3)[0] is OLD and time.perf_counter() - begun < 0.25
    assert tried.answer(OLD, user, lambda state: [] if state is NEW else asked(state), 3)[0] is OLD
    tried.close()


def test_limits_wait_for_enough_answers() -> None:
    limits = TrialParams(requests=10, most_errors=0.2, slowest_ms=50, least_overlap=0.5)
    good, bad = Outcome(20.0, 0.8), Outcome(None, None)
    assert failed([bad] * 9, limits) is None and failed([good] * 10, limits) is None
    assert "30.0% of its answers failed" in str(failed([good] * 7 + [bad] * 3, limits))
    assert "within 90 ms" in str(failed([good] * 8 + [Outcome(90.0, 0.8)] * 2, limits))
    assert "share 20.0%" in str(failed([Outcome(20.0, 0.2)] * 10, limits))


def test_a_shadow_is_compared_and_never_shown(tmp_path: Path) -> None:
    tried = trial(tmp_path, mode="shadow", requests=5, most_errors=0.0)
    for n in range(8):
        assert tried.answer(OLD, f"u{n}", asked, 3) == (OLD, asked(OLD))
    until(lambda: "8 answers" in unseen(tmp_path))
    assert "0 failed" in unseen(tmp_path) and "33.3% of the champion's items" in unseen(tmp_path)
    tried.close()


def test_a_list_drawn_from_both_has_the_best_of_each_and_every_item_once() -> None:
    wins = Counter[str]()
    for seed in range(400):
        mixed = drafted(rows("a", "b", "c", "d"), rows("b", "e", "a", "f"), 4, str(seed))
        assert [row["rank"] for row in mixed] == [1, 2, 3, 4] and len({row["item_id"] for row in mixed}) == 4
        assert Counter(row["arm"] for row in mixed) == {CHAMPION: 2, CHALLENGER: 2}
        wins[mixed[0]["item_id"]] += 1
    assert set(wins) == {"a", "b"} and wins["a"] == pytest.approx(200, abs=50)
    assert len(drafted(rows("a"), rows("a", "b"), 4, "1")) == 2


@pytest.mark.parametrize(
    ("first", "second", "k"),
    [("abcd", "beaf", 3), ("abcdef", "abcdef", 4), ("abcdef", "fedcba", 5), ("a", "ab", 4), ("abc", "xyz", 1)],
)
def test_an_item_of_a_drafted_list_has_the_propensity_with_which_it_is_drafted(first: str, second: str, k: int) -> None:
    held, draws = Counter[str](), 2000
    chance = chances(first, second, k)
    for seed in range(draws):
        mixed = drafted(rows(*first), rows(*second), k, str(seed))
        held.update(row["item_id"] for row in mixed)
        assert all(row["propensity"] == chance[row["item_id"]] > 0 for row in mixed)
    for item, probability in chance.items():
        assert held[item] / draws == pytest.approx(probability, abs=4 * 0.5 / np.sqrt(draws)), item
    assert sum(chance.values()) == pytest.approx(min(k, len({*first, *second})))


def test_long_lists_are_drafted_at_once() -> None:
    random = np.random.default_rng(1)
    names = [f"i{n}" for n in range(300)]
    begun = time.process_time()
    chance = chances(list(random.permutation(names)[:200]), list(random.permutation(names)[:200]), 200)
    assert sum(chance.values()) == pytest.approx(200) and time.process_time() - begun < 1


def test_the_same_version_is_no_trial_and_a_trial_needs_a_log(tmp_path: Path) -> None:
    tried = trial(tmp_path, mode="canary", share=1.0)
    assert tried.answer(NEW, "u1", lambda state: rows("x"), 3) == (NEW, rows("x"))
    with pytest.raises(ValueError, match=r"needs serve\.log"):
        ServeParams.model_validate({"trial": {"alias": "challenger"}})


def test_the_report_finds_a_planted_difference_and_none_where_there_is_none() -> None:
    random = np.random.default_rng(1)
    user, challenger = np.repeat(np.arange(600), 20), np.repeat(np.arange(600) % 2 == 1, 20)
    deeds = {"click": (random.random(12_000) < np.where(challenger, 0.2, 0.1)) * 1.0}
    deeds["purchase"] = np.repeat(random.random((300, 20)) < 0.05, 2, axis=0).ravel() * 1.0  # the same in both arms
    clicked, bought = differences(user, challenger, deeds, EvaluateParams())
    assert clicked.low > 0.07 and clicked.high < 0.13 and "better" in str(clicked)
    assert bought.low < 0 < bought.high and "no difference shown" in str(bought)
    assert clicked.shown == (6000, 6000) and clicked.customers == 600


def test_clicks_count_for_the_arm_that_showed_the_item_in_time() -> None:
    noon = datetime(2026, 1, 30, 12, tzinfo=UTC)
    log = [("u1", "i1", CHAMPION), ("u1", "i2", CHALLENGER), ("u2", "i1", CHALLENGER), ("u2", "i2", CHAMPION)]
    shown = pa.table(
        {
            "event_id": [f"s{n}" for n in range(4)],
            "user_id": [user for user, _, _ in log],
            "item_id": [item for _, item, _ in log],
            "arm": [arm for _, _, arm in log],
            "version": ["2" if arm == CHALLENGER else "1" for _, _, arm in log],
            "occurred_at": pa.array([noon] * 4, pa.timestamp("us", "UTC")),
        }
    )
    deeds = [("u1", "i2", 1, "click"), ("u1", "i2", 2, "purchase"), ("u2", "i2", 30, "click"), ("u1", "i9", 1, "click")]
    events = pa.table(
        {
            "event_id": [f"e{n}" for n in range(4)],
            "user_id": [user for user, *_ in deeds],
            "item_id": [item for _, item, *_ in deeds],
            "occurred_at": pa.array([noon + timedelta(hours=h) for *_, h, _ in deeds], pa.timestamp("us", "UTC")),
            "kind": [kind for *_, kind in deeds],
        }
    )
    with connect({"events": events}) as session:
        clicked, bought = compare(shown, session, 24, EvaluateParams())
        assert (clicked.champion, clicked.challenger) == (0.0, 0.5) == (bought.champion, bought.challenger)
        with pytest.raises(TriadError, match="only one arm"):
            compare(shown.filter(pa.compute.equal(shown["arm"], CHALLENGER)), session, 24, EvaluateParams())
