"""The search space of `triad tune`: a typed file of dials and ranges, and the data that a search may read. Pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import Field, ValidationError, model_validator

from triad.config.base import Section
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS

SECTIONS = {"pretrain": ("pretrain",), "finetune": ("pretrain", "finetune")}
"""Objective → sections whose dials it depends on."""


class Dial(Section):
    """A range, or a list of choices."""

    low: float | int | None = None
    high: float | int | None = None
    log: bool = Field(default=False, description="drawn evenly by ratios")
    choices: tuple[str | int | float | bool, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Dial:
        ranged = self.low is not None and self.high is not None
        if ranged == bool(self.choices) or (self.low is None) != (self.high is None):
            raise ValueError("give low and high, or choices")
        if ranged and not float(self.low or 0) < float(self.high or 0):
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and not (ranged and float(self.low or 0) > 0):
            raise ValueError("`log` needs a range above zero")
        return self

    def suggest(self, trial: Any, name: str) -> Any:
        """A value by Optuna's `trial`; whole numbers where both ends are."""
        if self.choices:
            return trial.suggest_categorical(name, self.choices)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


class Space(Section):
    """One search."""

    objective: Literal["pretrain", "finetune"] = Field(
        default="finetune", description="whose best validation loss is made small"
    )
    dials: dict[str, Dial] = Field(min_length=1, description="section.key → what it may be")
    trials: int = Field(default=30, ge=1, description="in all, those of earlier calls included")
    warm_epochs: int = Field(default=1, ge=0, description="epochs that no trial is stopped before")
    warm_trials: int = Field(default=5, ge=1, description="trials that run to their end before any is stopped")
    seed: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _known(self) -> Space:
        for name in self.dials:
            if name.partition(".")[0] not in SECTIONS[self.objective] or "." not in name:
                raise ValueError(f"dials.{name}: {self.objective} depends on {', '.join(SECTIONS[self.objective])}")
        return self


def load_space(path: Path) -> Space:
    """The search in `path`.

    Raises:
        TriadError: the file is missing, or does not fit.
    """
    if not path.is_file():
        raise TriadError("no such file", where=str(path), mend="the shipped ones lie in ablations/spaces/")
    try:
        return Space.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        where, message = str(path), str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            where, message = f"{path}: {'.'.join(map(str, first['loc'])) or 'space'}", first["msg"]
        raise TriadError(message, where=where, mend="see src/triad/tuning/space.py") from error


def overlay(chosen: dict[str, Any]) -> dict[str, Any]:
    """`section.key` → value, as nested sections."""
    nested: dict[str, Any] = {}
    for name, value in chosen.items():
        *sections, key = name.split(".")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[key] = value
    return nested


def blind(data: Dataset) -> Dataset:
    """`data` without the labels and questions of the fusion and test windows: a search cannot choose by them."""
    later = SPLITS.index("fusion")
    split = np.array(data.exposures.split)
    hidden = split >= later
    labels = np.array(data.exposures.labels)
    split[hidden], labels[hidden] = -1, np.nan
    kept = np.flatnonzero(np.asarray(data.lists.split) < later)
    offsets = np.asarray(data.lists.offsets)
    counts = (offsets[1:] - offsets[:-1])[kept]
    target = [np.asarray(data.lists.target)[offsets[row] : offsets[row + 1]] for row in kept]
    queries = replace(
        data.lists,
        **{name: np.asarray(getattr(data.lists, name))[kept] for name in ("user", "history", "time", "split")},
        offsets=np.r_[0, np.cumsum(counts)],
        target=np.concatenate([np.zeros(0, data.lists.target.dtype), *target]),
    )
    return data.replaced(exposures=replace(data.exposures, split=split, labels=labels), lists=queries)
