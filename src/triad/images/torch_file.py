"""Arrays of a `.pth` file as PyTorch before 1.6 wrote it: pickles, then each storage's numbers. PyTorch is not needed.

A pickle may call any code that it names. This reader knows four names and refuses all others, so that a file holds
numbers or is refused.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from triad.arrays import Floats
from triad.errors import TriadError

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_MOST = 1 << 28
"""Numbers of a storage, at most."""


def load_arrays(path: Path) -> dict[str, Floats]:
    """Name → array of the state that `path` holds.

    Raises:
        TriadError: it is no such file, or names what is no tensor.
    """
    try:
        with path.open("rb") as file:
            head = [_Reader(file).load() for _ in range(3)]
            if head[:2] != [_MAGIC, _PROTOCOL] or not head[2]["little_endian"]:
                raise ValueError("another format")
            state, keys = _Reader(file).load(), _Reader(file).load()
            storages = {each.storage.key: each.storage for each in state.values()}
            values = {key: _numbers(file, storages[key]) for key in keys}
            return {name: each.array(values[each.storage.key]) for name, each in state.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, EOFError) as error:
        raise _refused(path, error) from error
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from error


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    size: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, values: Floats) -> Floats:
        """Raises ValueError where it reaches beyond its storage."""
        last = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.strides, strict=True))
        if min(self.offset, *self.shape, *self.strides, 0) < 0 or last >= len(values):
            raise ValueError("a tensor reaches beyond its storage")
        steps = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps).copy()


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


_KNOWN = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    **{("torch", name): dtype for name, dtype in _TYPES.items()},
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"names {module}.{name}, which is no tensor")
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        word, dtype, key, _, size, view = pid
        if word != "storage" or view is not None or not isinstance(dtype, np.dtype) or not 0 <= size <= _MOST:
            raise pickle.UnpicklingError("a storage is of an unknown form")
        return _Storage(str(key), dtype, int(size))


def _numbers(file: IO[bytes], storage: _Storage) -> Floats:
    size = int.from_bytes(file.read(8), "little")
    data = file.read(size * storage.dtype.itemsize) if size == storage.size else b""
    if len(data) != storage.size * storage.dtype.itemsize:
        raise ValueError("the file ends early")
    return np.frombuffer(data, storage.dtype)


def _refused(path: Path, error: Exception) -> TriadError:
    mend = "name the .pth of an EfficientNet-lite0, as the package carries it"
    return TriadError(f"is no file of weights: {error}", where=f"images.encoder: {path}", mend=mend)
