"""EfficientNet-lite0 (Tan and Le 2019, arXiv:1905.11946; without squeeze-and-excitation, with ReLU6) in Keras.

Each batch normalisation is folded into the convolution before it, so that a layer has a kernel and a bias alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from triad.arrays import Floats
from triad.errors import TriadError

BLOCKS = 16
_HALVING = (1, 3, 5, 11)  # blocks that halve the picture
TAPS = (2, 4, 10, 15)
"""Blocks whose means are read beside the last layer's: early ones know colour and texture, late ones things."""
_EPSILON = 1e-3


def folded(state: Mapping[str, Floats]) -> dict[str, tuple[Floats, Floats]]:
    """Layer → kernel as Keras has it, and bias, of PyTorch's `state`.

    Raises:
        TriadError: a layer is missing, or of another shape.
    """
    names = [("stem", "_conv_stem", "_bn0")]
    for number in range(BLOCKS):
        parts = (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2"))
        inside = f"_blocks.{number}."
        names += [
            (f"block{number}_{part}", f"{inside}_{part}_conv", inside + norm)
            for part, norm in parts
            if number or part != "expand"
        ]
    names.append(("head", "_conv_head", "_bn1"))
    try:
        return {layer: _fold(state, conv, norm, is_depthwise="depthwise" in layer) for layer, conv, norm in names}
    except (KeyError, ValueError) as error:
        mend = "name the .pth of an EfficientNet-lite0, as the package carries it"
        raise TriadError(f"is no EfficientNet-lite0: {error}", where="images.encoder", mend=mend) from error


def _fold(state: Mapping[str, Floats], conv: str, norm: str, *, is_depthwise: bool) -> tuple[Floats, Floats]:
    kernel = state[f"{conv}.weight"].transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))
    mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
    scale = state[f"{norm}.weight"] / np.sqrt(variance + _EPSILON)
    return kernel * (scale[:, None] if is_depthwise else scale), state[f"{norm}.bias"] - mean * scale


def network(weights: Mapping[str, tuple[Floats, Floats]], *, size: int | None, first: int = 0) -> keras.Model:
    """Pictures (batch, size, size, 3) as `scaled` → the maps of TAPS and of the last layer, by name.

    Args:
        first: the block that it starts from; its inputs are then maps of the block before.
    """
    before = weights[f"block{first - 1}_project"][1].shape[0] if first else 3
    x = inputs = keras.Input((size, size, before))
    if not first:
        x = layers.ReLU(6)(_conv(weights, "stem", strides=2)(x))
    maps: dict[str, Any] = {}
    for number in range(first, BLOCKS):
        x = _block(weights, number, x)
        if number in TAPS:
            maps[f"block{number}"] = x
    maps["head"] = layers.ReLU(6)(_conv(weights, "head")(x))
    model = keras.Model(inputs, maps)
    for layer in model.layers:
        if layer.name in weights:
            layer.set_weights(weights[layer.name])
    return model


def _block(weights: Mapping[str, Any], number: int, x: Any) -> Any:
    name, strides, start = f"block{number}", 2 if number in _HALVING else 1, x
    if f"{name}_expand" in weights:
        x = layers.ReLU(6)(_conv(weights, f"{name}_expand")(x))
    width = weights[f"{name}_depthwise"][0].shape[0]
    x = layers.DepthwiseConv2D(width, strides=strides, padding="same", name=f"{name}_depthwise")(x)
    x = _conv(weights, f"{name}_project")(layers.ReLU(6)(x))
    return layers.Add()([start, x]) if strides == 1 and start.shape[-1] == x.shape[-1] else x


def _conv(weights: Mapping[str, Any], name: str, strides: int = 1) -> layers.Layer:
    width, _, _, filters = weights[name][0].shape
    return layers.Conv2D(filters, width, strides=strides, padding="same", name=name)


def scaled(pictures: Any) -> Any:
    """0 … 255 as the network was taught."""
    return (pictures - 127.0) / 128.0


class Means:
    """Of each of a network's maps the mean over places, of length 1.

    Args:
        before: also the whole map that this block reads, from which it may be taught on. After the means, flattened.
    """

    def __init__(self, state: Mapping[str, Floats], size: int, before: int | None = None) -> None:
        model = network(folded(state), size=size)
        maps = [model.output[name] for name in (*(f"block{number}" for number in TAPS), "head")]
        parts = [layers.UnitNormalization()(layers.GlobalAveragePooling2D()(each)) for each in maps]
        self.maps: tuple[int, ...] | None = None
        self.means = sum(int(each.shape[-1]) for each in parts)
        if before is not None:
            read = model.get_layer(f"block{before}_expand").input
            self.maps = tuple(read.shape[1:])
            parts.append(layers.Flatten()(read))
        self._model = keras.Model(model.input, layers.Concatenate()(parts))
        self.dim = int(self._model.output.shape[-1])

    def of(self, pictures: Any) -> Floats:
        """(n, size, size, 3) of 0 … 255 → (n, dim)."""
        return np.asarray(self._model.predict_on_batch(scaled(np.asarray(pictures, np.float32))))
