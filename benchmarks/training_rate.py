"""What share of this machine's float32 matmul rate fine-tuning reaches, and how long it waits for its batches.

    python benchmarks/training_rate.py [--repetitions 5] [--steps 4] [--preset base] [--xla on] [--batch 4100]

The network of `params.yaml` (MMoE, four tasks) on the drawn exposures of `streams.py`: 4,100 a batch, 41 streams of 64
interactions. The work of a step is counted from its graph: two operations a multiplication of every matrix product,
forward and backward, and nothing else. The machine's rate is that of a product of two matrices of 2048 x 2048
(`--side`). Both take turns; prints each, medians and quartiles of their ratio, and the share of a step's time in which
a batch is built.
Where other programs use the processors too, the ratio in processor time tells more than that by the clock. It also
prints a digest of the weights after the last step: equal where a change of the code changed no figure. A preset is one
of `configs/presets`, with so many `--items` in its table; on a GPU, `--precision mixed_bfloat16` compares with products
in bfloat16.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import yaml
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

PRESETS = Path(__file__).resolve().parents[1] / "configs" / "presets"


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


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--preset", choices=["small", "base", "large"], default="small")
    parser.add_argument("--items", type=int, default=0, help="rows of the item table, of which a few thousand are read")
    parser.add_argument("--side", type=int, default=2048, help="of the matrices that the machine multiplies")
    parser.add_argument("--precision", choices=["float32", "mixed_bfloat16"], default="float32")
    parser.add_argument("--xla", choices=["on", "off"], default="on")
    parser.add_argument("--batch", type=int, default=4100)
    parser.add_argument("--determinism", choices=["on", "off"], default="on")
    return parser.parse_args()


def prepared(asked: argparse.Namespace) -> tuple[keras.Model, UnitFeed, Any]:
    """The network, its batches, and a step."""
    settle(RuntimeParams(determinism=asked.determinism, precision=asked.precision), seed=1)
    chosen = yaml.safe_load((PRESETS / f"{asked.preset}.yaml").read_text())
    data, trunk = workload(apart=False), TrunkParams(**chosen["pretrain"]["trunk"])
    rows_of = data.meta.vocabulary_rows
    data = data.replaced(
        meta=replace(data.meta, vocabulary_rows={**rows_of, "item": max(rows_of["item"], asked.items)})
    )
    params = FinetuneParams(**{**chosen["finetune"], "batch_exposures": asked.batch})
    network = multi_task(data, trunk_config(data, trunk), params, TASKS)
    feed = UnitFeed(data, params, trunk.max_steps, {"exposures": TASKS})
    rates = Schedule(1e-3, 1e-2, 10, 3, 200)
    optimizers = grouped(network.trainable_variables, rates, len(feed.plan(0)), lambda _: Pace())
    return network, feed, make_step(make_loss(network), optimizers, xla=asked.xla == "on")


def main() -> None:
    asked = arguments()
    network, feed, step = prepared(asked)
    plan = feed.plan(0)
    _, batch = feed.build(plan[0], 0, 0)
    work = operations(step.get_concrete_function(batch).graph)
    matrix = tf.cast(tf.random.normal((asked.side, asked.side)), keras.config.dtype_policy().compute_dtype)
    product = tf.function(lambda: tf.linalg.matmul(matrix, matrix))
    for _ in range(2):
        float(step(batch)["loss"])
        product()
    rows = []
    for number in range(asked.repetitions):
        start = time.perf_counter()
        used = time.process_time()
        for _ in range(4):
            product()[0, 0].numpy()  # so that it is done
        machine = 4 * 2 * asked.side**3 / (time.perf_counter() - start)
        alone = 4 * 2 * asked.side**3 / (time.process_time() - used)
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
    settled = f"{asked.precision}, compiled: {asked.xla}, determinism: {asked.determinism}"
    size = sum(math.prod(each.shape) for each in network.trainable_variables)
    print(f"{asked.preset}, {size:,} weights, {work / 1e9:.1f} GFLOP a step, {len(plan)} batches of {asked.batch}")
    print(f"{settled}\n")
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
