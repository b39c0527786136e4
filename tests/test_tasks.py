"""Labels: each is complete, in the terms of the tables, kinds, slices and params that there are."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.compute as pc
import pytest
from make_tables import DAY, make_tables

from triad import tasks
from triad.config.cross import check_tasks
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.evaluation import wording
from triad.evaluation.assess import NAIVE, assess
from triad.evaluation.figures import metrics_json
from triad.evaluation.scoring import score_members, score_naive
from triad.evaluation.window import slices, window
from triad.examples import UNITS
from triad.features.requirements import check_tables
from triad.fusion.fitting import fit_fusion
from triad.kinds import KINDS
from triad.members.logistic import Logistic
from triad.members.popularity import Popularity
from triad.members.trees import BoostedTrees
from triad.models.multitask import multi_task_config
from triad.models.trunk import trunk_config
from triad.schema import EVENT_KINDS, TABLES
from triad.tables import connect
from triad.tasks import LABELS
from triad.tasks.base import EVERY_SLICE, Entity, Label, Part

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"


def task_of(label: Label, kind: str) -> TaskParams:
    column = "loyalty" if "column" in label.options else None
    return TaskParams(kind=kind, label=label.name, column=column, horizon_days=5)


@pytest.mark.parametrize("name", LABELS)
def test_a_label_names_what_there_is(name: str) -> None:
    label = LABELS[name]
    assert label.kinds and set(label.kinds) <= set(KINDS)
    assert label.unit in UNITS
    assert set(label.options) <= set(TaskParams.model_fields)
    arrays = {each.name for each in fields(UNITS[label.unit].arrays)}
    of_users = label.unit in ("exposures", "lists")
    assert label.cluster in (get_args(Entity) if of_users else arrays)
    assert bool(label.slices) == of_users and set(label.slices) <= set(EVERY_SLICE)  # other units say their own
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


@pytest.fixture(scope="module")
def added() -> Iterator[dict[str, Any]]:
    """What docs/examples/add_label.py has made, while its label is registered."""
    folders = list(tasks.__path__)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.syspath_prepend(EXAMPLES)
    yield runpy.run_path(str(EXAMPLES / "add_label.py"), run_name="__main__")
    tasks.__path__[:] = folders
    LABELS.reload()
    assert "comes_back" not in LABELS
    monkeypatch.undo()


def test_a_label_added_as_a_file_alone_is_made_checked_learned_judged_and_told(added: dict[str, Any]) -> None:
    params, data = added["params"], added["data"]
    test_a_label_names_what_there_is("comes_back")

    label = data.labels("back")
    assert {*np.unique(label[np.isfinite(label)])} == {0, 1} and np.isnan(label).any()
    shown = np.flatnonzero(np.isfinite(label))
    owner = np.stack([data.exposures.user[shown], data.exposures.time[shown] // DAY], axis=1)
    assert len(np.unique(owner, axis=0)) == len(shown)
    tables = make_tables()
    tables["events"] = tables["events"].filter(pc.field("kind") != "click")
    with connect(tables) as session, pytest.raises(TriadError, match=r"tasks\.back: needs click events"):
        check_tables(session, params.features, params.tasks)

    described = multi_task_config(data, trunk_config(data, params.pretrain.trunk), params.finetune, params.tasks)
    back = described["units"]["exposures"]["tasks"]["back"]
    assert back["kind"] == "binary" and 0.3 < back["naive"] < 0.7

    vectors = np.random.default_rng(0).normal(size=(len(data.items.item_id), 4)).astype(np.float32)
    members = {
        "popularity": Popularity.fit(data, params.tasks),
        "logistic": Logistic.fit(data, params.tasks),
        "trees": BoostedTrees.fit(data, vectors, params.tasks, params.profile),
    }
    train = label[data.rows("train")]
    assert members["popularity"].constants["back"] == pytest.approx([np.nanmean(train)])
    fused = fit_fusion(data, members, params.tasks, params.fuse)
    assert set(fused.calibrations["back"]) == set(members)

    asked = window(data, "test", 10, 0)
    models = score_members(fused, data, asked) | {NAIVE: score_naive(fused, data, params.tasks, asked)}
    parts = slices(data, asked, np.array(["all"])[np.zeros(len(data.items.item_id), int)])
    results = assess(data, params.tasks, asked, models, parts=parts, thresholds={"back": 0.5}, params=params.evaluate)
    assert {part.group for part in results["back"].slices} == {"users"}
    assert results["back"].clusters == len(np.unique(asked.user[np.isfinite(label[asked.rows])]))
    figures = metrics_json(results, params.evaluate, {})["back"]
    assert figures["auc"]["value"] > 0.5
    assert wording.sentence(params.tasks["back"], figures, 10).startswith("Of two cases, one where it happened")
    assert not [path for path in (ROOT / "src").rglob("*.py") if "comes_back" in path.read_text()]


@pytest.mark.parametrize("path", EXAMPLES.glob("*.py"), ids=lambda path: path.stem)
def test_an_example_fits_on_a_screen(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60


ANSWERED = """
import numpy as np
from triad.tasks.base import Label

class Answered(Label):
    name, question = "answered", "Did the shop write back?"
    kinds, unit, options = ("binary",), "messages", ()
    cluster, slices, reads = "message", (), ()

    def make(self, name, tasks, rows, classes):
        return np.array([reply != "" for reply in rows["reply"]], np.float32)

LABEL = Answered()
"""


def test_a_label_on_messages_added_as_a_file_alone_is_made_learned_fused_and_judged(tmp_path: Path) -> None:
    folders = list(tasks.__path__)
    (tmp_path / "answered.py").write_text(ANSWERED)
    LABELS.add(str(tmp_path))
    try:
        test_a_label_names_what_there_is("answered")
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(EXAMPLES)
            shop = runpy.run_path(str(EXAMPLES / "shop.py"))["shop"]
        asked_for = {"click": {"kind": "binary", "label": "clicked"}, "back": {"kind": "binary", "label": "answered"}}
        params, data, _ = shop(asked_for, recommend={"order_by": "click"})
        label = data.labels("back")
        assert data.unit_of("back") == "messages" and {*np.unique(label)} == {0, 1}
        members = {"popularity": Popularity.fit(data, params.tasks)}
        fused = fit_fusion(data, members, params.tasks, params.fuse.model_copy(update={"bootstrap": 50}))
        asked = window(data, "test", 10, 0)
        models = score_members(fused, data, asked) | {NAIVE: score_naive(fused, data, params.tasks, asked)}
        results = assess(data, params.tasks, asked, models, parts=[], thresholds={}, params=params.evaluate)
        assert results["back"].rows == len(data.rows("test", "messages")) > 10
        assert "log_loss" in metrics_json(results, params.evaluate, {})["back"]
        described = multi_task_config(
            data,
            trunk_config(data, params.pretrain.trunk),
            params.finetune.model_copy(update={"tasks": ("click", "back")}),
            params.tasks,
        )
        assert described["units"]["messages"]["tasks"]["back"]["kind"] == "binary", "networks can learn it, too"
    finally:
        tasks.__path__[:] = folders
        LABELS.reload()
