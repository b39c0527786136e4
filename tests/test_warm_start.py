"""Warm start: tonight's network begins as the champion's function, and a killed run ends like an undisturbed one."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from make_dataset import BUCKETS, DAY, make_dataset
from make_kill import killed_at
from test_training import PARAMS, RUNTIME, params_with

from triad.artifacts import read_json, write_json
from triad.errors import TriadError
from triad.examples.dataset import Dataset, save
from triad.features import vocabulary
from triad.features.vocabulary import Vocabulary
from triad.members.network import NetworkScorer
from triad.members.sequence import Sequence
from triad.models.multitask import MultiTaskNetwork, multi_task_config
from triad.models.networks import SequenceNetwork
from triad.models.trunk import trunk_config
from triad.models.warm_start import InitialModel, warm_start_sequence
from triad.models.warm_start_heads import rescaled, warm_start_multitask
from triad.stages.finetune import finetune
from triad.stages.pretrain import pretrain
from triad.training.feeds import UnitFeed
from triad.training.finetuning import finetune_network
from triad.training.pretraining import pretrain_network
from triad.training.pretraining_feeds import TargetFeed
from triad.training.warm import initial_model

TASKS = dict(PARAMS.tasks)
STAGES = (("pretrain", pretrain, TargetFeed, Sequence), ("finetune", finetune, UnitFeed, NetworkScorer))
WARM = {"init": "champion"}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def night_two(data) -> tuple[Dataset, dict[str, np.ndarray]]:
    """The same examples in other rows, columns, tasks and classes, and where each row was before."""
    rows, known = np.array(data.items.vocabulary_row), data.meta.vocabulary_rows
    shared = np.flatnonzero(rows <= BUCKETS)
    assert len(shared), "an item must get a row of its own tonight"
    origin = {name: np.arange(count) for name, count in known.items()}
    origin["item"] = np.r_[origin["item"], rows[shared]]
    rows[shared] = known["item"] + np.arange(len(shared))
    attributes = np.array(data.users.attributes)
    origin["country"] = np.r_[origin["country"], 0]
    attributes[:7, 0] = known["country"]  # seven users from a country that was not known before
    was = attributes.copy()
    was[:7, 0] = 0

    labels, context = np.array(data.exposures.labels), np.array(data.exposures.context)
    profile = labels[:, data.meta.tasks["exposures"].index("profile")]
    labels[:, data.meta.tasks["exposures"].index("profile")] = np.where(profile >= 1, profile + 1, profile)
    meta = replace(
        data.meta,
        tasks={"exposures": ("price", "cart", "conversion", "click", "profile")},
        classes={"profile": ("bargain", "keen", "loyal", "rare")},
        context=("surface_new", *data.meta.context[::-1]),
        context_mean=(0.0, *np.add(data.meta.context_mean[::-1], 3)),
        context_std=(1.0, *np.multiply(data.meta.context_std[::-1], 2)),
        vocabulary_rows={name: len(rows) for name, rows in origin.items()},
    )
    tonight = data.replaced(
        items=replace(data.items, vocabulary_row=rows),
        users=replace(data.users, attributes=attributes),
        exposures=replace(
            data.exposures,
            labels=labels[:, [3, 0, 1, 0, 2]],
            context=np.c_[np.ones(len(context)), context[:, ::-1]].astype(np.float32),
        ),
        meta=meta,
    )
    return tonight, origin


def before(data: Dataset) -> Dataset:
    """`data` as its champion read it: the seven users' country was unknown."""
    attributes = np.array(data.users.attributes)
    attributes[:7, 0] = 0
    return replace(data, users=replace(data.users, attributes=attributes))


@pytest.fixture(scope="module")
def sequence(data) -> Sequence:
    return pretrain_network(data, PARAMS.pretrain, RUNTIME)[0]


@pytest.fixture(scope="module", params=["mmoe", "shared_bottom", "single_task"])
def ranker(data, request) -> NetworkScorer:
    dials = PARAMS.finetune.model_copy(update={"body": request.param, "max_epochs": 1, "learning_rate": 0.01})
    return finetune_network(data, TASKS, dials, RUNTIME, trunk=PARAMS.pretrain.trunk)[0]


def test_tonights_ranking_begins_as_the_champions(data, night_two, sequence) -> None:
    tonight, origin = night_two
    initial = InitialModel(sequence.network, origin)
    config = initial.rescaled(trunk_config(tonight, PARAMS.pretrain.trunk))
    network = SequenceNetwork(config, PARAMS.pretrain.own_items)
    fresh = len(origin["item"]) - data.meta.vocabulary_rows["item"]
    assert warm_start_sequence(network, initial) == [f"{fresh} rows of item", "1 rows of country"]
    users, history = data.lists.user, data.lists.history
    expected = sequence.logits(before(data), users, history)
    np.testing.assert_allclose(Sequence(network).logits(tonight, users, history), expected, atol=1e-5)


def test_tonights_scores_begin_as_the_champions(data, night_two, ranker) -> None:
    tonight, origin = night_two
    initial = InitialModel(ranker.network, origin)
    tasks = TASKS | {"cart": TASKS["click"]}
    body = ranker.network.get_config()["dials"]["body"]
    dials = PARAMS.finetune.model_copy(update={"body": body})
    fresh = multi_task_config(tonight, initial.rescaled(trunk_config(tonight, PARAMS.pretrain.trunk)), dials, tasks)
    network = MultiTaskNetwork(**rescaled(fresh, initial))
    new = warm_start_multitask(network, initial)
    assert new[2:] == ["context surface_new", "task cart", "class profile=keen"]
    rows = data.rows("test")
    expected, found = ranker.predict(before(data), rows), NetworkScorer(network).predict(tonight, rows)
    for task in ("click", "conversion", "price"):
        np.testing.assert_allclose(found[task], expected[task], atol=1e-5)
        assert expected[task].std() > 1e-3, "a constant would show nothing"
    kept = found["profile"][:, [0, 2, 3]]
    np.testing.assert_allclose(kept / kept.sum(axis=1, keepdims=True), expected["profile"], atol=1e-5)
    np.testing.assert_allclose(found["cart"], 0.5)  # a new task begins knowing nothing, and weighs as in a new network
    weights, theirs = network.weights_of_tasks(), ranker.network.weights_of_tasks()
    assert weights["cart"] == pytest.approx(MultiTaskNetwork(**fresh).weights_of_tasks()["cart"])
    assert {name: weights[name] for name in theirs} == pytest.approx(theirs)


def test_other_sizes_are_refused_by_name(data, sequence, ranker) -> None:
    origin = {name: np.arange(count) for name, count in data.meta.vocabulary_rows.items()}
    wider = params_with(pretrain={"trunk": {"dim": 32, "layers": 1, "max_steps": 16}}).pretrain
    with pytest.raises(TriadError, match=r"pretrain\.trunk\.dim: is 32, but the network to start from .* 16"):
        pretrain_network(data, wider, RUNTIME, None, InitialModel(sequence.network, origin))
    deeper = PARAMS.finetune.model_copy(update={"head_dim": 8, "body": ranker.network.get_config()["dials"]["body"]})
    initial = InitialModel(ranker.network, origin)
    with pytest.raises(TriadError, match=r"finetune\.head_dim: is 8, but"):
        finetune_network(data, TASKS, deeper, RUNTIME, trunk=PARAMS.pretrain.trunk, initial=initial)


@pytest.mark.parametrize("body", ["ple", "aitm", "stem"])
def test_bodies_that_know_their_tasks_carry_columns_or_refuse(data, night_two, body: str) -> None:
    dials = PARAMS.finetune.model_copy(update={"body": body})
    initial = MultiTaskNetwork(**multi_task_config(data, trunk_config(data, PARAMS.pretrain.trunk), dials, TASKS))
    random = np.random.default_rng(0)
    initial.set_weights([w + random.normal(0, 0.1, w.shape).astype(w.dtype) for w in initial.get_weights()])
    context = np.array(data.exposures.context)[:, ::-1]
    mirrored = {name: getattr(data.meta, name)[::-1] for name in ("context", "context_mean", "context_std")}
    tonight = data.replaced(exposures=replace(data.exposures, context=context), meta=replace(data.meta, **mirrored))
    origin = {name: np.arange(count) for name, count in data.meta.vocabulary_rows.items()}

    def carried(tonight: Dataset, origin: dict, tasks: dict) -> MultiTaskNetwork:
        known = InitialModel(initial, origin)
        fresh = multi_task_config(tonight, known.rescaled(trunk_config(tonight, PARAMS.pretrain.trunk)), dials, tasks)
        network = MultiTaskNetwork(**rescaled(fresh, known))
        warm_start_multitask(network, known)
        return network

    if body != "stem":
        found = NetworkScorer(carried(tonight, origin, TASKS)).predict(tonight, data.rows("test"))
        for task, expected in NetworkScorer(initial).predict(data, data.rows("test")).items():
            np.testing.assert_allclose(found[task], expected, atol=1e-5)
    with pytest.raises(TriadError, match=rf"finetune\.body: {body} cannot start from a network with"):
        carried(*night_two, TASKS | {"cart": TASKS["click"]})


def vocabularies(data: Dataset) -> dict[str, Vocabulary]:
    """Vocabularies with the rows that `data` has."""
    own = np.argsort(data.items.vocabulary_row)[(data.items.vocabulary_row <= BUCKETS).sum() :]
    found = {"item": Vocabulary(tuple(data.items.item_id[own].tolist()), BUCKETS)}
    for name, rows in data.meta.vocabulary_rows.items():
        found.setdefault(name, Vocabulary(tuple(f"{name}{n}" for n in range(rows - 1)), 0))
    return found


def lay_out(data: Dataset, networks: dict[str, Sequence | NetworkScorer]) -> None:
    """`artifacts/features` of tonight; and last night's `networks` and features as those of version 5."""
    artifacts = Path("artifacts")
    save(data, artifacts / "features")
    vocabulary.save(vocabularies(data), artifacts / "features" / "state" / "vocabularies")
    champion = artifacts / "champion"
    write_json(champion / "champion.json", {"version": 5})
    vocabulary.save(vocabularies(data), champion / "state" / "vocabularies")
    write_json(
        champion / "state" / "state.json", {"meta": {f.name: getattr(data.meta, f.name) for f in fields(data.meta)}}
    )
    for stage, member in networks.items():
        member.save(champion / stage)


# Elsewhere resumed runs are held to every bit; here last bits twice differed, for a cause that was not found. Kernels
# that add in another order throughout move these answers by 2e-7; seeds alone that were not restored, by 1e-4.
CLOSE = 5e-6


def answers(member: Sequence | NetworkScorer, data: Dataset) -> dict[str, np.ndarray]:
    if isinstance(member, Sequence):
        return {"next": member.logits(data, data.lists.user, data.lists.history)}
    return dict(member.predict(data, data.rows("test")))


@pytest.mark.parametrize("ranker", ["shared_bottom"], indirect=True)
@pytest.mark.proof
def test_a_killed_warm_run_ends_like_an_undisturbed_one(data, sequence, ranker, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(data, {"pretrain": sequence, "finetune": ranker})
    dials = {"init": "champion", "warm_epochs": 2}
    warm = params_with(pretrain=dials, finetune={**dials, "body": "shared_bottom", "source_gate": True})
    for stage, run, feed, member in STAGES:
        with killed_at(epoch=1, step=3):
            run(warm)
        whole, build, steps = member.load(Path("artifacts", stage)), feed.build, []

        def counting(self, planned, *at, build=build, steps=steps):
            steps.append(at)
            return build(self, planned, *at)

        monkeypatch.setattr(feed, "build", counting)
        run(warm)
        assert steps[0] == (1, 3), "resumed from the checkpoint of this very start"
        found = answers(member.load(Path("artifacts", stage)), data)
        for task, expected in answers(whole, data).items():
            np.testing.assert_allclose(found[task], expected, rtol=1e-5, atol=CLOSE)
    assert "source_gain" not in read_json(Path("artifacts/finetune/metrics.json")), "the champion is no source task"


@pytest.mark.parametrize("ranker", ["shared_bottom"], indirect=True)
@pytest.mark.proof
def test_another_markets_network_is_a_start(data, sequence, ranker, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    theirs = Path("artifacts", "champion", "market")
    lay_out(data, {"pretrain": sequence, "finetune": ranker})
    Path("artifacts", "champion").rename("theirs")
    Path("artifacts", "champion").mkdir()
    Path("theirs").rename(theirs)
    write_json(theirs / "champion.json", {"version": 5, "market": "elsewhere", "apart": ["item"]})
    write_json(Path("artifacts", "champion", "champion.json"), {"version": None})
    dials = {"init": "market", "warm_epochs": 1, "max_epochs": 2}
    given = params_with(
        pretrain=dials, finetune={**dials, "body": "shared_bottom"}, champion={"market": {"model": "elsewhere"}}
    )
    known = vocabularies(data)
    own = len(known["item"].ids)
    found = initial_model("market", "finetune", Path("artifacts"), data)
    assert (found.rows["item"][-own:] <= BUCKETS).all(), "no item there is one of ours"
    fresh = found.start(SequenceNetwork(trunk_config(data, PARAMS.pretrain.trunk)).trunk)
    assert fresh == [f"{own} rows of item"]
    assert found.rows["country"].tolist() == list(range(known["country"].rows)), "countries are"
    for stage, run, _, member in STAGES:
        run(given)
        assert len(Path("artifacts", stage, "history.csv").read_text().splitlines()) == 1 + 2, "as many as from nothing"
        price = member.load(Path("artifacts", stage)).network.trunk.tower.inputs["price"]
        assert price.mean == sequence.network.trunk.tower.inputs["price"].mean
    (theirs / "finetune" / "network.keras").unlink()
    with pytest.raises(TriadError, match=r"champion\.market: elsewhere, version 5: it was fused without .* finetune"):
        finetune(given)


def test_the_first_night_has_no_champion_and_starts_without(data, tmp_path, caplog) -> None:
    write_json(tmp_path / "champion" / "champion.json", {"version": None})
    assert initial_model("champion", "pretrain", tmp_path, data) is None
    assert "no champion yet: pretrain starts without one" in caplog.text


def test_a_champion_that_cannot_be_started_from_is_refused(data, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(data, {})
    with pytest.raises(TriadError, match=r"champion\.version: 5: it was fused without the member pretrain"):
        pretrain(params_with(pretrain=WARM))
    windows = {name: (first - DAY, last - DAY) for name, (first, last) in data.meta.windows.items()}
    save(replace(data, meta=replace(data.meta, windows=windows)), Path("artifacts/features"))
    with pytest.raises(TriadError, match="train days reach to 2026-01-17, but tonight's validation days"):
        finetune(params_with(finetune=WARM))
