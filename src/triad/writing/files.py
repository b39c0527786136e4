"""A writer as files: JSON and NumPy arrays, so that another process writes what this one would."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from triad.artifacts import read_json, write_json
from triad.errors import TriadError
from triad.writing.amounts import Form
from triad.writing.check import Facts
from triad.writing.language import Language
from triad.writing.network import Weights
from triad.writing.writer import Writer

FOLDER = "writer"
"""Where a writer lies in what `triad describe` wrote."""
_SETS = ("colours", "materials", "common", "claims")


def save(writer: Writer, folder: Path) -> None:
    """`writer.json`, and `weights.npz` of a network."""
    folder.mkdir(parents=True, exist_ok=True)
    language, facts = writer.language, writer.language.facts
    told = {
        "words": list(language.words),
        "known": list(language.known),
        "blanks": [[before, after, value] for (before, after), value in language.blanks.items()],
        "genres": sorted(language.genres),
        "vocabulary": sorted(writer.vocabulary),
        "brands": dict(facts.brands),
        "forms": {key: [asdict(form) for form in forms] for key, forms in facts.forms.items()},
        **{name: sorted(getattr(facts, name)) for name in _SETS},
    }
    write_json(folder / "writer.json", told)
    if writer.weights is not None:
        np.savez(folder / "weights.npz", allow_pickle=False, **writer.weights.arrays)


def load(folder: Path) -> Writer:
    """What `save` wrote.

    Raises:
        TriadError: there is none.
    """
    if not (folder / "writer.json").is_file():
        raise TriadError("nothing has learned to write", where=str(folder), mend="run `triad describe` first")
    told = read_json(folder / "writer.json")
    facts = Facts(
        brands=told["brands"],
        forms={key: tuple(Form(**form) for form in forms) for key, forms in told["forms"].items()},
        **{name: frozenset(told[name]) for name in _SETS},
    )
    blanks = {(before, after): value for before, after, value in told["blanks"]}
    language = Language(tuple(told["words"]), tuple(told["known"]), blanks, facts, frozenset(told["genres"]))
    weights = None
    if (folder / "weights.npz").is_file():
        with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
            weights = Weights({name: arrays[name] for name in arrays.files})
    return Writer(language, weights, frozenset(told["vocabulary"]))
