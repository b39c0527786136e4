"""What share of this machine's float32 matmul rate fine-tuning reaches, and how long it waits for its batches.

    python benchmarks/training_rate.py [--repetitions 5] [--steps 4] [--dim 48] [--xla on] [--batch 4100]

The network of `params.yaml` (MMoE, four tasks) on the drawn exposures of `streams.py`: 4,100 a batch, 41 streams of 64
interactions. The work of a step is counted from its graph: two operations a multiplication of every matrix product,
forward and backward, and nothing else. The machine's rate is that of a product of two matrices of 2048 x 2048. Both
take turns; prints each, medians and quartiles of their ratio, and the share of a step's time in which a batch is built.
Where other programs use the processors too, the ratio in processor time tells more than that by the clock. It also
prints a digest of the weights after the last step: equal where a change of the code changed no figure.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from streams import TASKS, workload

from triad.config.finetune import FinetuneParams
from triad.config.pretrain import TrunkParams
from triad.config.runtime import RuntimeParams
from triad.models.multitask import multi_task
from triad.models.trunk import trunk_config
from triad.training.feeds import UnitFeed
from triad.training.finetuning import make_loss
from triad.training.loop import make_step
from triad.training.optimizers import Pace, Schedule, grouped
from triad.training.runtime import settle

SIDE = 2048


def operations(graph: Any) -> float:
    """Of all matrix products in `graph`."""
    total = 0.0
    for each in graph.get_operations():
        if each.type == "MatMul":
            left, out = each.inputs[0].shape, each.outputs[0].shape
            total += 2 * math.prod(out) * left[0 if each.get_attr("transpose_a") else 1]
        elif each.type.startswith("BatchMatMul"):
            left, out = each.inputs[0].shape, each.outputs[0].shape
            total += 2 * math.prod(out) * left[-2 if each.get_attr("adj_x") else -1]
        elif each.type == "Einsum":
            names = each.get_attr("equation").decode().split("->")[0].split(",")
            sizes = {
                letter: size
                for name, value in zip(names, each.inputs, strict=True)
                for letter, size in zip(name, value.shape, strict=True)
            }
            total += 2 * math.prod(sizes.values())
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--dim", type=int, default=48)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--xla", choices=["on", "off"], default="on")
    parser.add_argument("--batch", type=int, default=4100)
    parser.add_argument("--determinism", choices=["on", "off"], default="on")
    asked = parser.parse_args()
    runtime = settle(RuntimeParams(determinism=asked.determinism), seed=1)
    data, trunk = workload(apart=False), TrunkParams(dim=asked.dim, heads=asked.heads)
    params = FinetuneParams(batch_exposures=asked.batch)
    network = multi_task(data, trunk_config(data, trunk), params, TASKS)
    feed = UnitFeed(data, params, trunk.max_steps, {"exposures": TASKS})
    plan = feed.plan(0)
    rates = Schedule(1e-3, 1e-2, 10, 3, 200)
    optimizers = grouped(network.trainable_variables, rates, len(plan), lambda _: Pace())
    step = make_step(make_loss(network), optimizers, xla=asked.xla == "on")
    _, batch = feed.build(plan[0], 0, 0)
    work = operations(step.get_concrete_function(batch).graph)
    matrix = tf.random.normal((SIDE, SIDE))
    product = tf.function(lambda: tf.linalg.matmul(matrix, matrix))
    for _ in range(2):
        float(step(batch)["loss"])
        product()
    rows = []
    for number in range(asked.repetitions):
        start = time.perf_counter()
        used = time.process_time()
        for _ in range(4):
            product().numpy()
        machine = 4 * 2 * SIDE**3 / (time.perf_counter() - start)
        alone = 4 * 2 * SIDE**3 / (time.process_time() - used)
        built = 0.0
        start, used = time.perf_counter(), time.process_time()
        for place in range(asked.steps):
            before = time.perf_counter()
            _, batch = feed.build(plan[(number + place) % len(plan)], 0, place)
            built += time.perf_counter() - before
            float(step(batch)["loss"])
        seconds, used = time.perf_counter() - start, time.process_time() - used
        own = asked.steps * work / (seconds - built)
        per_processor = asked.steps * work / used
        by_clock = machine / 1e9, own / 1e9, own / machine, built / seconds
        rows.append((*by_clock, alone / 1e9, per_processor / 1e9, per_processor / alone))
    weights = hashlib.blake2b(b"".join(each.tobytes() for each in network.get_weights())).hexdigest()[:12]
    settled = f"compiled: {asked.xla}, deterministic: {runtime.is_deterministic}"
    print(f"{work / 1e9:.1f} GFLOP a step, {len(plan)} batches of {asked.batch}, dim {asked.dim}, {settled}\n")
    names = (
        *("matmul GFLOP/s", "training GFLOP/s", "share", "building, share of the time"),
        *("matmul GFLOP/processor-s", "training GFLOP/processor-s", "share in processor time"),
    )
    for name, values in zip(names, np.array(rows).T, strict=True):
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        print(f"{name:30s} {middle:8.3f} ({low:.3f} … {high:.3f})")
    print(f"weights {weights}")


if __name__ == "__main__":
    main()
