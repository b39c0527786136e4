"""Studies: what they may say, what is compared and how surely, and a tiny one from data to page."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from make_dataset import make_dataset
from scipy.stats import spearmanr
from test_architecture import SOURCE, module_file, reach
from test_warm_start import lay_out

import triad.datasets
from triad.ablations import plan
from triad.ablations.compare import difference, estimates, status
from triad.ablations.data import taught, thinned
from triad.ablations.files import load, load_all
from triad.ablations.outcome import Answers, Outcome
from triad.ablations.page import document, render
from triad.ablations.prepare import prepare
from triad.ablations.results import results
from triad.ablations.spec import Study, Unit
from triad.artifacts import write_json
from triad.datasets.base import registered
from triad.datasets.registry import FORMS
from triad.errors import TriadError
from triad.examples import dataset
from triad.features.dataset import SPLITS

ROOT = Path(__file__).parents[1]
TASKS = {
    "click": {"kind": "binary", "label": "clicked"},
    "conversion": {"kind": "binary", "label": "purchased", "given": "click"},
    "price": {"kind": "regression", "label": "price_move"},
    "next": {"kind": "ranking", "label": "next_item"},
}
RETAIL = "configs/online_retail.yaml"
TINY = {
    "about": "Does anything help?",
    "data": {"form": "shop", "features": "features"},
    "tasks": TASKS,
    "params": {
        "runtime": {"xla": "off"},
        "pretrain": {"trunk": {"dim": 8, "layers": 1, "heads": 1, "max_steps": 8}, "max_epochs": 1},
        "finetune": {"experts": 2, "expert_dim": 8, "head_dim": 4, "max_epochs": 1, "batch_exposures": 2048},
        "fuse": {"members": ["finetune", "popularity"], "bootstrap": 20},
        "evaluate": {"bootstrap": 50},
    },
    "reference": "mmoe",
    "variants": {"mmoe": {}, "scratch": {"finetune": {"init": "scratch"}}},
    "alone": ["mmoe"],
    "shares": [0.5, 1.0],
    "seeds": [1, 2],
    "claims": [
        {"better": "mmoe", "than": "scratch", "task": "click"},
        {"better": "mmoe/finetune", "than": "mmoe/popularity", "task": "click", "metric": "log_loss", "share": 0.5},
    ],
}


@pytest.fixture(autouse=True)
def its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command tells its process, and those that it starts, where data sets lie: no other test is to hear of it."""
    for name, else_ in (("TRIAD_DATASETS", "datasets"), ("TF_XLA_FLAGS", "")):
        monkeypatch.setenv(name, os.environ.get(name, else_))


def study(**changes) -> Study:
    return Study.model_validate({**TINY, **changes})


def test_a_variant_is_an_overlay_and_the_rest_stays() -> None:
    tiny = study(variants={"mmoe": {}, "small": {"finetune": {"experts": 1}}}, claims=[])
    assert tiny.settings("small").finetune.experts == 1
    assert tiny.settings("small").finetune.expert_dim == tiny.settings("mmoe").finetune.expert_dim == 8
    seeded = tiny.settings("mmoe").seeded(7)
    assert (seeded.finetune.seed, seeded.pretrain.seed, seeded.fuse.seed, seeded.evaluate.seed) == (7, 7, 7, 1)


def test_a_task_taught_alone_needs_no_other_and_no_other_member() -> None:
    alone = study().settings("mmoe-alone-conversion")
    assert list(alone.tasks) == ["conversion"] and alone.tasks["conversion"].given is None
    assert alone.fuse.members == ("finetune",)


def test_units_are_variants_by_shares_by_seeds_with_their_twins() -> None:
    units = list(study().units("tiny"))
    assert len(units) == (2 + 3) * 2 * 2
    assert Unit("tiny", "mmoe-alone-price", 0.5, 2).name == "tiny_mmoe-alone-price_0p5_2" in {u.name for u in units}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": "none"}, "'none' is no variant"),
        ({"variants": {"Big-One": {}}}, "a name is lower-case"),
        ({"variants": {"mmoe": {}, "wrong": {"finetune": {"expert": 3}}}}, "finetune.expert"),
        ({"claims": [{"better": "mmoe", "than": "other", "task": "click"}]}, "'other' at share 1"),
        ({"claims": [{"better": "mmoe", "than": "scratch", "task": "cart"}]}, "'cart' is no task"),
        ({"claims": [{"better": "mmoe", "than": "scratch", "task": "click", "share": 0.1}]}, "at share 0.1"),
        ({"claims": [{"better": "mmoe", "than": "scratch-alone-*"}]}, "'scratch-alone-click' at share 1"),
        ({"data": {"form": "cards"}}, "'cards' is none of"),
        ({"data": {"form": "shop", "feature": "x"}}, "feature"),
    ],
)
def test_what_a_study_may_not_say(tmp_path: Path, changes: dict, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({**TINY, **changes}))
    with pytest.raises(TriadError, match=message):
        load(tmp_path / "bad.yaml")


def test_the_shipped_studies_of_a_shop_fit_another_shop_with_its_own_tasks(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    laid = {**yaml.safe_load((ROOT / "params.yaml").read_text()), **yaml.safe_load((ROOT / RETAIL).read_text())}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(laid))
    for name in ("shop_bodies", "shop_members", "shop_ways"):
        text = (ROOT / "ablations" / "studies" / f"{name}.yaml").read_text().replace("../params.yaml", "params.yaml")
        (tmp_path / "studies" / f"{name}.yaml").write_text(text)
    bodies, members, ways = load_all(tmp_path / "studies").values()
    assert "mmoe-alone-purchase" in {unit.variant for unit in bodies.units("")}
    assert not bodies.judged and {claim.task for claim in members.judged} == {"next"}
    assert members.strange == ["click", "conversion"] and not ways.strange
    together = [claim for claim in ways.judged if claim.than.startswith("scratch-alone-")]
    assert [claim.than for claim in together] == [f"scratch-alone-{claim.task}" for claim in together]
    assert {claim.task for claim in together} == set(ways.tasks) - {"next"}
    assert {claim.task for claim in ways.judged if claim.than == "fused/best"} == set(ways.tasks)


def test_an_unknown_study_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "bodies.yaml").write_text(yaml.safe_dump(TINY))
    with pytest.raises(TriadError, match="did you mean 'bodies'"):
        load(tmp_path / "bodie.yaml")


def test_the_shipped_studies_fit_and_each_unit_has_a_name_of_its_own() -> None:
    studies = load_all(ROOT / "ablations" / "studies")
    names = [unit.name for name, each in studies.items() for unit in each.units(name)]
    assert len(names) == len(set(names)) > 50
    assert all(len(each.seeds) >= 5 for each in studies.values())


def test_a_unit_is_stale_when_its_own_settings_change_and_no_other_is() -> None:
    before = plan.plan({"tiny": study()})["units"]
    changed = {"mmoe": {}, "scratch": {"finetune": {"init": "scratch", "experts": 3}}}
    after = plan.plan({"tiny": study(variants=changed)})["units"]
    assert {name for name in before if before[name] != after[name]} == {
        f"tiny_scratch{share}_{seed}" for share in ("", "_0p5") for seed in (1, 2)
    }


def test_data_is_stale_when_a_file_that_it_names_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAD_DATASETS", str(tmp_path))
    log = study(
        data={"form": "sequences", "path": "log.txt"},
        tasks={"next": {"kind": "ranking", "label": "next_item"}},
        alone=[],
        claims=[],
    )
    said = []
    for text in (None, "ann pen cup\n", "ann pen tea\n", "ann pen cup\n"):
        if text is not None:
            (tmp_path / "log.txt").write_text(text)
        said.append(plan.plan({"log": log})["studies"]["log"]["data"])
    assert len(set(said)) == 3 and said[1] == said[3]


NEW_FORM = """
from typing import Literal
from triad.config.base import Section
from triad.config.tasks import TaskParams
from triad.datasets.base import Form

class Cards(Section):
    form: Literal["cards"]
    deck: str

FORM = Form(
    name="cards",
    keys=Cards,
    read_from=lambda keys, folder: [folder / keys.deck],
    read=lambda keys, folder: {},
    tasks=lambda keys: {"suit": TaskParams(kind="multiclass", label="column", column="suit")},
)
"""


def test_a_form_is_a_file_added_and_no_file_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cards.py").write_text(NEW_FORM)
    monkeypatch.setattr(triad.datasets, "__path__", [*triad.datasets.__path__, str(tmp_path)])
    FORMS.reload()
    asked = {**TINY, "data": {"form": "cards", "deck": "deck.csv"}, "claims": [], "alone": []}
    del asked["tasks"]
    cards = Study.model_validate(asked)
    assert cards.form is FORMS["cards"] and list(cards.tasks) == ["suit"] and cards.offered == {}
    before = plan.plan({"cards": cards})
    (tmp_path / "deck.csv").write_text("suit")
    monkeypatch.setenv("TRIAD_DATASETS", str(tmp_path))
    assert plan.plan({"cards": cards}) != before
    monkeypatch.undo()
    FORMS.reload()
    with pytest.raises(ValueError, match="'cards' is none of markets, sequences, shop, tabular"):
        Study.model_validate(asked)


def test_the_first_seeds_of_named_studies_are_wanted() -> None:
    studies = {"one": study(), "two": study(seeds=[5, 6, 7])}
    found = plan.wanted(studies, ["two"], 2)
    assert list(found) == ["two"] and {unit.seed for unit in found["two"]} == {5, 6}
    with pytest.raises(TriadError, match="known are one, two"):
        plan.wanted(studies, ["three"], None)


@pytest.mark.parametrize(
    ("stage", "modules"),
    [
        ("data", ["ablations.prepare", "datasets.registry"]),
        ("unit", ["ablations.run"]),
        ("compare", ["ablations.results"]),
        ("page", ["ablations.page"]),
    ],
)
def test_a_stage_lists_just_the_code_it_imports(stage: str, modules: list[str]) -> None:
    stages = yaml.safe_load((ROOT / "ablations" / "dvc.yaml").read_text())["stages"]
    stages[stage] = stages[stage].get("do", stages[stage])
    listed = [(ROOT / "ablations" / dep).resolve() for dep in stages[stage]["deps"] if "/src/" in dep]
    covered = {path for dep in listed for path in ([dep] if dep.is_file() else dep.rglob("*.py"))}
    settings = frozenset({SOURCE / "triad" / "ablations" / "spec.py"})  # what it comes to is in a unit's digest
    needed = set().union(*(reach(module_file(f"triad.{name}"), settings) for name in modules))
    needed = {path for path in needed if path.parent.name not in ("config", "triad")}
    needed -= {SOURCE / "triad" / "ablations" / "params.py"}
    assert not needed - covered, sorted(str(path) for path in needed - covered)
    assert not [dep for dep in listed if not needed & ({dep, *dep.rglob("*.py")}) and "templates" not in str(dep)]


def test_a_claim_holds_only_where_its_corrected_p_is_small() -> None:
    assert status(0.1, 0.01, 0.95) == "holds"
    assert status(-0.1, 0.01, 0.95) == "does not hold"
    assert status(0.1, 0.06, 0.95) == status(0.1, math.nan, 0.95) == "not shown"


def test_a_difference_is_the_mean_over_seeds_with_both_kinds_of_chance() -> None:
    noise = np.random.default_rng(0).normal(size=20_000)
    rows = (noise - noise.mean()) / noise.std(ddof=1) * 0.03  # what resampled users do, the same to each seed
    found = difference([np.r_[v, v + rows] for v in (0.0, 0.1, 0.2)], 0.95, 1)
    assert found.value == pytest.approx(0.1) and found.spread == pytest.approx(0.1)
    variance = 0.03**2 + 0.1**2 / 3  # of rows, and of the mean of three seeds
    freedom = variance**2 / ((0.1**2 / 3) ** 2 / 2)  # Satterthwaite: 3.2
    from scipy.stats import t

    assert found.high - 0.1 == pytest.approx(t.ppf(0.975, freedom) * variance**0.5, rel=0.03)
    alone = difference([np.r_[0.1, 0.1 + rows]], 0.95, 1)
    assert alone.high - 0.1 == pytest.approx(1.96 * 0.03, rel=0.001) and math.isnan(alone.spread)


def test_of_differences_of_nothing_one_in_twenty_is_called_one() -> None:
    random, wrong = np.random.default_rng(3), 0
    for _ in range(300):
        sample = random.normal(0, 0.02)  # the users drawn, for all seeds
        drawn_anew = random.normal(0, 0.02, 100)
        found = difference([np.r_[s, s + drawn_anew] for s in sample + random.normal(0, 0.03, 5)], 0.95, 1)
        wrong += found.p < 0.05
    assert wrong <= 24  # 15 expected, 99th percentile of the binomial


def test_differences_are_paired_by_the_same_draws() -> None:
    random = np.random.default_rng(0)
    labels, cluster = (random.random(400) < 0.4).astype(float), np.repeat(np.arange(40), 10)
    score = random.random(400) * 0.5 + labels * 0.3
    scores = {"a": score, "b": 0.5 * score, "naive": np.full(400, 0.4)}
    answers = Answers("binary", labels, cluster, scores)
    one, other = (estimates(answers, model, "auc", 60, 1) for model in "ab")
    assert np.array_equal(one, other) and one[1:].std() > 0
    with pytest.raises(TriadError, match="no metric 'ndcg'"):
        estimates(answers, "a", "ndcg", 60, 1)
    with pytest.raises(TriadError, match="known are a, b, naive"):
        estimates(answers, "c", "auc", 60, 1)


def test_a_share_of_the_rows_is_whole_users_of_train_alone() -> None:
    data = make_dataset()
    few = thinned(data, 0.25, 1)
    train, kept = data.rows("train"), few.rows("train")
    users = np.unique(data.exposures.user[train])
    assert len(np.unique(data.exposures.user[kept])) == round(0.25 * len(users))
    assert set(kept) == set(train[np.isin(data.exposures.user[train], data.exposures.user[kept])])
    assert all(np.array_equal(few.rows(split), data.rows(split)) for split in SPLITS[1:])
    assert not np.array_equal(kept, thinned(data, 0.25, 2).rows("train"))


def test_a_task_without_labels_is_named_before_anything_is_fitted(tmp_path: Path) -> None:
    dataset.save(make_dataset(), tmp_path / "features")
    asked = study(
        data={"form": "shop", "features": str(tmp_path / "features")},
        tasks={**TASKS, "cart": {"kind": "binary", "label": "carted"}},
    )
    with pytest.raises(TriadError, match="no labels of 'cart', but of click, conversion"):
        prepare(asked, tmp_path / "data")
    with pytest.raises(TriadError, match="holds target, not 'abroad'"):
        prepare(asked.model_copy(update={"market": "abroad"}), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_only_the_labels_of_the_tasks_are_taught() -> None:
    data = make_dataset()
    found = taught(data, study().settings("mmoe-alone-price").tasks)
    assert found.meta.tasks["exposures"] == ("price",) and found.meta.classes == {}
    assert np.array_equal(found.labels("price"), data.labels("price"), equal_nan=True)


def test_the_shelf_knows_a_member_by_all_packages_that_fit_it() -> None:
    from triad.ablations.members import CODE

    settings = frozenset(SOURCE / "triad" / "ablations" / f"{name}.py" for name in ("spec", "params"))
    files = reach(module_file("triad.ablations.members"), settings)
    packages = {path.relative_to(SOURCE / "triad").parts[0] for path in files if path.parent.name != "triad"}
    assert packages - {"ablations", "config", "datasets"} == set(CODE)  # what the others say is in a member's params


def test_a_member_fitted_by_other_code_is_not_taken_from_the_shelf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triad.ablations import members

    data, params = make_dataset(), study(params={"similarity": {"linear": {"members": ["ease"]}}}).settings("mmoe")
    for code in ("old", "old", "new"):
        monkeypatch.setattr(members, "code_digest", lambda folder, code=code: code)
        members.Workshop(data, params, None, tmp_path / "shelf", "key").member("ease")
    assert len(list((tmp_path / "shelf").iterdir())) == 2


@pytest.mark.proof
@pytest.mark.usefixtures("eagerly")
def test_a_variant_starts_from_a_registered_model_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triad.ablations import members
    from triad.ablations.run import run
    from triad.training.finetuning import finetune_network
    from triad.training.runtime import settle

    monkeypatch.chdir(tmp_path)
    data, hardly = make_dataset(), {"learning_rate": 1e-9, "warm_epochs": 1, "max_epochs": 3}
    asked = study(
        data={"form": "shop", "features": "artifacts/features"},
        reference="scratch",
        variants={
            "scratch": {"finetune": {"init": "scratch"}},
            "champion": {"finetune": {"init": "champion", **hardly}},
            "market": {"finetune": {"init": "market"}},
        },
        params={**TINY["params"], "fuse": {"members": ["finetune"], "bootstrap": 20}},
        tasks={name: task for name, task in TASKS.items() if name != "next"},
        alone=["market"],
        shares=[1.0],
        claims=[{"better": "champion", "than": "scratch", "task": "click"}]
        + [{"better": better, "than": "scratch", "task": "click"} for better in ("market", "market-alone-click")],
    )
    params = asked.settings("scratch")
    dials = params.finetune.model_copy(update={"max_epochs": 3, "batch_exposures": 256, "learning_rate": 0.01})
    theirs, _ = finetune_network(
        taught(data, params.tasks), params.tasks, dials, settle(params.runtime, 9), trunk=params.pretrain.trunk
    )
    lay_out(data, {"finetune": theirs})
    assert registered(Path("artifacts")) == {"champion"}
    left = asked.startable({"champion"})
    assert list(left.variants) == ["scratch", "champion"] and left.alone == ()
    assert [claim.better for claim in left.claims] == ["champion"]
    assert list(asked.startable({}).variants) == ["scratch"]

    folder, unit = Path("data/tiny"), Unit("tiny", "champion", 1.0, 1)
    prepare(asked, folder)
    found = run(asked, unit, folder, Path("shelf"))
    assert len(found.facts["history"]["finetune"]) == 1  # its warm epochs
    rows = data.rows("test")
    expected = theirs.predict(data, rows)["click"][np.isfinite(data.labels("click")[rows])]
    assert spearmanr(found.tasks["click"].scores["finetune"], expected).statistic > 0.999  # calibrated, else the same
    assert found.facts["parameters"]["finetune"] == sum(
        int(np.prod(weight.shape)) for weight in theirs.network.trainable_weights
    )
    with pytest.raises(TriadError, match=r"finetune\.init: no market lies beside these examples"):
        run(asked, Unit("tiny", "market", 1.0, 1), folder, Path("shelf"))

    before = plan.plan({"tiny": asked})["studies"]
    monkeypatch.setitem(members.TRAINED, "finetune", lambda shop: (theirs, []))
    for version, networks in ((5, 1), (6, 2)):  # from another version it is another network
        write_json(Path("artifacts") / "champion" / "champion.json", {"version": version})
        prepare(asked, folder)
        run(asked, unit, folder, Path("shelf"))
        assert len(list(Path("shelf").iterdir())) == networks
    assert plan.plan({"tiny": asked})["studies"] != before  # and other data


def test_only_a_variant_asks_for_a_registered_model(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    night = {"tasks": TASKS, "pretrain": {"init": "champion"}, "finetune": {"init": "market", "experts": 3}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(night))
    asked = {**TINY, "base": "params.yaml", "variants": {"mmoe": {}, "warm": {"finetune": {"init": "champion"}}}}
    (tmp_path / "studies" / "one.yaml").write_text(yaml.safe_dump({**asked, "claims": [], "params": {}}))
    found = load(tmp_path / "studies" / "one.yaml")
    mine = found.settings("mmoe")
    assert (mine.pretrain.init, mine.finetune.init, mine.finetune.experts) == ("scratch", "pretrain", 3)
    assert found.starts("mmoe") == set() and found.starts("warm") == {"champion"} == found.all_starts()
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**night, "finetune": None}))
    with pytest.raises(TriadError, match="finetune: Input should be a valid dictionary"):
        load(tmp_path / "studies" / "one.yaml")


def test_a_run_leaves_out_and_names_what_no_registered_model_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from triad.ablations import commands, jobs

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    Path("studies").mkdir()
    variants = {"mmoe": {}, "market": {"finetune": {"init": "market"}}}
    Path("studies/one.yaml").write_text(yaml.safe_dump({**TINY, "variants": variants, "claims": []}))
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(jobs, "repro", lambda *words: asked.append(words) or False)
    assert CliRunner().invoke(commands.ablations, ["run", "one", "--seeds", "1"]).exit_code == 0
    assert "one: no registered model or other market to start market from" in caplog.text
    assert asked[0] == ("--single-item", "data@one")
    assert {word for word in asked[1] if word.startswith("unit@")} == {
        f"unit@one_{variant}{share}_1"
        for variant in ("mmoe", "mmoe-alone-click", "mmoe-alone-conversion", "mmoe-alone-price")
        for share in ("_0p5", "")
    }
    assert asked[2:] == [("--single-item", "compare@one"), ("--single-item", "page")]


def test_seeds_run_at_once_each_on_its_cores_and_one_that_fails_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("needs two cores")
    from triad.ablations.jobs import at_once

    monkeypatch.chdir(tmp_path)
    subprocess.run(["dvc", "init", "-q", "--no-scm"], check=True)
    # each waits for one of the other chain: run one after another they would never end
    code = """if True:
        import os, pathlib, sys, time
        mine, other = sys.argv[1:]
        pathlib.Path(f"{mine}.begun").touch()
        for _ in range(600):
            if pathlib.Path(f"{other}.begun").exists(): break
            time.sleep(0.1)
        else: sys.exit("waited in vain")
        if mine == "a1": sys.exit("fails")
        pathlib.Path(mine).write_text(str(sorted(os.sched_getaffinity(0))))
    """
    Path("wait.py").write_text(code)
    pairs = {"a1": "b1", "b1": "a1", "a2": "b2", "b2": "a2"}
    stages = {
        name: {"cmd": f"{sys.executable} wait.py {name} {other}", "deps": ["wait.py"], "outs": [name]}
        for name, other in pairs.items()
    }
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    assert at_once([["a1", "a2"], ["b1", "b2"]], jobs=2)
    assert not Path("a1").exists()
    ran = [Path(name).read_text() for name in ("a2", "b1", "b2")]
    assert ran[1] == ran[2] != ran[0] and {ran[0], ran[1]} == {str(cores[::2]), str(cores[1::2])}
    assert set(yaml.safe_load(Path("dvc.lock").read_text())["stages"]) == {"a2", "b1", "b2"}
    assert sorted(os.sched_getaffinity(0)) == cores
    with pytest.raises(TriadError, match="jobs for"):
        at_once([["b1"]], jobs=len(cores) + 1)


def test_data_sets_are_found_from_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triad.ablations import commands

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIAD_DATASETS", "sets")
    for folder in ("sets", "ablations/studies"):
        Path(folder).mkdir(parents=True)
    Path("ablations/dvc.yaml").write_text("stages: {}")
    Path("sets/log.txt").write_text("".join(f"user{number} pen cup ink\n" for number in range(20)))
    log = {"about": "?", "data": {"form": "sequences", "path": "log.txt"}, "reference": "all", "variants": {"all": {}}}
    tasks = {"next": {"kind": "ranking", "label": "next_item"}}
    Path("ablations/studies/log.yaml").write_text(yaml.safe_dump({**log, "tasks": tasks}))
    done = CliRunner().invoke(commands.ablations, ["data", "log"], catch_exceptions=False)
    assert done.exit_code == 0 and (tmp_path / "ablations/data/log/data.json").is_file()


def test_the_studies_in_the_guide_fit() -> None:
    text = (ROOT / "docs" / "your_data.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(part.partition("```")[0]) for part in text.split("```yaml")[1:]]
    studies = [Study.model_validate({"about": "?", **block}) for block in blocks if "reference" in block]
    assert [each.data.form for each in studies] == ["sequences", "markets"]


@pytest.mark.proof
def test_what_was_compiled_in_one_process_is_not_compiled_in_the_next(tmp_path: Path) -> None:
    code = f"""if True:
        from pathlib import Path
        from triad.ablations.commands import keep_compiled
        keep_compiled(Path({str(tmp_path)!r}))
        import tensorflow as tf
        print(float(tf.function(lambda x: tf.reduce_sum(tf.tanh(x @ x)), jit_compile=True)(tf.ones((3, 3)))))
    """
    said, written = [], []
    for _ in range(2):
        said.append(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
        written.append([(each.name, each.stat().st_mtime_ns) for each in tmp_path.iterdir()])
    assert said[0] == said[1] and written[0] == written[1] and len(written[0]) == 1


def claims_without_a_task_are_of_each_that_both_answer(rows: list[dict], by_seed: list[Answers], one: Outcome) -> None:
    of = {than: [row for row in rows if row["than"].startswith(than)] for than in ("trees/best", "bare", "mmoe-alone-")}
    assert [row["task"] for row in of["trees/best"]] == ["click", "conversion", "price", "next"]
    best = one.facts["record"]["click"]["best"]
    assert best == "trees" and of["trees/best"][0]["value"] == pytest.approx(
        np.mean(
            [estimates(each, "fused", "auc", 50, 1)[0] - estimates(each, best, "auc", 50, 1)[0] for each in by_seed]
        )
    )
    assert [row["task"] for row in of["bare"]] == ["click", "conversion", "price"]  # bare orders nothing
    assert [(row["than"], row["seeds"]) for row in of["mmoe-alone-"]] == [
        ("mmoe-alone-click", 0),  # was not run
        ("mmoe-alone-conversion", 0),
        ("mmoe-alone-price", 1),
    ]


@pytest.mark.proof
@pytest.mark.usefixtures("eagerly")
def test_a_tiny_study_from_data_to_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triad.ablations.run import run  # the one that needs a framework

    monkeypatch.chdir(tmp_path)
    trees = {"fuse": {"members": ["trees", "popularity"]}, "profile": {"max_iterations": 10, "min_rows_a_leaf": 5}}
    tiny = study(
        variants={"mmoe": {}, "bare": {"fuse": {"members": ["finetune"]}}, "trees": trees},
        alone=["mmoe"],
        shares=[1.0],
        claims=[
            {"better": "trees", "than": "trees/popularity", "task": "click"},
            {"better": "mmoe/finetune", "than": "trees/trees", "task": "click", "metric": "log_loss"},
            {"better": "trees", "than": "trees/best"},
            {"better": "mmoe", "than": "bare"},
            {"better": "mmoe", "than": "mmoe-alone-*"},
        ],
    )
    with pytest.raises(TriadError, match="dvc repro features"):
        prepare(tiny, Path("data/tiny"))
    dataset.save(make_dataset(users=80, seed=1), Path("features"))
    said = prepare(tiny, Path("data/tiny"))
    assert said["target"]["rows"]["test"] > 100 and len(said["target"]["digest"]) == 16

    outcomes = {}
    for variant, seed in (("trees", 1), ("trees", 2), ("mmoe", 1), ("bare", 1), ("mmoe-alone-price", 1)):
        unit = Unit("tiny", variant, 1.0, seed)
        run(tiny, unit, Path("data/tiny"), Path("shelf")).save(Path("outcomes") / unit.name)
        outcomes[unit] = Outcome.load(Path("outcomes") / unit.name)
    made = sorted(each.name.partition("-")[0] for each in Path("shelf").iterdir())
    assert made == ["finetune", "finetune", "pretrain", "pretrain", "trees", "trees"]  # once each, for all variants
    assert set(outcomes[Unit("tiny", "bare", 1.0, 1)].tasks) == {"click", "conversion", "price"}  # none orders items
    shelved = run(tiny, Unit("tiny", "trees", 1.0, 1), Path("data/tiny"), Path("shelf")).facts["seconds"]
    assert set(shelved) == {"pretrain", "trees", "popularity"}  # what the trees read has its cost, made now or not
    whole = Unit("tiny", "mmoe", 1.0, 1)
    again = run(tiny, whole, Path("data/tiny"), Path("shelf"))
    assert np.array_equal(again.tasks["click"].scores["finetune"], outcomes[whole].tasks["click"].scores["finetune"])
    first = outcomes[whole].facts
    for name in ("parameters", "history", "diagnosis"):
        assert again.facts[name] == first[name], name
    assert again.facts["seconds"]["finetune"] == first["seconds"]["finetune"]

    found = results(tiny, outcomes) | {"lineage": {"date": "2026-01-01", "commit": "abc", "data": "123"}}
    claim, other, *by_task = found["claims"]
    by_seed = [outcomes[Unit("tiny", "trees", 1.0, seed)].tasks["click"] for seed in (1, 2)]
    claims_without_a_task_are_of_each_that_both_answer(by_task, by_seed, outcomes[Unit("tiny", "trees", 1.0, 1)])
    gains = [estimates(each, "fused", "auc", 50, 1) - estimates(each, "popularity", "auc", 50, 1) for each in by_seed]
    assert claim["value"] == pytest.approx(np.mean([gain[0] for gain in gains]))
    assert (claim["seeds"], claim["status"]) == (2, "holds") and 0 < claim["low"] < claim["value"] < claim["high"]
    network, trees_said = (outcomes[Unit("tiny", name, 1.0, 1)].tasks["click"] for name in ("mmoe", "trees"))
    losses = [estimates(network, "finetune", "log_loss", 50, 1), estimates(trees_said, "trees", "log_loss", 50, 1)]
    assert other["seeds"] == 1 and other["value"] == pytest.approx(losses[1][0] - losses[0][0])  # less is better
    assert [(row["task"], row["value"]) for row in found["transfer"]] == [("price", by_task[-1]["value"])]
    assert {row["member"] for row in found["without"]} == {"finetune", "trees", "popularity"}
    assert any(row["member"] == "finetune" and row["parameters"] > 1000 and row["seconds"] > 0 for row in found["cost"])
    assert len(found["missing"]) == 12 - len(outcomes)

    page = render({"tiny": found})
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "") and page.count("<svg") >= 5
    assert "Negative transfer" in page and "7 units were not run" in page
    text = document("tiny", found)
    assert "7 units were not run**, of bare, mmoe-alone-click, " in text
    assert f"| trees over trees/popularity | click | AUC | {claim['value']:+.4f}" in text
    _pages_and_docs(tmp_path / "checkout", found, text, monkeypatch)


def _pages_and_docs(checkout: Path, found: dict, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running a study writes no page of docs/; asked to, it writes its own and keeps those it has no results for."""
    from triad.ablations import commands

    shipped = checkout / "docs" / "results" / "studies"
    for folder in (checkout / "ablations" / "results", shipped):
        folder.mkdir(parents=True)
    (checkout / "ablations" / "dvc.yaml").write_text("stages: {}")
    (checkout / "ablations" / "results" / "tiny.json").write_text(json.dumps(found))
    (shipped / "elsewhere.md").write_text("measured on another machine")

    def ask(*arguments: str) -> Result:
        monkeypatch.chdir(checkout)
        return CliRunner().invoke(commands.ablations, arguments)

    assert ask("page").exit_code == 0
    assert (checkout / "ablations" / "page" / "tiny.md").read_text() == text
    assert [path.name for path in shipped.iterdir()] == ["elsewhere.md"]
    assert isinstance(refused := ask("docs", "elsewhere").exception, TriadError) and "has no results" in str(refused)
    assert ask("docs").exit_code == 0
    assert (shipped / "tiny.md").read_text() == text
    assert (shipped / "elsewhere.md").read_text() == "measured on another machine"


def test_the_curves_show_every_variant_that_has_all_seeds_and_its_differences() -> None:
    def row(variant: str, share: float, seeds: int, value: float) -> dict:
        found = {"variant": variant, "share": share, "task": "click", "metric": "auc", "model": "fused", "value": value}
        return found | {"low": value - 0.01, "high": value + 0.01, "seeds": seeds, "spread": None, "p_holm": 0.5}

    names = [f"way{n}" for n in range(11)]
    figures = [row(name, share, 5, 0.7 + share / 10) for name in names for share in (0.25, 1.0)]
    figures.append(row("hurried", 0.25, 1, 0.99))
    found = dict.fromkeys(("claims", "transfer", "diagnoses", "without", "diversity", "cost", "history", "missing"), ())
    found |= {"about": "?", "reference": "way0", "confidence": 0.95, "seeds": [1, 2, 3, 4, 5]}
    found |= {"lineage": {"date": "2026-01-01", "commit": "abc", "data": "123"}, "figures": figures, "curve": figures}
    found["against_reference"] = [each | {"status": "not shown"} for each in figures if each["variant"] != "way0"]
    curve, differences = re.findall(r"<figure.*?</figure>", render({"tiny": found}), re.DOTALL)[1:]
    assert all(f">{name}</text>" in curve for name in names) and "hurried" not in curve
    assert 'class="wide"' in differences and all(f">{name}</text>" in differences for name in [*names[1:], "hurried"])
    assert ">25 %</text>" in differences and ">100 %</text>" in differences
