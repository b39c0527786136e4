"""A `Night` as files that `publish` writes: numbers in one .npz, a column of texts an .arrow, the rest in JSON.

What a value is, the JSON says by names of `KINDS` alone, so reading makes nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from triad.artifacts import read_json, write_json
from triad.config.recommend import RecommendParams
from triad.errors import TriadError
from triad.examples import dataset
from triad.features.aggregates import Daily
from triad.features.catalogue import Catalogue
from triad.features.context import Known
from triad.features.dataset import Streams
from triad.features.prices import PriceGrid
from triad.features.searches import Searches
from triad.features.signals import Funnel
from triad.serving.night import Night, Page, fitting
from triad.texts import Texts
from triad.tracking.inputs import Tables
from triad.tracking.serving import ServingModel

KINDS = {each.__name__: each for each in (Known, Catalogue, Daily, Funnel, Page, PriceGrid, Searches, Streams)}
APART = ("model", "settings", "data", "tables")
"""Fields of a night that are stored by other means, or not at all."""
FIXED = ("hide", "page_items")
"""Settings that the state was made with; the others act when somebody asks."""


def save(night: Night, folder: Path) -> None:
    """Write `night` into the empty `folder`, without its model."""
    dataset.save(night.data, folder / "data")
    slim = replace(night, known=replace(night.known, streams=_NOTHING))  # those of the data
    files = _Files(folder)
    values = {
        each.name: files.put(each.name, getattr(slim, each.name)) for each in fields(night) if each.name not in APART
    }
    np.savez(folder / "numbers.npz", **files.numbers)
    made = {name: getattr(night.settings, name) for name in FIXED}
    write_json(folder / "night.json", {"values": values, "settings": made})


def load(folder: Path, model: ServingModel, settings: RecommendParams, tables: Tables) -> Night:
    """What `save` wrote, for `model` and today's `settings`; `tables` are those that it was made of.

    Raises:
        TriadError: it was made with other settings of `FIXED`.
    """
    told = read_json(folder / "night.json")
    if differ := [name for name in FIXED if told["settings"][name] != getattr(settings, name)]:
        raise TriadError(
            f"the state was made with another recommend.{differ[0]}",
            where=str(folder),
            mend="publish again; until then the service reads the night's tables",
        )
    data = dataset.load(folder / "data")
    with np.load(folder / "numbers.npz", allow_pickle=False) as held:
        files = _Files(folder, dict(held))
    values = {name: files.get(value) for name, value in told["values"].items()}
    values["known"] = replace(values["known"], streams=data.streams)
    return Night(model=model, settings=fitting(settings, model), data=data, tables=tables, **values)


@dataclass(frozen=True)
class _Files:
    """Values that JSON cannot hold, by the path at which they stand."""

    folder: Path
    numbers: dict[str, Any] = field(default_factory=dict)

    def put(self, at: str, value: Any) -> Any:
        """What JSON holds in place of `value`."""
        if is_dataclass(value) and type(value).__name__ in KINDS:
            return {
                "kind": type(value).__name__,
                "of": self.put(at, {e.name: getattr(value, e.name) for e in fields(value)}),
            }
        if isinstance(value, Mapping):
            items = [[list(key) if isinstance(key, tuple) else key, value[key]] for key in value]
            return {"map": [[key, self.put(f"{at}.{nth}", each)] for nth, (key, each) in enumerate(items)]}
        if isinstance(value, tuple | list):
            return {type(value).__name__: [self.put(f"{at}.{nth}", each) for nth, each in enumerate(value)]}
        if isinstance(value, Texts) or (isinstance(value, np.ndarray) and value.dtype == object):
            Texts.of(value).save(self.folder / f"{at}.arrow")
            return {"objects" if isinstance(value, np.ndarray) else "texts": at}
        if isinstance(value, np.ndarray):
            self.numbers[at] = value
            return {"numbers": at}
        return {"plain": value.item() if isinstance(value, np.generic) else value}

    def get(self, told: Any) -> Any:
        """What `put` was given."""
        if "kind" in told:
            return KINDS[told["kind"]](**self.get(told["of"]))
        ((what, value),) = told.items()
        if what == "map":
            return {tuple(key) if isinstance(key, list) else key: self.get(each) for key, each in value}
        if what in ("tuple", "list"):
            return {"tuple": tuple, "list": list}[what](self.get(each) for each in value)
        if what in ("texts", "objects"):
            texts = Texts.load(self.folder / f"{value}.arrow")
            return np.asarray(texts) if what == "objects" else texts
        return self.numbers[value] if what == "numbers" else value


_NOTHING = Streams(*(np.zeros(0, np.int64),) * 5)
