"""The base of all sections: frozen, unknown keys rejected with a suggestion, booleans not accepted as numbers."""

import difflib
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A part of `params.yaml`. Field descriptions name the unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, values: Any) -> Any:
        for name, field in cls.model_fields.items() if isinstance(values, dict) else ():
            value, kinds = values.get(field.alias or name), _kinds(field.annotation)
            if isinstance(value, bool) and bool not in kinds and {int, float} & kinds:
                raise ValueError(
                    f"{name}: a number is meant, and YAML reads {str(value).lower()} (as yes, no, on, off)"
                )
        return values


def _kinds(annotation: Any) -> set[Any]:
    """All types that `annotation` names."""
    parts = get_args(annotation)
    return set().union(*map(_kinds, parts)) if parts else {annotation} if isinstance(annotation, type) else set()


def near(name: str, known: Iterable[str]) -> str:
    """The end of a sentence on an unknown `name`: the nearest right one, else all that are known."""
    names = list(known)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {nearest[0]!r}?" if nearest else f"; known are {', '.join(names) or 'none'}"
