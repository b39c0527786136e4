"""The base of all sections: frozen, unknown keys rejected with a suggestion, booleans not accepted as numbers."""

import difflib
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

LARGEST = 2**31 - 1
"""Of whole numbers but sizes in bytes: what libraries take as a seed or a count."""


class Section(BaseModel):
    """A part of `params.yaml`. Field descriptions name the unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _plain_values(cls, values: Any) -> Any:
        for name, field in cls.model_fields.items() if isinstance(values, dict) else ():
            value, kinds = values.get(field.alias or name), _kinds(field.annotation)
            if isinstance(value, bool) and bool not in kinds and {int, float} & kinds:
                raise ValueError(
                    f"{name}: a number is meant, and YAML reads {str(value).lower()} (as yes, no, on, off)"
                )
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, int) and abs(each) > LARGEST and not name.endswith("_bytes"):
                    raise ValueError(f"{name}: {each} is beyond {LARGEST:,}, the largest number it may be")
        return values


def _day(value: Any) -> Any:
    """`value`, or what is surely no day where it is a number: pydantic would take it for seconds since 1970."""
    is_number = isinstance(value, int | float) or (isinstance(value, str) and value.strip().lstrip("+-").isdigit())
    return f"number {value}" if is_number else value


def _of_our_time(day: date) -> date:
    if not 1980 <= day.year < 2200:
        raise ValueError(f"{day} is outside the years 1980 to 2199, which times are reckoned in")
    return day


def _said(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError(f"{text!r} says nothing: leave the line out, or write null")
    return text


def _each_once(names: tuple[Any, ...]) -> tuple[Any, ...]:
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise ValueError(f"{twice[0]!r} stands twice: name each once")
    return names


Day = Annotated[date, BeforeValidator(_day), AfterValidator(_of_our_time)]
"""A UTC day as text, YYYY-MM-DD."""
Text = Annotated[str, AfterValidator(_said)]
"""A name, path or condition: not blank."""
EachOnce = AfterValidator(_each_once)
"""Of a list: nothing in it stands twice."""


def _kinds(annotation: Any) -> set[Any]:
    """All types that `annotation` names."""
    parts = get_args(annotation)
    return set().union(*map(_kinds, parts)) if parts else {annotation} if isinstance(annotation, type) else set()


def near(name: str, known: Iterable[str]) -> str:
    """The end of a sentence on an unknown `name`: the nearest right one, else all that are known."""
    names = list(known)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {nearest[0]!r}?" if nearest else f"; known are {', '.join(names) or 'none'}"
