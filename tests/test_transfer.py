"""Modes of transfer: what may move, when and how fast; a Δφ that saves as part of its trunk; runs that resume."""

from pathlib import Path

import numpy as np
import pytest
from keras import ops
from make_dataset import make_dataset
from make_kill import killed_at
from test_training import PARAMS, RUNTIME, differing

from triad.config.pretrain import TrunkParams
from triad.examples.dataset import Dataset
from triad.members.network import NetworkScorer
from triad.models.batches import Batches
from triad.models.delta import add_delta
from triad.models.multitask import MultiTaskNetwork, multi_task
from triad.models.networks import SequenceNetwork, load_network
from triad.models.trunk import trunk_config
from triad.training import finetuning
from triad.training.feeds import UnitFeed
from triad.training.finetuning import finetune_network
from triad.training.optimizers import Pace
from triad.training.transfer import paces, prepare, sizes

TRUNK = TrunkParams(dim=16, layers=2, max_steps=16)
RANK = 2


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def pretrained(data) -> SequenceNetwork:
    return SequenceNetwork(trunk_config(data, TRUNK))


def dials(mode: str, **changes):
    return PARAMS.finetune.model_copy(update={"transfer": mode, "delta_rank": RANK, "learning_rate": 0.01, **changes})


def network_of(data: Dataset, mode: str) -> MultiTaskNetwork:
    return multi_task(data, trunk_config(data, TRUNK), dials(mode), PARAMS.tasks)


def run(data: Dataset, pretrained: SequenceNetwork | None, mode: str, folder: Path | None = None, **changes):
    return finetune_network(
        data, PARAMS.tasks, dials(mode, **changes), RUNTIME, trunk=TRUNK, pretrained=pretrained, folder=folder
    )[0]


def trunk_of(network) -> dict[str, np.ndarray]:
    """θ by path; Keras numbers layers without a name by how many it has made."""
    theta = [w for w in network.trunk.weights if "lora_" not in w.path]
    return {f"{place} {w.path}": ops.convert_to_numpy(w) for place, w in enumerate(theta)}


def moved(network, before: dict[str, np.ndarray]) -> set[str]:
    after = trunk_of(network).items()
    return {path for (path, value), was in zip(after, before.values(), strict=True) if not np.array_equal(value, was)}


# --- what may move


def test_paces_by_hand(data) -> None:
    def read(mode: str) -> dict[str, Pace]:
        network = network_of(data, mode)
        pace = paces(network.trunk, dials(mode, trunk_rate=0.1, layer_rate=0.5))
        assert pace(network.units["exposures"].body.gate) == Pace(1.0, 0)
        return {weight.path.removeprefix("trunk/"): pace(weight) for weight in network.trunk.trainable_variables}

    assert set(read("full").values()) == {Pace(0.1, 0)}
    assert set(read("frozen").values()) == {Pace(0.0, 0)}
    gradual = read("gradual")
    embedded = {at for path, at in gradual.items() if "block" not in path and "normalization" not in path}
    tops = {at for path, at in gradual.items() if "block_1" in path or path.startswith("history/layer_normalization")}
    below = {at for path, at in gradual.items() if "block_0" in path}
    assert (tops, below, embedded) == ({Pace(0.5, 1)}, {Pace(0.25, 2)}, {Pace(0.125, 3)})
    network = network_of(data, "delta")
    prepare(network.trunk, dials("delta"))
    assert {paces(network.trunk, dials("delta"))(w) for w in network.trunk.trainable_variables} == {Pace(1.0, 0)}
    scratch = paces(network.trunk, None)
    assert scratch(network.trunk.history.kind.weight) == Pace(), "a trunk that has learned nothing learns like all else"


@pytest.mark.parametrize("mode", ["frozen", "delta"])
def test_theta_stays_as_it_was(data, pretrained, mode: str) -> None:
    before = trunk_of(pretrained)
    ranker = run(data, pretrained, mode)
    assert moved(ranker.network, before) == set()
    assert np.abs(ranker.network.units["exposures"].outputs_of[0].get_weights()[0]).max() > 0, "the heads have learned"


@pytest.mark.proof
def test_a_layer_is_unfrozen_an_epoch_after_the_one_above(data, pretrained, monkeypatch) -> None:
    before, made, found = trunk_of(pretrained), [], []
    monkeypatch.setattr(finetuning, "multi_task", lambda *args: made.append(multi_task(*args)) or made[-1])
    gradual = dials("gradual", max_epochs=4, body="shared_bottom", tasks=("click",))
    finetune_network(
        data,
        PARAMS.tasks,
        gradual,
        RUNTIME,
        trunk=TRUNK,
        pretrained=pretrained,
        on_epoch=lambda _: found.append(moved(made[-1], before)),
    )
    assert found[0] == set()
    assert {_part(path) for path in found[1]} == {"block_1", "norm"}
    assert {_part(path) for path in found[2]} == {"block_1", "norm", "block_0"}
    assert any("/tower/" in path for path in found[3])


def _part(path: str) -> str:
    part = path.split("/")[2]
    return "norm" if part.startswith("layer_normalization") else part


# --- Δφ


def test_a_delta_is_nothing_at_first_and_counts_few(data) -> None:
    network = network_of(data, "delta")
    plain = {w.path for w in network.trunk.weights}
    whole = sizes(network.trunk, None)
    seen = data.exposures
    batches = Batches(
        data, seen.user, seen.history, seen.item, max_steps=16, slots=64, columns={"context": seen.context}
    )
    _, batch = next(batches())
    states, items = network.trunk(batch)
    add_delta(network.trunk, RANK)
    again, items_again = network.trunk(batch)
    np.testing.assert_array_equal(states, again)
    np.testing.assert_array_equal(items, items_again)
    # by hand: two blocks of query, key, value and output (16, 2, 8) or (2, 8, 16), 16 → 64 → 16, and the tables that
    # have more than RANK · (rows + 16) numbers
    attend = 3 * (16 * 2 * RANK + RANK * 8) + (2 * 8 * RANK + RANK * 16)
    dense = 2 * RANK * (16 + 64)
    rows = [table.rows for table in _tables(network.trunk) if RANK * (table.rows + 16) < 16 * table.rows]
    expected = 2 * (attend + dense) + sum(RANK * (count + 16) for count in rows)
    found = sizes(network.trunk, dials("delta"))
    assert found == {"trunk_parameters": whole["trunk_parameters"], "trunk_parameters_learned": expected}
    assert whole["trunk_parameters_learned"] == whole["trunk_parameters"] > expected
    learning = {w.path for w in network.trunk.trainable_variables}
    assert not learning & plain and all("lora_" in path for path in learning)


def _tables(trunk):
    item, history = trunk.tower.inputs, trunk.history
    names = [*item["ids"].tables.values(), item["words"].table, *trunk.user.tables.values()]
    return [*names, history.kind, history.gap, history.place]


def test_what_serves_is_w_plus_delta(data, pretrained, tmp_path) -> None:
    ranker = run(data, pretrained, "delta")
    ranker.save(tmp_path)
    served = NetworkScorer.load(tmp_path)
    assert not [w.path for w in served.network.weights if "lora_" in w.path], "a plain network again"
    rows = data.rows("test")
    expected, found = ranker.predict(data, rows), served.predict(data, rows)
    for task in expected:
        np.testing.assert_allclose(found[task], expected[task], atol=1e-6)
    table, merged = (
        ranker.network.trunk.tower.inputs["ids"].tables["item"],
        served.network.trunk.tower.inputs["ids"].tables["item"],
    )
    left, right = (ops.convert_to_numpy(factor) for factor in table.delta)
    theta = ops.convert_to_numpy(pretrained.trunk.tower.inputs["ids"].tables["item"].weight)
    np.testing.assert_allclose(ops.convert_to_numpy(merged.weight), theta + left @ right, atol=1e-6)
    assert np.linalg.matrix_rank(left @ right) == RANK
    query = served.network.trunk.history.blocks[0].attend.query_dense.get_weights()[0]
    assert np.abs(query - pretrained.trunk.history.blocks[0].attend.query_dense.get_weights()[0]).max() > 1e-4
    unseen = np.setdiff1d(np.arange(table.rows), data.items.vocabulary_row)
    assert len(unseen) and not left[unseen].any(), "a row that no example names stays"
    load_network(tmp_path / "network.keras").save(tmp_path / "again.keras")
    assert not differing(served, NetworkScorer(load_network(tmp_path / "again.keras")))


# --- the same again


@pytest.mark.parametrize("mode", ["gradual", "delta"])  # those that add to what a checkpoint holds
@pytest.mark.proof
def test_an_interrupted_run_ends_like_an_undisturbed_one(data, pretrained, mode: str, tmp_path, monkeypatch) -> None:
    changes = {"max_epochs": 3, "body": "shared_bottom", "tasks": ("click",)}
    with killed_at(epoch=2, step=3):
        whole = run(data, pretrained, mode, tmp_path / "checkpoint", **changes)
    steps, build = [], UnitFeed.build
    monkeypatch.setattr(UnitFeed, "build", lambda self, *at: steps.append(at[1:]) or build(self, *at))
    resumed = run(data, pretrained, mode, tmp_path / "checkpoint", **changes)
    assert steps[0] == (2, 3), "resumed in mid-epoch, from the checkpoint"
    assert not differing(whole, resumed)
