"""Every key of `params.yaml` with its default and meaning, as `triad params` shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from triad.config.base import Section
from triad.config.members import RECIPES, asked_by
from triad.config.params import Params
from triad.config.similarity import LINEAR
from triad.config.tasks import TaskParams
from triad.kinds import KINDS
from triad.tasks import LABELS

_APART = ("ingest.files", "tasks")
"""Sections whose keys a shop names itself: docs/your_data.md has the one, `tasks.<name>` stands for the other."""

_NAMED: dict[str, Iterable[str]] = {
    "tasks.<name>.kind": KINDS,
    "tasks.<name>.label": LABELS,
    "fuse.members": RECIPES,
    LINEAR: asked_by(LINEAR),
}
"""Keys whose values are the names in a registry."""


@dataclass(frozen=True)
class Key:
    """One dial: `path` from the file's root, its `default` and what it may be as YAML, its `meaning`."""

    path: str
    default: str
    values: str
    meaning: str


def every_key() -> list[Key]:
    """All of them, in the order of the sections."""
    return [*_below(Params, ""), *_below(TaskParams, "tasks.<name>.")]


def markdown() -> str:
    """The page docs/params.md."""
    parts = [
        "# Parameters",
        "Every key that `params.yaml` may hold. A key that it does not name has the default below. `dvc exp run -S "
        "finetune.levels=3` sets one for an experiment (`-S +finetune.levels=3` where the file does not name it). The "
        "files of a real shop, `ingest.files`, have [a page of their own](your_data.md). This page is written by "
        "`triad params --markdown`.",
    ]
    section = ""
    for key in every_key():
        if (first := key.path.partition(".")[0]) != section:
            section = first
            parts.append(f"## {section}\n\n| Key | Default | Values | Meaning |\n|---|---|---|---|")
        cells = (f"`{key.path}`", f"`{key.default}`" if key.default else "", key.values, key.meaning)
        parts[-1] += "\n| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    return "\n\n".join(parts) + "\n"


def _below(section: type[Section], path: str) -> Iterator[Key]:
    for name, field in section.model_fields.items():
        place = f"{path}{field.alias or name}"
        inner = _section(field.annotation)
        if place in _APART:
            continue
        if inner is not None:
            yield from _below(inner, f"{place}.")
        else:
            values = _values(field.annotation)
            if place in _NAMED:
                values = values.replace("text", _these(_NAMED[place]))
            yield Key(place, _default(field), values, field.description or "")


def _section(annotation: Any) -> type[Section] | None:
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)


def _default(field: FieldInfo) -> str:
    return "" if field.is_required() else json.dumps(field.default, default=list, ensure_ascii=False)


def _values(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return _these(get_args(annotation))
    if isinstance(annotation, type) and not get_args(annotation):
        words = {"str": "text", "int": "whole number", "float": "number", "bool": "true, false", "date": "day"}
        return words.get(annotation.__name__, "" if annotation is type(None) else annotation.__name__)
    kinds = [_values(kind) for kind in get_args(annotation) if kind is not ...]
    inner = " or ".join(dict.fromkeys(filter(None, kinds)))
    return f"list of {inner}" if get_origin(annotation) is tuple else inner


def _these(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)
