"""A product's attributes: hundreds of names, of which each product has a few. A value is a text or a number.

Example:
    >>> read('{"Colour": "red", "weight": 450, "Size": "M", "size": "L"}')
    Attributes(known={'colour': 'red', 'weight': 450.0}, contradicted={'size': ('l', 'm')})
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from triad.errors import TriadError
from triad.text.terms import plain

Value = str | float


@dataclass(frozen=True)
class Attributes:
    """Names and values in plain form. A name with two values says nothing: it is in `contradicted` alone."""

    known: Mapping[str, Value] = field(default_factory=dict)
    contradicted: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Those known, as `read` reads them."""
        return json.dumps(self.known, ensure_ascii=False) if self.known else ""


def read(text: str, columns: Mapping[str, str] | None = None, *, where: str = "attributes") -> Attributes:
    """The attributes in a JSON object of names and texts or numbers; "" has none. A list is a text of its parts.

    Args:
        columns: what the product's own columns say (brand …), which an attribute of that name may contradict.

    Raises:
        TriadError: it is no such object.
    """
    values_of: dict[str, set[Value]] = {}
    for name, value in _pairs(text, where):
        if (each := _value(value, where)) is not None:
            values_of.setdefault(plain(name), set()).add(each)
    for name, value in (columns or {}).items():
        if name in values_of and value:
            values_of[name].add(plain(value))
    known = {name: next(iter(values)) for name, values in sorted(values_of.items()) if len(values) == 1}
    several = {name: tuple(sorted(values, key=str)) for name, values in sorted(values_of.items()) if len(values) > 1}
    return Attributes(known, several)


def _pairs(text: str, where: str) -> list[tuple[str, Any]]:
    if not text.strip():
        return []
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        pairs = None
    if not isinstance(pairs, _Pairs):
        raise _wrong(where)
    return list(pairs)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object whose names may stand twice."""


def _value(value: Any, where: str) -> Value | None:
    """None where nothing is said."""
    if isinstance(value, _Pairs) or (isinstance(value, list) and any(isinstance(each, list) for each in value)):
        raise _wrong(where)
    if isinstance(value, list):
        return plain(listed(value)) or None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return float(value) if is_number(value) else None
    return plain(value) or None if value is not None else None


def listed(values: list[Any]) -> str:
    """The parts of a list that say something: texts and numbers; no null, and no yes or no of what nobody knows."""
    parts = (each for each in values if isinstance(each, str | int | float) and not isinstance(each, bool))
    return ", ".join(str(each) for each in parts if isinstance(each, str) or is_number(each))


def is_number(value: float) -> bool:
    """Whether it is one that can be reckoned with: neither nan nor of hundreds of digits."""
    return abs(value) < 1e300


def _wrong(where: str) -> TriadError:
    mend = 'give a JSON object of names and texts or numbers: {"colour": "red", "weight": 450}'
    return TriadError("is no object of attributes", where=where, mend=mend)
