"""`tasks`: one entry per task; model, evaluation and report iterate this mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from triad.config.base import Section

Label = Literal["clicked", "carted", "purchased", "spend", "user_attribute", "price_move", "next_item", "column"]


class TaskParams(Section):
    """One thing to predict."""

    kind: Literal["binary", "multiclass", "regression", "ranking"]
    label: Label
    column: str | None = Field(
        default=None, description="label user_attribute: a column of users; label column: a column of a study"
    )
    horizon_days: int = Field(default=7, ge=1, description="days ahead, for price_move and spend")
    given: str | None = Field(default=None, description="the task whose event this one needs (entire-space product)")
    weight: float = Field(
        default=1.0, gt=0, description="λ in L = Σ λᵢLᵢ with weighting fixed; else a factor of the weighting's λ"
    )
    gated: bool = Field(default=True, description="whether the gate checks this task")

    @model_validator(mode="after")
    def _fits(self) -> TaskParams:
        kinds = {
            "user_attribute": "multiclass",
            "spend": "regression",
            "price_move": "regression",
            "next_item": "ranking",
        }
        expected = kinds.get(self.label, "binary")
        if self.label == "column":
            expected = self.kind if self.kind != "ranking" else "binary, multiclass or regression"
        if self.kind != expected:
            raise ValueError(f"label {self.label!r} is of kind {expected!r}, not {self.kind!r}")
        if (self.label in ("user_attribute", "column")) != (self.column is not None):
            raise ValueError("`column` goes with the labels user_attribute and column, and with no other")
        if self.given is not None and self.kind != "binary":
            raise ValueError("`given` is for binary tasks")
        return self


Tasks = Annotated[dict[str, TaskParams], Field(min_length=1)]


def given(tasks: Mapping[str, TaskParams]) -> dict[str, str]:
    """Task → the task whose event it needs, of those that need one."""
    return {name: task.given for name, task in tasks.items() if task.given is not None}


def chain(task: str, given: Mapping[str, str]) -> list[str]:
    """The task and all that it needs, one after the other: a purchase, its click. A circle is gone round once."""
    names = [task]
    while (needs := given.get(names[-1])) is not None and needs not in names:
        names.append(needs)
    return names
