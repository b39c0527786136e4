"""Labels: each is complete, in the terms of the tables, kinds, slices and params that there are."""

from __future__ import annotations

from typing import get_args

import pytest

from triad.config.cross import check_tasks
from triad.config.tasks import TaskParams
from triad.evaluation import wording
from triad.kinds import KINDS
from triad.schema import EVENT_KINDS, TABLES
from triad.tasks import LABELS
from triad.tasks.base import EVERY_SLICE, Entity, Label, Part

UNITS = ("exposures", "lists")


def task_of(label: Label, kind: str) -> TaskParams:
    column = "loyalty" if "column" in label.options else None
    return TaskParams(kind=kind, label=label.name, column=column, horizon_days=5)


@pytest.mark.parametrize("name", LABELS)
def test_a_label_names_what_there_is(name: str) -> None:
    label = LABELS[name]
    assert label.kinds and set(label.kinds) <= set(KINDS)
    assert label.unit in UNITS
    assert set(label.options) <= set(TaskParams.model_fields)
    assert label.cluster in get_args(Entity)
    assert label.slices and set(label.slices) <= set(EVERY_SLICE)
    assert set(label.reads) <= set(get_args(Part)) and bool(label.reads) == (label.unit == "exposures")
    assert label.step is None or label.step in EVENT_KINDS
    for kind in label.kinds:
        task = task_of(label, kind)
        check_tasks({"it": task})
        needs = label.needs(task)
        assert set(needs.tables) <= set(TABLES) and set(needs.events) <= set(EVENT_KINDS)
        assert set(needs.columns) <= {"loyalty"}
        words = wording.meaning(task)
        assert words.endswith(("?", ")")) and "{" not in words
        assert ("5 days" in words) == ("horizon_days" in label.options)
        assert ("loyalty" in words) == ("column" in label.options)
