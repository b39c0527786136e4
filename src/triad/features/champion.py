"""The model that a night starts from (the shop's or another market's): its rows, its columns, the days it has seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from triad.arrays import Ints
from triad.artifacts import read_json
from triad.errors import TriadError
from triad.features import vocabulary
from triad.features.dataset import Meta, meta_from
from triad.features.vocabulary import Vocabulary

NAME, STATE, MARKET, FUSE, REFIT = "champion.json", "state", "market", "fuse", "refit"
"""Inside its folder: which version it is, its fitted features, and another market's, laid out likewise; each network
has a folder named as its stage. Of a light night's champion, all that was registered.
"""


@dataclass(frozen=True)
class Champion:
    """A registered version, in the terms of its own night."""

    version: int
    meta: Meta
    vocabularies: Mapping[str, Vocabulary]
    market: str | None = None  # the model's name, where it is another market's
    apart: tuple[str, ...] = ()  # vocabularies whose ids name other things there

    @property
    def dial(self) -> str:
        """Where the params name it."""
        return _dial(self.version, self.market)


def read(folder: Path) -> Champion | None:
    """The champion in `folder`, None where the night is to start from none.

    Raises:
        TriadError: the folder is not there, or its features were fitted by code that this code cannot follow.
    """
    if not (folder / NAME).is_file():
        raise TriadError("no such folder", where=str(folder), mend="run `triad champion` first")
    named = read_json(folder / NAME)
    version, market, apart = named["version"], named.get("market"), tuple(named.get("apart", ()))
    if version is None:
        return None
    state = folder / STATE
    try:
        meta = meta_from(read_json(state / "state.json")["meta"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise TriadError(
            f"its features do not fit the present code: {type(error).__name__}: {error}",
            where=_dial(version, market),
            mend="name a version that this code made, or set it to null",
        ) from error
    return Champion(version, meta, vocabulary.load(state / "vocabularies"), market, apart)


def check_days(champion: Champion, tonight: Mapping[str, tuple[int, int]]) -> None:
    """The champion's networks must not know the days that tonight's are stopped, weighed or judged on.

    They learned from its train days and were stopped by its validation days. Where tonight's window lies later, or
    is the same, its train ends no later than tonight's validation begins, and its validation than tonight's fusion;
    so was it with what the champion itself started from, and so on.

    Args:
        tonight: split → [first, last) in µs.

    Raises:
        TriadError: it knows some of them: tonight's figures would be too good, and no report could show it.
    """
    theirs = champion.meta.windows
    for known, later in (("train", "validation"), ("validation", "fusion")):
        if theirs[known][1] > tonight[later][0]:
            raise TriadError(
                f"its {known} days reach to {_day(theirs[known][1])}, but tonight's {later} days, which it must not "
                f"know, begin on {_day(tonight[later][0])}",
                where=champion.dial,
                mend="name a version of an earlier night, or set it to null",
            )


def origins(
    base: Mapping[str, Vocabulary], tonight: Mapping[str, Vocabulary], apart: Collection[str] = ()
) -> dict[str, Ints]:
    """Table → (rows,) the row of `base` that each of tonight's was read by; tables new tonight are left out.

    An id that `base` has no row for, or that names another thing there (all of the vocabularies `apart`), was read by a
    shared one, or as unknown.

    Raises:
        TriadError: the two share other numbers of rows by hash.
    """
    rows = {}
    for name, grown in tonight.items():
        if name not in base:
            continue
        known = replace(base[name], ids=()) if name in apart else base[name]
        if known.buckets != grown.buckets:
            raise TriadError(
                f"is {grown.buckets}, but the vocabulary {name!r} to start from has {known.buckets} shared rows",
                where="features.hash_buckets",
                mend="keep that number",
            )
        rows[name] = np.r_[np.arange(1 + grown.buckets), known.look_up(grown.ids)]
    return rows


def _dial(version: int, market: str | None) -> str:
    return f"champion.version: {version}" if market is None else f"champion.market: {market}, version {version}"


def _day(moment: int) -> str:
    return str(np.datetime64(moment, "us").astype("datetime64[D]"))
