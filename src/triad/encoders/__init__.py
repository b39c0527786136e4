"""Inputs of the networks, one a file: its arrays, its Keras layer, its warm start. They need Keras."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from triad.discovery import Registry, discover
from triad.encoders.base import Encoder

ENCODERS: Registry[Any] = discover(__name__, "ENCODER", Encoder)


def inputs_of(source: Any) -> list[str]:
    """Names of the encoders that read nothing but arrays of `source`, a dataclass, in the order of its fields.

    An array without columns says nothing, and nothing reads it.
    """
    known = [field.name for field in fields(source) if np.shape(getattr(source, field.name))[1:] != (0,)]
    order = {name: place for place, name in enumerate(known)}
    names = [name for name, encoder in ENCODERS.items() if order.keys() >= set(encoder.reads)]
    return sorted(names, key=lambda name: order[ENCODERS[name].reads[0]])
