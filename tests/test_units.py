"""Units of examples: each answers its protocol; one that is added as a file alone goes from tables to the report."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from triad import examples, tasks
from triad.evaluation import wording
from triad.evaluation.assess import NAIVE, assess
from triad.evaluation.champion_protocol import answer
from triad.evaluation.figures import metrics_json
from triad.evaluation.scoring import ask, score_members, score_naive
from triad.evaluation.window import window
from triad.examples import UNITS
from triad.examples.dataset import load, save
from triad.features.build import transform
from triad.features.state import State
from triad.fusion.fitting import fit_fusion
from triad.members.popularity import Popularity
from triad.schema import TABLES
from triad.sources.simulated import simulate
from triad.tables import connect
from triad.tasks import LABELS

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"


class Words:
    """A member of products alone: naive Bayes on their words."""

    tasks = ("department",)

    def __init__(self, data: Any) -> None:
        rows, classes = data.rows("train", "goods"), len(data.meta.classes["department"])
        self.counts = np.ones((1 + int(data.units["goods"].tokens.max()), classes))
        labels = data.labels("department")[rows].astype(int)
        np.add.at(self.counts, (data.units["goods"].tokens[rows], labels[:, None]), 1)

    def predict(self, data: Any, rows: Any, tasks: Any = None) -> dict[str, Any]:
        shares = np.log(self.counts / self.counts.sum(axis=0))
        return {"department": softmax(shares[data.units["goods"].tokens[rows]].sum(axis=1), axis=1)}


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_names_what_there_is(name: str) -> None:
    unit = UNITS[name]
    arrays = {each.name for each in fields(unit.arrays)}
    assert "split" in arrays and set(unit.tables) <= set(TABLES)
    assert unit.key is None or {unit.key, "labels"} <= arrays
    labels = [label for label in LABELS.values() if label.unit == name]
    assert labels and all(label.cluster in arrays for label in labels)


@pytest.fixture(scope="module")
def added() -> Iterator[dict[str, Any]]:
    """What docs/examples/add_unit.py has made, while its unit and label are registered."""
    folders = list(examples.__path__), list(tasks.__path__)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield runpy.run_path(str(EXAMPLES / "add_unit.py"), run_name="__main__")
    examples.__path__[:], tasks.__path__[:] = folders
    UNITS.reload()
    LABELS.reload()
    assert "goods" not in UNITS and "department" not in LABELS


def test_a_unit_added_as_a_file_alone_is_made_kept_and_made_again(added: dict[str, Any], tmp_path: Path) -> None:
    params, data, state = added["params"], added["data"], added["state"]
    assert (
        data.meta.tasks == {"exposures": ("click",), "goods": ("department",)} and data.unit_of("department") == "goods"
    )
    save(data, tmp_path)
    state.save(tmp_path / "state")
    with connect(simulate(params.ingest).whole()[0]) as session:
        again = transform(session, State.load(tmp_path / "state"))
    for other in (load(tmp_path), again):
        for array in fields(data.units["goods"]):
            ours, theirs = (getattr(each.units["goods"], array.name) for each in (data, other))
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs), err_msg=array.name)


def test_a_unit_added_as_a_file_alone_is_learned_fused_and_judged(added: dict[str, Any]) -> None:
    params, data = added["params"], added["data"]
    members = {"words": Words(data), "popularity": Popularity.fit(data, params.tasks)}
    fused = fit_fusion(data, members, params.tasks, params.fuse.model_copy(update={"bootstrap": 50}))
    assert set(fused.weights) == {"click", "department"} and fused.weights["department"]["words"] > 0.5
    assert set(fused.weights["click"]) == {"popularity"}

    asked = window(data, "test", 10, 0)
    models = score_members(fused, data, asked) | {NAIVE: score_naive(fused, data, params.tasks, asked)}
    results = assess(data, params.tasks, asked, models, parts=[], thresholds={}, params=params.evaluate)
    rows = data.rows("test", "goods")
    assert results["department"].rows == results["department"].clusters == len(rows) > 10
    assert results["click"].rows == np.isfinite(data.labels("click")[asked.rows]).sum()
    figures = metrics_json(results, params.evaluate, {"department": "words"})["department"]
    right = models["fused"].tasks["department"].argmax(axis=1) == data.labels("department")[rows]
    assert figures["accuracy"]["value"] == pytest.approx(right.mean())
    assert figures["gain_over_naive"]["lo"] > 0
    assert "right class" in wording.sentence(params.tasks["department"], figures, 10)

    answers = answer(fused, data, ask(data, asked))  # as a champion, by ids
    np.testing.assert_array_equal(answers.tasks["department"], models["fused"].tasks["department"])
    assert answers.classes["department"] == data.meta.classes["department"]


def test_no_code_names_the_unit_of_the_example() -> None:
    code = [path for path in (ROOT / "src").rglob("*.py") if "simulated" not in path.parts]
    assert not [path for path in code if '"goods"' in path.read_text()]
