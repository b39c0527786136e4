"""Device, precision, XLA and seeds of the networks, and the settings that make two runs bit-identical."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import keras
import tensorflow as tf

from triad.config.runtime import RuntimeParams
from triad.errors import TriadError
from triad.training import workers

log = logging.getLogger("triad.runtime")

COMPILE_STEPS = 200
"""Compiling takes some 10 s longer than tracing; a compiled step saves about 0.06 s (two CPU cores, 4096 exposures).

On a GPU compiled fine-tuning took twenty times as long as on sixteen cores (`benchmarks/devices.py`): where operations
are deterministic, XLA adds the gradients of looked-up rows there one by one (openxla/xla#34917). On a CPU a
step with a table that learns where it is touched took four times as long (`benchmarks/embeddings.py`): it sorts rows.
"""

TOUCHED_ROWS = 100_000
"""From so many rows on, a step updates only those rows of an embedding table that it reads. It is the faster way
there (`benchmarks/embeddings.py`)."""


@dataclass(frozen=True)
class Runtime:
    """What was settled on. `xla` "auto" leaves it to the length of the training."""

    device: str
    precision: str
    xla: Literal["auto", "on", "off"]
    tables: Literal["auto", "whole", "touched"] = "auto"
    workers: int = 1
    is_deterministic: bool = True

    @property
    def figures(self) -> dict[str, float]:
        """What was settled on, as numbers beside those of the training."""
        return {
            "on_gpu": float(self.device == "gpu"),
            "in_half_precision": float(self.precision != "float32"),
            "deterministic": float(self.is_deterministic),
        }

    def compiles(self, steps: int, *, touched: bool = False) -> bool:
        """Whether a training of so many steps is worth compiling (`COMPILE_STEPS`), where rows learn when `touched`."""
        if workers.cluster() is not None:  # what processes exchange cannot be compiled
            return False
        worth = self.device == "cpu" and steps >= COMPILE_STEPS and not touched
        return self.xla == "on" or (self.xla == "auto" and worth)

    def updates_touched(self, rows: int) -> bool:
        """Whether a step updates only those of a table's `rows` that it reads (`training/touched.py`)."""
        return self.tables == "touched" or (self.tables == "auto" and rows >= TOUCHED_ROWS)


def settle(params: RuntimeParams, seed: int, *, shared: bool = False) -> Runtime:
    """Choose device, precision and compiler, and seed everything. Call it before anything else touches TensorFlow.

    Runs repeat bit for bit on one machine, unless `params.determinism` is off: operations are chosen deterministic, and
    one operation runs at a time, because the order in which two finish may change a sum (`inter_op` threads; those
    within an operation stay free). Of some hundred resumed runs two differed in last bits all the same, for a cause
    that was not found.

    Args:
        shared: join the other processes that train with this one (`training/workers.py`).

    Raises:
        TriadError: a GPU is asked for and none is there, half precision on a CPU is, or processes cannot meet.
    """
    is_deterministic = params.determinism != "off"
    if is_deterministic:
        _one_operation_at_a_time()
    gpus = tf.config.list_physical_devices("GPU")
    if params.device == "gpu" and not gpus:
        raise TriadError(
            "no GPU is visible to TensorFlow",
            where="runtime.device",
            mend="set it to auto or cpu, or install tensorflow[and-cuda] on a machine that has one",
        )
    device = "gpu" if gpus and params.device != "cpu" else "cpu"
    if params.precision == "mixed_bfloat16" and device == "cpu":
        raise TriadError("is slower than float32 on a CPU", where="runtime.precision", mend="set it to auto or float32")
    if device == "cpu" and gpus:
        tf.config.set_visible_devices([], "GPU")
    for gpu in gpus if device == "gpu" else ():
        tf.config.experimental.set_memory_growth(gpu, True)
    if shared:
        workers.join(params.workers)
    precision = "float32" if params.precision == "auto" else params.precision
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)
    if is_deterministic:
        tf.config.experimental.enable_op_determinism()
    return Runtime(device, precision, params.xla, params.tables, params.workers, is_deterministic)


def _one_operation_at_a_time() -> None:
    if tf.config.threading.get_inter_op_parallelism_threads() == 1:
        return
    try:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # TensorFlow allows it only before its first operation
        log.warning("TensorFlow was in use before: this run may differ from its repetition in the last bits")
