"""A registry is a folder: it holds what the modules in it declare. A new one is a file added, and no list is edited."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from triad.errors import TriadError

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Name → object, in the order of the modules' names. `reload` reads the package's folders again."""

    def __init__(self, package: str, attribute: str, protocol: type, beside: Collection[str]) -> None:
        self._package, self._attribute, self._protocol, self._beside = package, attribute, protocol, frozenset(beside)
        self._modules: set[str] = set()
        self._objects: dict[str, T] = {}
        self._read()

    def __getitem__(self, name: str) -> T:
        return self._objects[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def add(self, folder: str) -> None:
        """Read the modules in another folder, too."""
        sys.modules[self._package].__path__.append(folder)
        self.reload()

    def reload(self) -> None:
        """Follow the package's `__path__`: import what is new in its folders, forget what is gone.

        Raises:
            TriadError: a module declares nothing, what it declares lacks a part of the protocol, or a name is taken.
        """
        importlib.invalidate_caches()  # else a file of this very moment is not seen; Python then lists all folders anew
        self._read()

    def _read(self) -> None:
        folders = sys.modules[self._package].__path__
        names = [each.name for each in pkgutil.iter_modules(folders) if each.name not in self._beside]
        modules = [f"{self._package}.{name}" for name in names]
        for gone in self._modules.difference(modules):
            sys.modules.pop(gone, None)
        objects: dict[str, T] = {}
        for module in modules:
            for each in self._declared(module):
                if each.name in objects:
                    raise TriadError(
                        f"{each.name!r} is declared twice",
                        where=module,
                        mend=f"give its {self._attribute} another name",
                    )
                objects[each.name] = each
        self._modules, self._objects = set(modules), objects

    def _declared(self, module: str) -> tuple[Any, ...]:
        value = getattr(importlib.import_module(module), self._attribute, None)
        if value is None:
            raise TriadError(f"it declares no {self._attribute}", where=module, mend=f"set {self._attribute} in it")
        declared = value if isinstance(value, tuple) else (value,)
        for each in declared:
            missing = sorted(part for part in parts(self._protocol) if not hasattr(each, part))
            if missing:
                raise TriadError(
                    f"{type(each).__name__} lacks {', '.join(missing)}",
                    where=module,
                    mend=f"add what {self._protocol.__module__}.{self._protocol.__name__} asks for",
                )
        return declared


def discover(package: str, attribute: str, protocol: type, beside: Collection[str] = ("base",)) -> Registry[Any]:
    """What the modules in the folders of `package` declare under the name `attribute`: an object each, or a tuple.

    Every object has a `name` and all parts of `protocol`. A package in the folder counts as one module, so that what
    needs several files is a package of its own.

    Args:
        package: the package that asks, as `__name__`.
        beside: modules of it that declare nothing.
    """
    return Registry(package, attribute, protocol, beside)


def parts(protocol: type) -> frozenset[str]:
    """The public methods and annotated attributes that a protocol asks for, its bases' included, and `name`."""
    own = [vars(base) for base in protocol.__mro__ if vars(base).get("_is_protocol") and base.__module__ != "typing"]
    names = {name for each in own for name in (*each, *each.get("__annotations__", ()))}
    return frozenset({name for name in names if not name.startswith("_")} | {"name"})
