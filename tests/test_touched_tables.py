"""Tables updated where they are touched: the weights of AdamW, gradients summed once a row, and resumed bit for bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from triad.config.runtime import RuntimeParams
from triad.encoders.base import Table
from triad.training.optimizers import Groups, Pace, Schedule, grouped
from triad.training.runtime import TOUCHED_ROWS, Runtime, settle
from triad.training.touched import summed

settle(RuntimeParams(device="cpu"), seed=1)

SCHEDULE = Schedule(learning_rate=0.01, weight_decay=0.01, max_epochs=4, patience=3, checkpoint_steps=9)
STEPS = 25  # an epoch


def one_number(*, touched: bool) -> tuple[Table, Groups]:
    """A table of three numbers, 0 at first."""
    table = Table(3, 1)
    table.build()
    table.weight.assign(np.zeros((3, 1)))
    schedule = Schedule(0.01, 0.0, 4, 3, 9)
    return table, grouped([table.weight], schedule, STEPS, lambda _: Pace(), [table] if touched else [])


@pytest.mark.parametrize("at", [(0,), (30,), (30, 50)])
def test_a_row_that_is_seldom_read_ends_where_adamw_takes_it(at) -> None:
    ends, paths = [], []
    for touched in (False, True):
        table, groups = one_number(touched=touched)

        @tf.function
        def step(rows, table=table, groups=groups):
            with groups.reading(), tf.GradientTape() as tape:
                loss = tf.reduce_sum(table(rows) / 2)
            groups.apply(tape.gradient(loss, groups.weights))

        path = []
        for number in range(60):
            step(np.array([1 if number in at else 2], np.int32))
            path.append(float(table.weight.numpy()[1, 0]))
        with groups.averaged():
            pass
        ends.append(float(table.weight.numpy()[1, 0]))
        paths.append(path)
    assert ends[1] == pytest.approx(ends[0], rel=1e-4)
    after = at[0] + 9
    assert abs(paths[0][after]) > 2 * abs(paths[1][after]), "of what a reading moves, most comes after it"
    assert paths[1][at[0]] == paths[1][after], "and a row that is not read is left alone meanwhile"


@pytest.mark.parametrize("xla", [False, True])
def test_a_network_learns_as_with_whole_tables(xla: bool) -> None:
    rows, dim = 200, 4
    goal = np.random.default_rng(1).normal(size=(rows, 3)).astype(np.float32)
    chance = 1 / np.arange(1, rows + 1)
    results = []
    for touched in (False, True):
        keras.utils.set_random_seed(0)
        table, head = Table(rows, dim), keras.layers.Dense(3)
        table.build()
        head.build((None, dim))
        weights = [table.weight, head.kernel, head.bias]
        start = table.weight.numpy()
        groups = grouped(weights, SCHEDULE, STEPS, lambda _: Pace(), [table] if touched else [])

        @tf.function(jit_compile=xla)
        def step(batch, table=table, head=head, groups=groups):
            with groups.reading(), tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(head(table(batch)) - tf.gather(goal, batch)))
            groups.apply(tape.gradient(loss, groups.weights))
            return loss

        random = np.random.default_rng(2)
        for _ in range(3 * STEPS):
            batch = random.choice(rows, 8, replace=False, p=chance / chance.sum())
            loss = float(step(batch.astype(np.int32)))
        with groups.averaged():
            average = table.weight.numpy()
        results.append((table.weight.numpy() - start, average - start, head.kernel.numpy(), loss))
    whole, late = results
    for one, other, most in zip(whole[:2], late[:2], (0.01, 0.05), strict=True):
        assert np.linalg.norm(one - other) < most * np.linalg.norm(one)
    assert late[2] == pytest.approx(whole[2], abs=1e-3) and late[3] == pytest.approx(whole[3], rel=1e-2)


def test_gradients_of_a_row_are_summed_by_hand() -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], np.float32)
    rows, sums = summed(tf.IndexedSlices(tf.constant(values), tf.constant([7, 3, 7, 7])))
    assert rows.numpy().tolist() == [3, 7, 0, 0], "what is left over names padding"
    assert sums.numpy().tolist() == [[3, 4], [13, 16], [0, 0], [0, 0]]


def test_gradients_are_clipped_together() -> None:
    _, groups = one_number(touched=True)
    groups.apply([tf.IndexedSlices(tf.constant([[3.0], [4.0]]), tf.constant([1, 1]))])
    first = groups.variables[-2].numpy()[1, 0]  # the first moment of row 1
    assert first == pytest.approx(0.1), "7 is clipped to 1"


def test_only_large_tables_are_updated_where_they_are_touched() -> None:
    chosen = {dial: Runtime("cpu", "float32", "auto", dial) for dial in ("auto", "whole", "touched")}
    assert [chosen["auto"].updates_touched(rows) for rows in (TOUCHED_ROWS - 1, TOUCHED_ROWS)] == [False, True]
    assert chosen["touched"].updates_touched(1) and not chosen["whole"].updates_touched(10**9)
