"""What all sections share: frozen, unknown keys refused; and how the nearest right name is found."""

import difflib
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of `params.yaml`. Field descriptions name the unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


def near(name: str, known: Iterable[str]) -> str:
    """The end of a sentence on an unknown `name`: the nearest right one, else all that are known."""
    names = list(known)
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else f"; known are {', '.join(names) or 'none'}"
