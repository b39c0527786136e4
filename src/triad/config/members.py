"""The members that `fuse.members` may name: what the files of `triad.members` declare.

The declarations are read from the files' text and nothing is imported, so that a check of `params.yaml` costs no second
of TensorFlow or scikit-learn, and asking for one member imports no other's framework.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from triad.config.base import near
from triad.discovery import Registry
from triad.errors import TriadError

PACKAGE, MARK = "triad.members", "MEMBERS"


@dataclass(frozen=True)
class Recipe:
    """A member's name, its class, and what it is made of. A member's file sets `MEMBERS` to one, or to a tuple of them.

    Args:
        name: as `fuse.members` names it.
        made_by: the class of its file that makes, saves and loads it.
        protocols: which of `members.protocol` it answers.
        stage: the stage that makes it. `fuse` makes what is quick to make, and keeps it in the fusion alone.
        reads: the sections of `params.yaml` that it depends on; of `pretrain`, what that stage learned.
        asked_by: the dial that has its stage make it, if it is not always made. It is then kept in a folder of its own.
        answers: the unit of examples that it is about, if it is of no use to others: it is then made where a task asks.
        formerly: what it was called in former versions.
        module: its file's, filled in by the reader.
    """

    name: str
    made_by: str
    protocols: tuple[str, ...]
    stage: str = "fuse"
    reads: tuple[str, ...] = ("tasks",)
    asked_by: str | None = None
    answers: str | None = None
    formerly: str | None = None
    module: str = ""

    @property
    def folder(self) -> str:
        """Where it lies in its stage's folder."""
        return "." if self.asked_by is None else self.name

    def missing(self, params: Any) -> str | None:
        """What `params` must say for its stage to make it; None where they do."""
        if self.asked_by is None:
            return None
        dial = reduce(getattr, self.asked_by.split("."), params)
        if isinstance(dial, tuple):
            return None if self.name in dial else f"{self.asked_by} names it"
        return None if dial else f"{self.asked_by} is true"


_BLOCK = re.compile(rf"^{MARK} = .*(?:\n(?:[ \t)].*)?)*", re.MULTILINE)
"""The declaration alone: whole files would take ten times as long."""


class Recipes(Registry[Recipe]):
    """Name → recipe, read from text. What is no literal, or lacks a part, is a TriadError with its file."""

    def __init__(self) -> None:
        importlib.import_module(PACKAGE)
        super().__init__(PACKAGE, MARK, Recipe, ())

    def _declared(self, module: str) -> tuple[Recipe, ...]:
        spec = find_spec(module)
        path = Path(str(spec and spec.origin))
        loader: Any = spec and spec.loader  # it reads from a zip file, too
        block = _BLOCK.search((loader and loader.get_source(module)) or "")
        if block is None:
            return ()
        values = [each.value for each in ast.parse(block[0]).body if isinstance(each, ast.Assign)]
        calls = [call for value in values for call in (value.elts if isinstance(value, ast.Tuple) else (value,))]
        return tuple(_recipe(call, module, path) for call in calls)


def _recipe(call: ast.expr, module: str, path: Path) -> Recipe:
    try:
        if not isinstance(call, ast.Call):
            raise ValueError("it is no Recipe(…)")
        words: dict[str, Any] = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
        return replace(Recipe(*map(ast.literal_eval, call.args), **words), module=module)
    except (ValueError, TypeError) as error:
        raise TriadError(
            f"its {MARK} cannot be read: {error}", where=str(path), mend="give Recipe(…) literals alone, as others do"
        ) from error


RECIPES = Recipes()


def known(name: str, names: Iterable[str] = RECIPES) -> str:
    """`name`, if it is one of `names`.

    Raises:
        ValueError: it is none, with the one that may be meant.
    """
    names = list(names)
    if name in names:
        return name
    renamed = [new for new in names if RECIPES[new].formerly == name]
    raise ValueError(f"there is no member {name!r}{near(renamed[0] if renamed else name, names)}")


def asked_by(dial: str) -> list[str]:
    """The members that `dial` may ask for."""
    return [name for name, recipe in RECIPES.items() if recipe.asked_by == dial]
