"""One network of several units: exposures, and notes in a file of their own. Both learn, and share the words."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from make_dataset import make_dataset
from make_kill import killed_at
from test_training import PARAMS, RUNTIME, differing

import triad.examples
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.examples import UNITS
from triad.examples.dataset import Dataset
from triad.members.network import NetworkScorer
from triad.models.heads import WEIGHTINGS
from triad.models.multitask import MultiTaskNetwork, multi_task, multi_task_config
from triad.models.trunk import trunk_config
from triad.models.warm_start import InitialModel
from triad.models.warm_start_heads import rescaled, warm_start_multitask
from triad.training.apart import finetune_units, groups
from triad.training.diagnostics import cosines, gradient_grams
from triad.training.feeds import UnitFeed
from triad.training.finetuning import finetune_network
from triad.training.gradients import measure, over_trunk
from triad.training.loop import make_step
from triad.training.optimizers import Pace, Schedule, grouped
from triad.training.sourcing import clusters, validation_rows

UNIT = """
from dataclasses import dataclass
from triad.arrays import Floats, Ints
from triad.examples.base import Unit

@dataclass(frozen=True)
class Notes:
    tokens: Ints
    split: Ints
    labels: Floats

class _Unit(Unit):
    name, arrays, key, always, tables = "notes", Notes, None, False, ()
    inputs = ("words",)

    def values(self, session, column):
        return ()

    def make(self, source):
        raise NotImplementedError

UNIT = _Unit()
"""
TASKS = {"click": PARAMS.tasks["click"], "complaint": TaskParams(kind="binary", label="column", column="complaint")}
DIALS = {"body": "shared_bottom", "batch_exposures": 64, "max_epochs": 4, "learning_rate": 0.02, "tasks": tuple(TASKS)}


@pytest.fixture(scope="module", autouse=True)
def notes(tmp_path_factory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("units")
    (folder / "notes.py").write_text(UNIT)
    triad.examples.__path__.append(str(folder))
    UNITS.reload()
    yield
    triad.examples.__path__.remove(str(folder))
    UNITS.reload()


@pytest.fixture(scope="module")
def data(notes) -> Dataset:
    """Messages of six words; one that holds the word in row 2 complains. A tenth has no label."""
    plain, random = make_dataset(), np.random.default_rng(0)
    tokens = random.integers(3, plain.meta.vocabulary_rows["token"], (1200, 6)).astype(np.int32)
    complains = random.random(1200) < 0.4
    tokens[complains, random.integers(0, 6, 1200)[complains]] = 2
    tokens[:, 5] *= random.random(1200) < 0.5  # some are shorter
    complains = (tokens == 2).any(axis=1)
    labels = np.where(random.random(1200) < 0.1, np.nan, complains).astype(np.float32)[:, None]
    rows = UNITS["notes"].arrays(tokens, random.choice(4, 1200, p=[0.55, 0.15, 0.15, 0.15]), labels)
    meta = {**vars(plain.meta), "tasks": {**plain.meta.tasks, "notes": ("complaint",)}}
    return plain.replaced(notes=rows, meta=type(plain.meta)(**meta))


def dials(**changes):
    return PARAMS.finetune.model_copy(update={**DIALS, **changes})


def known_tasks() -> dict[str, TaskParams]:
    return {**PARAMS.tasks, **TASKS}


def network_of(data: Dataset, **changes) -> MultiTaskNetwork:
    return multi_task(data, trunk_config(data, PARAMS.pretrain.trunk), dials(**changes), known_tasks())


def fitted(data: Dataset, folder: Path | None = None, **changes):
    trunk = PARAMS.pretrain.trunk
    return finetune_network(data, known_tasks(), dials(**changes), RUNTIME, trunk=trunk, folder=folder)


@pytest.fixture(scope="module")
def shared(data, tmp_path_factory):
    """The network, its history, and the folder of a checkpoint as a kill in mid-epoch leaves it."""
    folder = tmp_path_factory.mktemp("run") / "checkpoint"
    with killed_at(epoch=1, step=6):
        ranker, history = fitted(data, folder)
    return ranker, history, folder


def batches_of(data: Dataset, network: MultiTaskNetwork) -> dict[str, dict]:
    """A training batch of each unit."""
    feed = UnitFeed(
        data, dials(), network.trunk.max_steps, {unit: heads.tasks for unit, heads in network.units.items()}
    )
    plan = {planned[0]: planned for planned in feed.plan(0)}
    return {unit: feed.build(planned, 0, 0)[1] for unit, planned in plan.items()}


def test_an_epoch_deals_each_row_once_in_a_seeded_order(data) -> None:
    tasks = {"exposures": ("click",), "notes": ("complaint",)}
    feed = UnitFeed(data, dials(), 16, tasks)
    plan, again, other = feed.plan(1), UnitFeed(data, dials(), 16, tasks).plan(1), feed.plan(2)
    assert [unit for unit, _ in plan] == [unit for unit, _ in again] != [unit for unit, _ in other]
    for unit in tasks:
        rows = np.concatenate([parts[-1] for name, parts in plan if name == unit])
        assert np.array_equal(np.sort(rows), np.arange(len(data.rows("train", unit))))
    units = [unit for unit, _ in plan]
    places = np.flatnonzero(np.array(units) == "notes")
    assert 0 < len(places) < len(units) and np.diff(places).max() > 1, "they take turns"
    assert feed.examples == len(data.rows("train")) + len(data.rows("train", "notes"))


def test_both_tasks_learn_and_score_their_own_rows(data, shared) -> None:
    ranker, history, _ = shared
    for name, task in ranker.network.tasks.items():
        assert history[-1][f"validation_{name}"] < task["naive"], name
        assert history[-1][f"train_{name}"] < history[0][f"train_{name}"], "its mean is over batches of its own"
    rows = data.rows("test", "notes")
    chance = ranker.predict(data, rows, unit="notes")["complaint"]
    complains = (data.units["notes"].tokens[rows] == 2).any(axis=1)
    assert chance[complains].min() > chance[~complains].max() - 0.3 and chance[complains].mean() > 0.8
    assert set(ranker.predict(data, data.rows("test"))) == {"click"}


def test_the_words_hear_both_units_and_a_unit_leaves_the_others_heads(data) -> None:
    network = network_of(data)
    for heads in network.units.values():  # at zero the last layers pass nothing on
        heads.outputs_of[0].kernel.assign(np.ones(heads.outputs_of[0].kernel.shape))
    token = network.trunk.tower.inputs["words"].table.weight
    sizes = [int(np.prod(each.shape)) for each in network.trunk.trainable_variables]
    place = [each is token for each in network.trunk.trainable_variables].index(True)
    span = slice(sum(sizes[:place]), sum(sizes[: place + 1]))
    for unit, batch in batches_of(data, network).items():
        gradient = over_trunk(network, batch).numpy()[:, span]
        assert np.abs(gradient).max() > 0, f"{unit} teaches the words"
    optimizers = grouped(network.trainable_variables, Schedule(0.01, 0.01, 1, 1, 100), 4, lambda _: Pace())
    before = network.units["exposures"].get_weights()
    weighting = network.units["notes"].weighting
    step = make_step(lambda batch: (weighting.total(*_loss(network, batch)), {}), optimizers, xla=False)
    step(batches_of(data, network)["notes"])
    for ours, theirs in zip(before, network.units["exposures"].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def _loss(network: MultiTaskNetwork, batch):
    measured = measure(network, batch)
    return measured.loss, measured.count, measured.gram


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_what_a_weighting_remembers_of_a_unit_stays_while_the_other_learns(data, name: str) -> None:
    network = network_of(data, weighting=name, tasks=("click", "profile", "complaint"))
    assert list(network.weights_of_tasks()) == ["click", "profile", "complaint"]
    kept = network.units["exposures"].weighting.get_weights()
    batch = batches_of(data, network)["notes"]
    weighting = network.of(batch)[0].weighting
    measured = measure(network, batch, with_gram=weighting.uses_gradients)
    assert np.isfinite(float(weighting.total(measured.loss, measured.count, measured.gram)))
    weighting.after_step(measured.loss, measured.count)
    for ours, theirs in zip(kept, network.units["exposures"].weighting.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_epochs_losses_of_all_units_are_weighed_together(data) -> None:
    network = network_of(data, weighting="dwa")
    for losses in ([1.0, 1.0], [0.5, 1.0]):
        for heads, loss in zip(network.units.values(), losses, strict=True):
            heads.weighting.total(np.float32([loss]), np.float32([10]))
        network.after_epoch()
    scale = [float(heads.weighting.scale[0]) for heads in network.units.values()]
    pace = np.exp(np.array([0.5, 1.0]) / 2)
    np.testing.assert_allclose(scale, 2 * pace / pace.sum(), rtol=1e-6)


def test_tasks_of_two_units_have_a_cosine(data, shared) -> None:
    network = shared[0].network
    rows = {unit: data.rows("validation", unit)[:200] for unit in network.units}
    cosine = cosines(gradient_grams(network, data, rows, slots=128))["cosine"]
    assert cosine.shape == (2, 2) and np.isfinite(cosine).all() and 0 < abs(cosine[0, 1]) < 1


@pytest.mark.proof
def test_a_run_killed_in_mid_epoch_ends_like_an_undisturbed_one(data, shared, monkeypatch) -> None:
    whole, _, folder = shared
    steps, build = [], UnitFeed.build
    monkeypatch.setattr(UnitFeed, "build", lambda self, *at: steps.append(at[1:]) or build(self, *at))
    resumed, _ = fitted(data, folder)
    assert steps[0] == (1, 6) and not differing(whole, resumed)


def test_what_is_saved_scores_alike_and_another_night_starts_from_it(data, shared, tmp_path) -> None:
    ranker = shared[0]
    ranker.save(tmp_path)
    again = NetworkScorer.load(tmp_path)
    origins = {name: np.arange(count) for name, count in data.meta.vocabulary_rows.items()}
    initial = InitialModel(again.network, origins)
    config = multi_task_config(data, trunk_config(data, PARAMS.pretrain.trunk), dials(), known_tasks())
    fresh = MultiTaskNetwork(**rescaled(config, initial))
    assert warm_start_multitask(fresh, initial) == []
    started = NetworkScorer(fresh)
    for unit, names in ranker.units.items():
        rows = data.rows("test", unit)
        scores = ranker.predict(data, rows, unit=unit)
        assert tuple(scores) == names
        for name, expected in scores.items():
            np.testing.assert_array_equal(again.predict(data, rows, unit=unit)[name], expected)
            np.testing.assert_allclose(started.predict(data, rows, unit=unit)[name], expected, atol=1e-5)
    assert len(validation_rows(ranker, data)) == len(clusters(ranker, data))


def test_without_a_task_to_learn_the_error_says_so() -> None:
    data = make_dataset()
    lists_alone = replace(data, meta=replace(data.meta, tasks={"exposures": []}))
    for each, params in ((lists_alone, PARAMS.finetune), (data, PARAMS.finetune.model_copy(update={"tasks": ()}))):
        with pytest.raises(TriadError, match="no task is there to learn: a ranking has no rows of its own"):
            finetune_units(each, known_tasks(), params, RUNTIME, trunk=PARAMS.pretrain.trunk)


@pytest.mark.proof
def test_a_unit_may_have_a_network_of_its_own(data, tmp_path) -> None:
    alone = dials(apart=("notes",), max_epochs=1)
    ranker, histories = finetune_units(data, known_tasks(), alone, RUNTIME, trunk=PARAMS.pretrain.trunk)
    assert list(ranker.network.units) == ["exposures"] and list(ranker.apart["notes"].units) == ["notes"]
    assert list(histories) == ["", "notes"] and "validation_complaint" in histories["notes"][0]
    ranker.save(tmp_path)
    again = NetworkScorer.load(tmp_path)
    assert again.units == ranker.units == {"exposures": ("click",), "notes": ("complaint",)}
    for unit in again.units:
        rows = data.rows("test", unit)
        for name, scores in ranker.predict(data, rows, unit=unit).items():
            np.testing.assert_array_equal(again.predict(data, rows, unit=unit)[name], scores)
    assert groups(["a", "b"], ["a", "b"]) == [("a",), ("b",)], "the first is the member's own"
    with pytest.raises(TriadError, match=r"finetune\.apart: \['mesages'\] are not among"):
        groups(["exposures", "notes"], ["mesages"])
