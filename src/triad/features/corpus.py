"""What the shop says and is told: what an encoder from scratch learns from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from triad.examples.dataset import Dataset
from triad.text.masking import masked
from triad.text.terms import plain


def corpus(data: Dataset, further: Iterable[str] = ()) -> list[str]:
    """What the shop says in its catalogue, and is told by train queries and messages, and `further`, each text once."""
    said = set(further)
    for unit, held in data.units.items():
        names, train = {each.name for each in fields(held)}, data.rows("train", unit)
        for name in names & {"text"}:
            said.update(getattr(held, name)[train].tolist())
        for name in names & {"queries"}:
            said.update(getattr(held, name)[np.unique(np.asarray(held.query)[train])].tolist())
        for name in names & {"title", "description"}:
            said.update(getattr(held, name).tolist())
    return sorted({plain(masked(text)) for text in said} - {""})
