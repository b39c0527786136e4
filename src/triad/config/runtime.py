"""`runtime`: the device and precision of the networks."""

from __future__ import annotations

from typing import Literal

from triad.config.base import Section


class RuntimeParams(Section):
    """`auto` picks by what is there; asking for a GPU that is not there is an error."""

    device: Literal["auto", "cpu", "gpu"] = "auto"

    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    """auto: float32, also on a GPU, where half precision has not been seen to be faster (`benchmarks/devices.py`)."""

    xla: Literal["auto", "on", "off"] = "auto"
    """auto: long trainings on a CPU are compiled, and none on a GPU (`training/runtime.py`)."""
