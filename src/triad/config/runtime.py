"""`runtime`: where the networks run."""

from __future__ import annotations

from typing import Literal

from triad.config.base import Section


class RuntimeParams(Section):
    """`auto` picks by what is there; asking for a GPU that is not there is an error."""

    device: Literal["auto", "cpu", "gpu"] = "auto"
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    xla: Literal["auto", "on", "off"] = "auto"
