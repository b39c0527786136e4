"""All of `params.yaml`, parsed once. Only `cli.py` and the composition of stages need the whole file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import ValidationError, model_validator

from triad.config.base import Section, near
from triad.config.publish import PublishParams
from triad.config.recommend import RecommendParams
from triad.config.refit import RefitParams
from triad.config.sections import DataParams, ModelParams
from triad.config.serve import ServeParams
from triad.config.texts import shape, unquoted
from triad.config.yaml_loader import Loader
from triad.errors import TriadError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_UNKNOWN = "extra_forbidden"
RENAMED = {"profile.informed": "stacked", "recommend.exclude_purchased": "bought"}
"""Keys of former versions, for the hint."""


class Params(ModelParams, DataParams):
    """The sections, named as their stages."""

    refit: RefitParams = RefitParams()
    publish: PublishParams = PublishParams()
    recommend: RecommendParams = RecommendParams()
    serve: ServeParams = ServeParams()

    @model_validator(mode="after")
    def _cross_checks(self) -> Params:
        from triad.config import cross  # asks kinds and labels, whose NumPy no reader of DAGs should wait for

        cross.check(self)
        return self


def merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """`overlay` laid over `base`, mapping by mapping; the sections `tasks` and `files` are replaced whole."""
    merged = dict(base)
    for key, value in overlay.items():
        deep = isinstance(value, dict) and isinstance(base.get(key), dict) and key not in ("tasks", "files")
        merged[key] = merge(base[key], value) if deep else value
    return merged


def parse(values: Any, where: str) -> Params:
    """`values` as typed parameters.

    Raises:
        TriadError: with the key's place and, for an unknown key, the nearest known one.
    """
    if not isinstance(values, dict):
        raise TriadError("is not a mapping of sections", where=where, mend="see the params.yaml the project ships")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        every = error.errors()
        # where a key lacks and another is unknown, it is misspelt
        raise _explained(next((each for each in every if each["type"] == _UNKNOWN), every[0]), where) from error


def _explained(first: ErrorDetails, where: str) -> TriadError:
    path = ".".join(str(part) for part in first["loc"] if part != "[key]") or "params"
    message, mend = (
        first["msg"].removeprefix("Value error, "),
        "correct the value; `triad params` explains each key",
    )
    if first["type"] == _UNKNOWN:
        message, mend = "unknown key", _nearest_key(path, first["loc"])
    elif first["type"] == "literal_error":
        known = re.findall(r"'([^']*)'", str(first["ctx"]["expected"]))
        message = f"{first['input']!r} is not one of {', '.join(known)}"
        mend = near(str(first["input"]), known).removeprefix("; ")
    message, mend = shape(first) or unquoted(first, where) or (message, mend)
    return TriadError(message, where=f"{where}: {path}", mend=mend)


def _nearest_key(path: str, loc: tuple[int | str, ...]) -> str:
    """What an unknown key may mean: one of its section, else one of another."""
    key = RENAMED.get(path, str(loc[-1]))
    beside, everywhere = _keys(_section_at(loc[:-1]), deep=False), _keys(Params)
    for known, cutoff in ((beside, 0.6), (everywhere, 0.7), ([*beside, *everywhere], 0.5)):
        close = difflib.get_close_matches(key.lower(), known, n=2, cutoff=cutoff)
        if nearest := [each for each in close if each != loc[-1]]:
            return f"did you mean {nearest[0]!r}?"
    return "remove it; `triad params` says where each key belongs" if key in everywhere else "remove it"


def _section_at(loc: Iterable[int | str]) -> Any:
    """The section at a place of `params.yaml`; all of it where that is none."""
    section: Any = Params
    for part in loc:
        fields = {field.alias or name: field for name, field in getattr(section, "model_fields", {}).items()}
        section = _section(fields[str(part)].annotation) or section if part in fields else section
    return section


def _section(annotation: Any) -> Any:
    """The section that an annotation names, also within a list or mapping; None where it names none."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((inner for part in get_args(annotation) if (inner := _section(part)) is not None), None)


def load(path: Path = Path("params.yaml")) -> Params:
    """The parameters in `path`.

    Raises:
        TriadError: the file is missing, is no YAML, a date in it is not quoted, or it does not fit.
    """
    values = read(path)
    for place, value in _leaves(values):
        if isinstance(value, date):  # DVC cannot read a YAML date in params.yaml, and says only that
            key = place.rpartition(".")[2]
            mend = f'quote it: "{value}"' if key.isdigit() else f'quote it: {key}: "{value}"'
            raise TriadError("YAML reads this as a date and not as a text", where=f"{path}: {place}", mend=mend)
    return parse(values, str(path))


def read(path: Path, *, empty: bool = False) -> dict[str, Any]:
    """The sections in `path`, which may be `empty`.

    Raises:
        TriadError: the file is missing, is no YAML, names a key twice, or holds no mapping.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
        sum(1 for _ in _leaves(values))  # some YAML holds itself
    except FileNotFoundError as error:
        raise TriadError("no such file", where=str(path), mend="run from the folder that holds dvc.yaml") from error
    except RecursionError as error:
        raise TriadError("is nested without end", where=str(path), mend="take out what holds itself (&, *)") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TriadError(f"not readable as YAML: {error}", where=str(path), mend="correct the syntax") from error
    if values is None and empty:
        return {}
    if not isinstance(values, dict):
        raise TriadError("is not a mapping of sections", where=str(path), mend="see the params.yaml the project ships")
    return values


class _Loader(Loader):
    """Refuses a key that stands twice: the last one would win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _leaves(values: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from _leaves(value, f"{place}.{key}" if place else str(key))
    else:
        yield place, values


def _keys(section: Any, *, deep: bool = True) -> list[str]:
    """Every key known in `section`, or with `deep` anywhere below it, for suggestions."""
    keys: list[str] = []
    for name, field in section.model_fields.items():
        keys.append(field.alias or name)
        inner = _section(field.annotation) if deep else None
        keys += [] if inner is None else _keys(inner)
    return keys
