"""What pretraining's losses cost by the size of the catalogue: `python benchmarks/pretraining_losses.py`.

Times the part of a step that depends on the catalogue: the loss of a batch of targets and its gradients for the states
and for every item's vector, at the default sizes of `params.yaml` (1,024 targets, 48 dimensions, 256 shared negatives).
The two losses are timed in turn, so that a busy machine slows both; figures are medians. `pretrain.loss: auto` changes
from the exact softmax to the sampled one at `LARGEST_EXACT` items.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import tensorflow as tf

from triad.config.pretrain import LARGEST_EXACT, PretrainParams
from triad.models import losses

PARAMS = PretrainParams()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[1_000, 5_000, LARGEST_EXACT, 68_000])
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    print(f"{'items':>8}  {'softmax, ms':>11}  {'sampled, ms':>11}  {'ratio':>6}")
    for items in asked.items:
        steps = make_steps(items)
        for step in steps:
            step()  # traces and compiles
        spent = [[_seconds(step) for step in steps] for _ in range(asked.rounds)]
        exact, sampled = (1000 * median(column) for column in zip(*spent, strict=True))
        print(f"{items:>8,}  {exact:>11.1f}  {sampled:>11.1f}  {exact / sampled:>6.1f}")


def make_steps(items: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """One step of the exact and one of the sampled softmax over a catalogue of `items`."""
    random = np.random.default_rng(1)
    states = tf.constant(random.normal(size=(PARAMS.batch_targets, PARAMS.trunk.dim)), tf.float32)
    vectors = tf.Variable(random.normal(size=(items, PARAMS.trunk.dim)).astype(np.float32))
    target = tf.constant(random.integers(0, items, PARAMS.batch_targets))
    drawn = tf.constant(random.integers(0, items, PARAMS.negatives))
    log_q = tf.fill([PARAMS.negatives], tf.cast(-np.log(items), tf.float32))

    def exact() -> tf.Tensor:
        return losses.softmax(tf.matmul(states, vectors, transpose_b=True), target)

    def sampled() -> tf.Tensor:
        logits = tf.matmul(states, tf.gather(vectors, tf.concat([target, drawn], 0)), transpose_b=True)
        is_target = tf.cast(target[:, None] == drawn[None, :], tf.float32)
        taken, negatives = tf.linalg.diag_part(logits[:, : len(target)]), logits[:, len(target) :]
        return losses.sampled_softmax(taken, negatives, is_target, log_q)

    def step(loss: Callable[[], tf.Tensor]) -> Callable[[], object]:
        @tf.function
        def run() -> object:
            with tf.GradientTape() as tape:
                tape.watch(states)
                value = tf.reduce_mean(loss())
            return tape.gradient(value, [states, vectors])

        return run

    return step(exact), step(sampled)


def _seconds(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
