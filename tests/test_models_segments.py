"""Segments and batches: every row's state is the one it asked for, and holds nothing from its future."""

import numpy as np
import pytest
from make_dataset import make_dataset

from triad.encoders.history import GAPS, gap_rows
from triad.models.batches import Batches
from triad.models.segments import segment


def test_by_hand() -> None:
    # one user, segments of 4 that start every 2: states 5 and 6 lie in the one that starts at 2, state 7 at 4
    found = segment(np.array([3, 3, 3, 3, 3]), np.array([0, 4, 5, 6, 7]), max_steps=4)
    assert found.user.tolist() == [3, 3, 3]
    assert found.first.tolist() == [0, 2, 4]
    assert found.length.tolist() == [4, 4, 3]
    assert found.segment.tolist() == [0, 0, 1, 1, 2]
    assert found.step.tolist() == [0, 4, 3, 4, 3]


@pytest.mark.parametrize("max_steps", [2, 4, 5, 7, 64])
def test_states_are_exact_and_see_enough(max_steps: int) -> None:
    random = np.random.default_rng(max_steps)
    user, history = random.integers(0, 9, 500), random.integers(0, 200, 500)
    found = segment(user, history, max_steps)
    assert (found.user[found.segment] == user).all()
    assert (found.first[found.segment] + found.step == history).all()
    assert (found.step <= found.length[found.segment]).all() and found.length.max() <= max_steps
    context = np.where(history <= max_steps, history, max_steps - max_steps // 2 + 1)
    assert (found.step >= context).all()
    assert len(np.unique(np.stack([found.user, found.first]), axis=1).T) == len(found.user)


def test_no_rows() -> None:
    found = segment(np.zeros(0, int), np.zeros(0, int), 8)
    assert len(found.user) == len(found.segment) == 0


def test_gaps_by_hand() -> None:
    second = 1_000_000
    time = np.array([10, 10, 11, 14, 14 + 2**40]) * second
    assert gap_rows(time, np.array([0, 0, 4, 5]), np.arange(5)).tolist() == [0, 1, 2, 3, 0]
    assert gap_rows(time, np.array([0, 5, 5]), np.array([[3, 4], [0, 2]])).tolist() == [[3, GAPS - 1], [0, 2]]
    assert gap_rows(np.zeros(0), np.zeros(3, int), np.zeros(0, int)).tolist() == []


@pytest.fixture(scope="module")
def data():
    return make_dataset()


def exposure_batches(data, **kwargs) -> Batches:
    seen = data.exposures
    sizes = {"max_steps": 8, "slots": 64, **kwargs}
    return Batches(data, seen.user, seen.history, seen.item, columns={"labels": seen.labels}, **sizes)


@pytest.mark.parametrize("seed", [None, (1, 0)])
def test_a_batch_holds_what_its_rows_ask_for(data, seed) -> None:
    batches, seen, streams = exposure_batches(data), data.exposures, data.streams
    rows_seen = []
    for rows, batch in batches(seed):
        rows_seen.append(rows)
        assert batch["item"].shape == (batches.shape.segments, 8) and batch["candidate"].shape == (64,)
        assert batch["mask"].tolist() == [1.0] * len(rows) + [0.0] * (64 - len(rows))
        known = batch["items"]["log_price"]
        for slot, row in enumerate(rows[:7]):
            segment_, step = batch["segment"][slot], batch["step"][slot]
            last = streams.offsets[seen.user[row]] + seen.history[row]
            read = slice(last - step, last)  # the interactions strictly before the exposure
            assert (streams.time[read] < seen.time[row]).all()
            assert (batch["kind"][segment_, :step] == streams.kind[read]).all()
            assert (known[batch["item"][segment_, :step]] == data.items.log_price[streams.item[read]]).all()
            assert known[batch["candidate"][slot]] == data.items.log_price[seen.item[row]]
            assert (batch["attributes"][segment_] == data.users.attributes[seen.user[row]]).all()
            np.testing.assert_array_equal(batch["labels"][slot], seen.labels[row])
    assert np.sort(np.concatenate(rows_seen)).tolist() == list(range(len(batches)))


def test_a_large_catalogue_is_named_batch_by_batch(data) -> None:
    whole, named = exposure_batches(data), exposure_batches(data, max_steps=2, slots=4)
    assert whole.shape.items == 40 and named.shape.items < 40
    rows, batch = next(named())
    price = batch["items"]["log_price"]
    assert (price[batch["candidate"][: len(rows)]] == data.items.log_price[data.exposures.item[rows]]).all()
    assert len(price) == named.shape.items


def test_a_segment_with_more_rows_than_slots_is_split(data) -> None:
    user = np.zeros(50, int)
    batches = Batches(data, user, np.minimum(np.arange(50), 3), np.zeros(50, int), max_steps=8, slots=16)
    assert [len(rows) for _, rows in batches.pack()] == [16, 16, 16, 2]


def test_the_seed_is_the_order(data) -> None:
    batches = exposure_batches(data)
    first, again, other = (np.concatenate([rows for _, rows in batches.pack(s)]) for s in ((1, 0), (1, 0), (1, 1)))
    assert first.tolist() == again.tolist() != other.tolist()
