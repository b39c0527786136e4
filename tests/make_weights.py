"""A file of weights as PyTorch writes it, of a small network of pictures that nobody taught."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Floats
from triad.images.torch_file import _MAGIC, _PROTOCOL

WIDTHS = (16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320)
KERNELS = (3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 3)


def pth(state: dict[str, Floats], path: Path, *, dtype: str = "FloatStorage") -> Path:
    """`state` as PyTorch wrote it: each storage's numbers follow the pickles, tensors name them."""

    class Named:
        def __init__(self, module: str, name: str) -> None:
            self.module, self.name = module, name

    class Call:
        def __init__(self, *parts: Any) -> None:
            self.parts = parts

        def __reduce__(self) -> Any:
            return _stand_in, self.parts

    class Writer(pickle._Pickler):  # type: ignore[name-defined,misc] # Python's own can write names of what is not there
        def save(self, what: Any, save_persistent_id: bool = True) -> None:
            if isinstance(what, Named) or what is _stand_in:
                name = (what.module, what.name) if isinstance(what, Named) else ("torch._utils", "_rebuild_tensor_v2")
                self.write(b"c" + f"{name[0]}\n{name[1]}\n".encode())
            else:
                super().save(what, save_persistent_id)

        def persistent_id(self, what: Any) -> Any:
            return what if isinstance(what, tuple) and what[:1] == ("storage",) else None

    tensors = OrderedDict()
    for key, (name, values) in enumerate(state.items()):
        storage = ("storage", Named("torch", dtype), str(key), "cpu", values.size, None)
        steps = tuple(step // values.itemsize for step in values.strides)
        tensors[name] = Call(storage, 0, values.shape, steps, False, OrderedDict())
    with path.open("wb") as file:
        for part in (_MAGIC, _PROTOCOL, {"little_endian": True}):
            pickle.dump(part, file, 2)
        Writer(file, 2).dump(tensors)
        pickle.dump([str(key) for key in range(len(state))], file, 2)
        for values in state.values():
            file.write(values.size.to_bytes(8, "little") + values.tobytes())
    return path


def _stand_in(*_: Any) -> None: ...


def untaught(seed: int) -> dict[str, Floats]:
    """A network of lite0's layers at an eighth of their widths, with weights that nobody taught."""
    random, state = np.random.default_rng(seed), dict[str, Floats]()

    def layer(conv: str, norm: str, *shape: int) -> None:
        size = np.sqrt(2 / np.prod(shape[1:]))
        state[f"{conv}.weight"] = random.normal(0, size, shape).astype(np.float32)
        for name, low, high in (("weight", 0.5, 1.5), ("bias", -0.1, 0.5), ("running_mean", -0.1, 0.1)):
            state[f"{norm}.{name}"] = random.uniform(low, high, shape[0]).astype(np.float32)
        state[f"{norm}.running_var"] = random.uniform(0.5, 1.5, shape[0]).astype(np.float32)

    layer("_conv_stem", "_bn0", 4, 3, 3, 3)
    before = 4
    for number, (width, kernel) in enumerate(zip(WIDTHS, KERNELS, strict=True)):
        inside, wide = f"_blocks.{number}.", before * (6 if number else 1)
        if number:
            layer(inside + "_expand_conv", inside + "_bn0", wide, before, 1, 1)
        layer(inside + "_depthwise_conv", inside + "_bn1", wide, 1, kernel, kernel)
        layer(inside + "_project_conv", inside + "_bn2", before := width // 8, wide, 1, 1)
    layer("_conv_head", "_bn1", 160, before, 1, 1)
    return state
