"""The keys of the form "tabular": the table's files and the meaning of its columns. `tabular.read` makes examples."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from triad.config.base import Section
from triad.config.features import Attribute
from triad.datasets.columns import Epoch, File
from triad.datasets.splits import ByModulo, Split
from triad.kinds import KINDS
from triad.tasks.column import LABEL as COLUMN


class Steps(Section):
    """What a user did before: a column whose cells hold lists, oldest first, or the user's earlier rows by a label."""

    column: str | None = None
    label: str | None = Field(
        default=None, description="a row of which this one is true adds its item to what its user's later rows read"
    )
    separator: str = Field(default=";", min_length=1)
    path_separator: str | None = Field(
        default=None, min_length=1, description="where a step is a path from broad to narrow; its last part is the item"
    )


class Clock(Section):
    """When a row began, and ended. Gives hour, weekday, duration, and orders a user's rows."""

    start: str
    end: str | None = None
    epoch: Epoch | None = Field(default=None, description="the unit of times that are numbers since 1970 UTC")


class LabelColumn(Section):
    """What is to be predicted."""

    column: str
    kind: str = Field(description="binary, multiclass, regression")
    positive: str | None = Field(default=None, description="binary: the value that means yes, where it is not 1")
    given: str | None = Field(default=None, description="the task whose event this one needs")

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if {kind}.isdisjoint(COLUMN.kinds):
            raise ValueError(f"{kind!r} is none of {', '.join(COLUMN.kinds)}")
        return kind

    @property
    def is_event(self) -> bool:
        """Whether it says that something happened."""
        return KINDS[self.kind].is_event


class TabularForm(Section):
    """Where a table lies, and what its columns mean."""

    form: Literal["tabular"]
    files: tuple[File, ...] = Field(min_length=1)
    id: str | None = Field(default=None, description="of a row; without it, rows are numbered from 0")
    user: str | None = None
    user_restarts: str | None = Field(
        default=None, description="rows of a user follow one another; the next one's begin where this time goes back"
    )
    categorical: tuple[Attribute, ...] = Field(
        default=(), description="what is known of a user; of their first row, if it changes"
    )
    numeric: dict[str, Literal["plain", "log1p", "indicators"]] = Field(
        default_factory=dict,
        description="context of a row; indicators: a column for each of a few texts that train holds",
    )
    item: str | None = None
    steps: Steps = Steps()
    clock: Clock | None = None
    labels: dict[str, LabelColumn] = Field(min_length=1)
    split: Split = ByModulo()
    min_count: int = Field(default=2, ge=1, description="train rows from which on an item has an embedding of its own")
    hash_buckets: int = Field(default=16, ge=1, description="embeddings that the other items share")

    @model_validator(mode="after")
    def _fits(self) -> TabularForm:
        if self.user and self.user_restarts:
            raise ValueError("`user` and `user_restarts` exclude one another")
        named = {path for file in self.files for path in file.paths}
        if unknown := [path for path in self.split.named if path not in named]:
            raise ValueError(f"split: {unknown[0]!r} is none of `files`")
        if self.split.by_time and self.clock is None:
            raise ValueError("split: by time asks for a `clock`")
        self._fits_steps()
        inputs = {self.item, *self.categorical, *self.numeric, self.steps.column}
        for name, label in self.labels.items():
            if label.column in inputs:
                raise ValueError(f"labels.{name}: {label.column!r} is an input too, which would tell what is asked for")
            parent = self.labels.get(label.given) if label.given else None
            if label.given and not (label.is_event and parent is not None and parent.is_event):
                raise ValueError(f"labels.{name}.given: {label.given!r} and {name!r} must be binary labels")
            if label.positive is not None and not label.is_event:
                raise ValueError(f"labels.{name}.positive is for binary labels")
        return self

    def _fits_steps(self) -> None:
        label = self.steps.label
        if label is None:
            return
        if self.steps.column is not None:
            raise ValueError("steps: `column` and `label` exclude one another")
        if label not in self.labels or not self.labels[label].is_event or self.item is None:
            raise ValueError(f"steps.label: {label!r} must be a binary label, of rows with an `item`")
        if self.split.by_row:
            raise ValueError(
                "steps.label: by row, train would read what the test asks for; split by time, file, column or share"
            )

    def read_from(self, folder: Path) -> list[Path]:
        """All files that `tabular.read` reads."""
        return [folder / path for file in self.files for path in file.paths]

    @property
    def columns(self) -> list[str]:
        """All that are read."""
        names = [self.id, self.user, self.user_restarts, self.item, self.steps.column, *self.categorical, *self.numeric]
        names += [self.clock.start, self.clock.end] if self.clock else []
        names += [label.column for label in self.labels.values()]
        names += self.split.columns
        return list(dict.fromkeys(name for name in names if name is not None))
