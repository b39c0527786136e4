"""One column and one condition of a shop's mapping: what `ingest.files` says of a table, piece by piece.

Declarations only. How they are carried out: `sources/mapping.py`.
"""

from __future__ import annotations

from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, field_validator, model_validator

from triad.config.base import Section

OFFSET = r"[+-](?:(?:0?\d|1[0-4])(?::[0-5]\d)?|(?:0\d|1[0-4])[0-5]\d)"
"""An RE2 and Python expression of what may stand behind a time: +01:00, +0100, +01, -1."""


def time_zone(name: str | None) -> str | None:
    """`name`, where it is an IANA zone."""
    if name is not None:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"{name!r} is no IANA time zone such as Europe/London or UTC") from error
    return name


def texts(section: BaseModel, names: tuple[str, ...]) -> None:
    """YAML reads `equals: null`, `equals: ~` and `equals:` as nothing; where a text is meant, that is none."""
    for name in names:
        if name in section.model_fields_set and getattr(section, name) is None:
            raise ValueError(f"{name}: a value is meant, and YAML reads nothing (null): quote it, {name}: 'null'")


def just_one(section: BaseModel, names: tuple[str, ...]) -> None:
    """Whether just one of the fields is named."""
    named = [name for name in names if name in section.model_fields_set]
    if len(named) != 1:
        raise ValueError(f"give just one of {', '.join(names)}; named: {', '.join(named) or 'none'}")


class ColumnParams(Section):
    """One contract column. A bare text is short for `{column: text}`.

    Text is changed in this order: `strip`, `case`, `remove`, `remove_suffix`, `map`.
    """

    column: str | None = Field(default=None, description="the source's column")
    constant: str | bool | int | float | None = Field(default=None, description="one value for all rows")
    key: tuple[str, ...] = Field(default=(), description="source columns whose texts, joined by ':', make an id")
    row_number: bool = Field(default=False, description="the row's place over all files in order, as an id")
    unit: Literal["major", "minor"] | None = Field(default=None, description="of money: major (pounds), minor (pence)")
    per: str | None = Field(
        default=None, description="of money: a line's total is divided by this source column, its quantity, and rounded"
    )
    round: bool = Field(default=False, description="money with more decimals than the currency has is rounded, counted")
    format: str | None = Field(default=None, description="strptime format of a time, e.g. %d/%m/%Y %H:%M")
    epoch: Literal["seconds", "milliseconds", "microseconds"] | None = Field(default=None, description="since 1970 UTC")
    timezone: str | None = Field(default=None, description="IANA zone of times written without one")
    strip: bool = Field(default=False, description="spaces at both ends go; what is then empty counts as missing")
    case: Literal["lower", "upper"] | None = None
    remove: tuple[str, ...] = Field(default=(), description="texts taken out wherever they stand, e.g. a currency sign")
    remove_suffix: str | None = Field(default=None, description="text taken off the end")
    map: dict[str, str] = Field(default={}, description="source value → value")
    default: str | None = Field(default=None, description="value of what `map` does not name; else it stays as it is")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"column": value}

    _zone = field_validator("timezone")(time_zone)

    @model_validator(mode="after")
    def _fits(self) -> ColumnParams:
        texts(self, ("column", "constant", "per", "remove_suffix", "default"))
        just_one(self, ("column", "constant", "key", "row_number"))
        if self.per is not None and self.unit is None:
            raise ValueError("`per` goes with `unit`: it divides money")
        if self.default is not None and not self.map:
            raise ValueError("`default` goes with `map`")
        return self


class ConditionParams(Section):
    """A test of one source column, before any change to it. An empty value meets only `present: false`."""

    column: str
    equals: str | None = None
    one_of: tuple[str, ...] = Field(default=(), min_length=1)
    starts_with: str | None = None
    matches: str | None = Field(default=None, description="RE2 expression found anywhere in the value")
    above: float | None = None
    below: float | None = None
    present: bool | None = None

    @model_validator(mode="after")
    def _fits(self) -> ConditionParams:
        tests = ("equals", "one_of", "starts_with", "matches", "above", "below", "present")
        texts(self, tests)
        just_one(self, tests)
        return self
