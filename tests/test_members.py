"""Members: what their files declare holds, each is kept whole, and one added as a file alone is made and fused."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fusion_data import TASKS, make_vectors
from make_dataset import make_dataset
from make_searches import TASK, with_searches

from triad import members
from triad.ablations.params import StudyParams
from triad.config.finetune import FinetuneParams
from triad.config.members import RECIPES, Recipe
from triad.config.params import Params
from triad.config.pretrain import TrunkParams
from triad.errors import TriadError
from triad.fusion.fused import Fused
from triad.members.bench import Bench
from triad.members.protocol import PROTOCOLS, Generator, Member, Retriever, RowScorer
from triad.members.registry import load_member, make_member, make_members, of_use

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
DATA = with_searches(make_dataset(60, 40, 0))
PARAMS = StudyParams(
    tasks=TASKS | TASK,
    profile={"max_iterations": 6, "min_rows_a_leaf": 20, "bag_rows": 0},
    similarity={"max_queries": 200, "linear": {"members": ["ease"]}},
)
BENCH = Bench(DATA, PARAMS, lambda: make_vectors(DATA), cache(lambda name: make_member(name, BENCH)))


LACKING = {
    "product_writer": "no task asks anything of products",  # tests/test_product_writer.py
    "text_tuned": "text.encoder has no vectors",  # tests/test_text_tuned.py
}
"""Members that this data cannot make, and what they say; their own tests keep them whole."""


@contextmanager
def restored() -> Iterator[pytest.MonkeyPatch]:
    """The members are afterwards what they were."""
    folders = list(members.__path__)
    with pytest.MonkeyPatch.context() as patch:
        yield patch
    members.__path__[:] = folders
    sys.modules.pop("triad.members.other", None)
    RECIPES.reload()


def untrained(name: str) -> Member:
    from triad.members.network import NetworkScorer
    from triad.members.sequence import Sequence
    from triad.models.multitask import multi_task
    from triad.models.networks import SequenceNetwork
    from triad.models.trunk import trunk_config

    trunk = trunk_config(DATA, TrunkParams(dim=8, layers=1, heads=2, max_steps=8))
    if name == "pretrain":
        return Sequence(SequenceNetwork(trunk))
    dials = FinetuneParams(tasks=("click",), body="shared_bottom", expert_dim=8, head_dim=4)
    return NetworkScorer(multi_task(DATA, trunk, dials, TASKS | TASK))


@pytest.mark.parametrize("name", RECIPES)
def test_a_member_answers_what_its_file_declares_and_is_kept_whole(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    assert set(recipe.reads) <= {"tasks", "pretrain"} | set(Params.model_fields) and recipe.protocols
    if name in LACKING:
        with pytest.raises(TriadError, match=LACKING[name]):
            make_member(name, BENCH)
        return
    if recipe.stage in ("pretrain", "finetune"):
        with pytest.raises(TriadError, match=f"the stage {name} trains it"):
            make_member(name, BENCH)
        member = untrained(name)
    else:
        member = make_member(name, BENCH)
    member.save(tmp_path / name)
    again = load_member(name, tmp_path / name)
    assert type(again) is type(member)
    assert {word for word, protocol in PROTOCOLS.items() if isinstance(again, protocol)} == set(recipe.protocols)
    if isinstance(member, RowScorer) and isinstance(again, RowScorer) and recipe.answers in {None, *DATA.units}:
        rows = DATA.rows("test", recipe.answers or "exposures")
        tasks = [task for task in member.tasks if DATA.unit_of(task) == (recipe.answers or "exposures")]
        scores = again.predict(DATA, rows, tasks)
        assert set(scores) == set(tasks) and set(member.tasks) == set(again.tasks)
        for task, values in member.predict(DATA, rows, tasks).items():
            np.testing.assert_array_equal(scores[task], values)
    if isinstance(member, Retriever) and isinstance(again, Retriever):
        states = DATA.lists.user[:30], DATA.lists.history[:30]
        lists = again.rank(DATA, *states)
        assert lists.sum(axis=1) == pytest.approx(1, rel=1e-5)
        np.testing.assert_array_equal(lists, member.rank(DATA, *states))


def test_a_stage_makes_what_the_params_ask_for_each_in_a_folder_of_its_own() -> None:
    assert set(make_members("similarity", BENCH)) == {"similarity", "ease"}
    folders = [(recipe.stage, recipe.folder) for recipe in RECIPES.values() if recipe.stage != "fuse"]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MEMBERS = Recipe('popularity', 'A', ('Retriever',))", "'popularity' is declared twice"),
        ("MEMBERS = Recipe('a', name(), ('Retriever',))", "its MEMBERS cannot be read: malformed"),
        ("MEMBERS = Recipe('a')", "its MEMBERS cannot be read: .*missing 2 required"),
        ("MEMBERS = ['a']", r"its MEMBERS cannot be read: it is no Recipe\(…\)"),
    ],
)
def test_a_declaration_that_cannot_be_read_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(f"\n{text}\n")
    with restored(), pytest.raises(TriadError, match=said):
        RECIPES.add(str(tmp_path))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("class A:\n    tasks = ()\n    def predict(self): ...", "A answers RowScorer, declared: Retriever"),
        ("class A:\n    def rank(self): ...", "give it `save`, `load` and `refit`"),
        ("class B: ...", "it has no class A"),
    ],
)
def test_a_class_that_is_not_what_its_file_declares_is_refused(body: str, said: str, tmp_path: Path) -> None:
    make = "\nA.make = classmethod(lambda cls, bench, name: cls())" if "class A" in body else ""
    (tmp_path / "other.py").write_text(f"\nRecipe = dict\nMEMBERS = 1\n{body}{make}")
    with restored() as patch:
        patch.setattr(members, "__path__", [*members.__path__, str(tmp_path)])
        recipe = Recipe("a", "A", ("Retriever",), module="triad.members.other")
        patch.setattr(RECIPES, "_objects", {**RECIPES, "a": recipe})
        with pytest.raises(TriadError, match=said):
            make_member("a", BENCH)


def test_a_model_with_a_member_that_this_code_lacks_is_refused_when_loaded(tmp_path: Path) -> None:
    popular = make_member("popularity", BENCH)
    Fused({"popularity": popular}, {}, {}, {}, {}).save(tmp_path)
    assert list(Fused.load(tmp_path).members) == ["popularity"]
    text = (tmp_path / "fusion.json").read_text()
    (tmp_path / "fusion.json").write_text(text.replace('"popularity"', '"profile"'))
    with pytest.raises(TriadError, match="there is no member 'profile'; did you mean 'trees'"):
        Fused.load(tmp_path)


class Writer:
    def generate(self, data: Any, rows: Any, unit: str) -> list[str]:
        return [f"{unit} {row}" for row in rows]


def test_the_first_member_that_writes_is_asked_for_texts() -> None:
    popular = make_member("popularity", BENCH)
    fused = Fused({"popularity": popular, "writer": Writer()}, {}, {}, {}, {})
    assert fused.generate(DATA, np.array([3, 1]), "exposures") == ["exposures 3", "exposures 1"]
    with pytest.raises(TriadError, match="no member writes texts"):
        Fused({"popularity": popular}, {}, {}, {}, {}).generate(DATA, np.array([3]), "exposures")


def test_what_lacks_a_part_answers_none() -> None:
    class Half:
        def predict(self) -> None: ...

    assert not any(isinstance(Half(), protocol) for protocol in (RowScorer, Retriever, Generator))


def test_a_member_added_as_a_file_alone_is_made_kept_and_fused(capsys: pytest.CaptureFixture[str]) -> None:
    with restored() as patch:
        patch.syspath_prepend(EXAMPLES)
        added = runpy.run_path(str(EXAMPLES / "add_member.py"), run_name="__main__")
    data, fused, scores = added["data"], added["fused"], added["scores"]["click"]
    assert fused.weights["click"]["page_place"] > 0.5 and "0." in capsys.readouterr().out
    rates = added["made"]["page_place"].rates
    first = added["places"](data, data.rows("test")) == 1
    assert rates[1] > rates[5] > 0 and scores[first].mean() > scores[~first].mean()
    assert "page_place" not in RECIPES
    assert not [path for path in (ROOT / "src").rglob("*.py") if "page_place" in path.read_text()]


def test_where_lists_are_the_only_task_no_member_of_rows_is_asked_for() -> None:
    lists = {"next": TASKS["next"]}
    names = ("finetune", "pretrain", "similarity", "trees", "popularity")
    assert of_use(names, TASKS) == list(names)
    assert of_use(names, lists) == ["pretrain", "similarity", "popularity"]
