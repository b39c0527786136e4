"""The naive member: shares and constants by hand."""

import numpy as np
import pytest
from fusion_data import TASKS, other_night
from make_dataset import make_dataset

from triad.config.tasks import TaskParams
from triad.members.history import DAY
from triad.members.popularity import Popularity, item_shares

DATA = make_dataset(40, 20, 0)


def test_shares_count_train_only_and_older_ones_less() -> None:
    streams = DATA.streams
    expected = np.ones(20)
    for item, kind, time, split in zip(streams.item, streams.kind, streams.time, streams.split, strict=True):
        if split == 0 and kind == 1:
            expected[item] += 0.5 ** ((DATA.meta.windows["train"][1] - time) / DAY / 7)
    assert item_shares(DATA, 7.0) == pytest.approx(expected / expected.sum())


def test_constants_are_those_of_train(tmp_path) -> None:
    member = Popularity.fit(DATA, TASKS, half_life_days=7)
    rows = DATA.rows("test")
    train = DATA.rows("train")
    scores = member.predict(DATA, rows)
    assert set(scores) == set(DATA.meta.tasks["exposures"]) == set(member.tasks)
    assert set(scores["click"]) == {DATA.labels("click")[train].mean(dtype=np.float64)}
    segment = DATA.labels("profile")[train]
    expected = np.array([(segment == k).sum() + 1 for k in range(3)])
    assert scores["profile"][0] == pytest.approx(expected / expected.sum())
    assert scores["profile"].shape == (len(rows), 3)
    assert set(scores["price"]) == {0.0}  # no change
    spend = {"price": TaskParams(kind="regression", label="spend")}
    median = Popularity.fit(DATA, spend, half_life_days=7).constants["price"][0]
    assert median == pytest.approx(np.nanmedian(DATA.labels("price")[train]))

    member.save(tmp_path)
    again = Popularity.load(tmp_path)
    assert again.constants == member.constants
    users, history = DATA.lists.user[:7], DATA.lists.history[:7]
    ranked = again.rank(DATA, users, history)
    assert ranked.shape == (7, 20)
    assert (ranked == member.rank(DATA, users, history)).all()


def test_shares_follow_the_items_to_another_night() -> None:
    member = Popularity.fit(DATA, TASKS, half_life_days=7)
    order = np.random.default_rng(0).permutation(20)
    later = other_night(DATA, order=order, unknown=1)
    before, after = (member.rank(d, np.zeros(1, int), np.ones(1, int))[0] for d in (DATA, later))
    assert after.sum() == pytest.approx(1)
    assert after[1:] / after[1:].sum() == pytest.approx(before[order])
    assert after[0] == after.min() > 0
