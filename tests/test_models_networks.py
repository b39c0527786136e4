"""The networks whole: shapes, causality, padding, cold start, saving and loading, members."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from keras import ops
from make_dataset import make_dataset
from pickles import pickles

from triad.config.finetune import FinetuneParams
from triad.config.pretrain import TrunkParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.members import sequence as of_states
from triad.members.network import NetworkScorer
from triad.members.sequence import Sequence
from triad.models import batches, scoring
from triad.models.batches import Batches
from triad.models.multitask import DIALS, MultiTaskNetwork, multi_task
from triad.models.networks import SequenceNetwork, load_network
from triad.models.trunk import trunk_config

TRUNK = TrunkParams(dim=8, layers=2, heads=2, max_steps=8, dropout=0.3)
TASKS = {
    "click": TaskParams(kind="binary", label="clicked"),
    "conversion": TaskParams(kind="binary", label="purchased", given="click"),
    "profile": TaskParams(kind="multiclass", label="user_attribute", column="segment"),
    "price": TaskParams(kind="regression", label="price_move"),
}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def sequence(data) -> Sequence:
    return Sequence(SequenceNetwork(trunk_config(data, TRUNK)))


def shaken(network: MultiTaskNetwork) -> MultiTaskNetwork:
    """Output layers start at zero, which would hide every difference."""
    random = np.random.default_rng(0)
    network.set_weights([w + random.normal(0, 0.1, w.shape).astype(w.dtype) for w in network.get_weights()])
    return network


@pytest.fixture(scope="module", params=["mmoe", "stem"])
def ranker(data, request) -> NetworkScorer:
    params = FinetuneParams(body=request.param, experts=2, expert_dim=8, head_dim=4, counterfactual="dr")
    return NetworkScorer(shaken(multi_task(data, trunk_config(data, TRUNK), params, TASKS)))


def with_changed_future(data: Dataset, user: int, history: int) -> Dataset:
    """`data` where everything a user does from interaction `history` on is something else."""
    start, stop = data.streams.offsets[user] + history, data.streams.offsets[user + 1]
    item, kind, time = (np.array(getattr(data.streams, name)) for name in ("item", "kind", "time"))
    item[start:stop] = (item[start:stop] + 7) % len(data.items.item_id)
    kind[start:stop] = 4 - kind[start:stop]
    time[start:stop] += 12_345_678
    return replace(data, streams=replace(data.streams, item=item, kind=kind, time=time))


def test_weight_shapes(data, sequence) -> None:
    shapes = {weight.path: tuple(weight.shape) for weight in sequence.network.trainable_variables}
    rows = data.meta.vocabulary_rows
    assert shapes["trunk/tower/ids/item/weight"] == (rows["item"], 8)
    assert shapes["trunk/user/country/weight"] == (rows["country"] + 1, 8)
    assert shapes["trunk/history/place/weight"] == (TRUNK.max_steps + 2, 8)
    assert not any(len(data.items.item_id) in shape for shape in shapes.values()), "the catalogue must be no weight"


@pytest.mark.parametrize("history", [0, 3, 8, 9, 15])
def test_a_state_sees_nothing_later(data, sequence, history: int) -> None:
    user = int(np.argmax(np.diff(data.streams.offsets)))
    assert np.diff(data.streams.offsets)[user] > 20
    ask = (np.array([user, user]), np.array([history, history + 2]))
    before, after = sequence.states(data, *ask), sequence.states(with_changed_future(data, user, history), *ask)
    np.testing.assert_array_equal(before[0], after[0])
    assert np.abs(before[1] - after[1]).max() > 1e-3, "what lies between must matter to the later state"


def test_the_start_state_is_the_users_attributes(data, sequence) -> None:
    users = np.arange(12)
    states = sequence.states(data, users, np.zeros(12, int))
    attributes = data.users.attributes[:12]
    same = (attributes[:, None] == attributes[None]).all(axis=2)
    np.testing.assert_array_equal(np.abs(states[:, None] - states[None]).max(axis=2) < 1e-6, same)


def test_rank_is_a_distribution_over_the_catalogue(data, sequence) -> None:
    queries = data.lists
    chances = sequence.rank(data, queries.user[:50], queries.history[:50])
    assert chances.shape == (50, len(data.items.item_id)) and (chances > 0).all()
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    alone = sequence.rank(data, queries.user[7:8], queries.history[7:8])
    np.testing.assert_allclose(alone[0], chances[7], rtol=1e-4)
    assert sequence.rank(data, queries.user[:0], queries.history[:0]).shape == (0, 40)


def test_new_items_are_served_by_the_weights_there_are(data, sequence) -> None:
    more = {name: np.concatenate([value, value[:1]]) for name, value in vars(data.items).items()}
    more["vocabulary_row"][-1] = 2  # a shared row
    larger = replace(data, items=replace(data.items, **more))
    assert sequence.rank(larger, np.array([0]), np.array([1])).shape == (1, 41)


def test_scores_are_what_the_contract_says(data, ranker) -> None:
    rows = data.rows("test")[::-1]
    scores = ranker.predict(data, rows)
    assert tuple(scores) == ranker.tasks == data.meta.tasks["exposures"]
    assert scores["profile"].shape == (len(rows), 3) and scores["price"].shape == (len(rows),)
    np.testing.assert_allclose(scores["profile"].sum(axis=1), 1, rtol=1e-5)
    assert (scores["conversion"] < scores["click"]).all(), "the entire space: no purchase without its click"
    some = ranker.predict(data, rows[5:9])
    for name, values in some.items():
        np.testing.assert_allclose(values, scores[name][5:9], rtol=1e-4, atol=1e-6)
    assert {name: len(values) for name, values in ranker.predict(data, rows[:0]).items()} == dict.fromkeys(scores, 0)


def test_many_rows_are_read_in_batches_no_longer_than_their_streams(data, sequence, ranker, monkeypatch) -> None:
    users = np.arange(len(data.users.user_id))
    lengths, rows = np.minimum(np.diff(data.streams.offsets), users % 9), np.arange(len(data.exposures.user))
    whole = sequence.states(data, users, lengths), ranker.predict(data, rows)
    read = []
    build = Batches.build
    monkeypatch.setattr(Batches, "build", lambda *given: read.append(batch := build(*given)) or batch)
    monkeypatch.setattr(batches, "WHOLE", 2)
    for module in (scoring, of_states):
        monkeypatch.setattr(module, "MANY", 4)
    states, scores = sequence.states(data, users, lengths), ranker.predict(data, rows)
    steps = [batch["kind"].shape[1] for batch in read]
    assert min(steps) < max(steps) <= sequence.network.trunk.max_steps
    np.testing.assert_allclose(states, whole[0], atol=1e-5)
    for task, values in scores.items():
        np.testing.assert_allclose(values, whole[1][task], rtol=1e-4, atol=1e-6)


def test_an_exposures_score_sees_nothing_later(data, ranker) -> None:
    user = int(np.argmax(np.diff(data.streams.offsets)))
    own = np.flatnonzero(data.exposures.user == user)
    row = own[len(own) // 2]
    changed = with_changed_future(data, user, int(data.exposures.history[row]))
    for name, values in ranker.predict(data, np.array([row])).items():
        np.testing.assert_array_equal(values, ranker.predict(changed, np.array([row]))[name])


def test_unknown_context_reads_as_the_mean(data, ranker) -> None:
    rows = np.arange(6)
    context = np.array(data.exposures.context)
    known = np.broadcast_to(np.array(data.meta.context_mean, np.float32), context.shape)
    scores = [
        ranker.predict(data.replaced(exposures=replace(data.exposures, context=values)), rows)["click"]
        for values in (np.full_like(context, np.nan), known)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_saved_and_loaded_networks_predict_the_same(data, sequence, ranker, tmp_path) -> None:
    ranker.save(tmp_path / "ranker")
    sequence.save(tmp_path / "sequence")
    assert not pickles(tmp_path), "nor a function of Keras"
    rows = data.rows("fusion")
    again = NetworkScorer.load(tmp_path / "ranker")
    assert again.tasks == ranker.tasks and again.network.get_config() == ranker.network.get_config()
    for name, values in ranker.predict(data, rows).items():
        np.testing.assert_array_equal(values, again.predict(data, rows)[name])
    ask = data.lists.user[:9], data.lists.history[:9]
    np.testing.assert_array_equal(sequence.rank(data, *ask), Sequence.load(tmp_path / "sequence").rank(data, *ask))


def test_a_saved_network_does_not_tell_when(ranker, tmp_path) -> None:
    for name in ("one", "other"):
        ranker.save(tmp_path / name)
    saved = tmp_path / "one" / "network.keras"
    assert saved.read_bytes() == (tmp_path / "other" / "network.keras").read_bytes()
    with zipfile.ZipFile(saved) as archive:
        assert {part.date_time for part in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert set(json.loads(archive.read("metadata.json"))) == {"keras_version"}


def test_loading_what_is_no_network_says_so(tmp_path) -> None:
    with pytest.raises(TriadError, match=r"network\.keras: not a saved network"):
        Sequence.load(tmp_path)
    (tmp_path / "network.keras").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(TriadError, match="not a saved network"):
        load_network(tmp_path / "network.keras")


def test_padding_and_missing_labels_change_no_loss(data, ranker) -> None:
    network = ranker.network
    random = np.random.default_rng(0)
    outputs = {name: random.normal(size=(6, 3) if name == "profile" else 6).astype("float32") for name in network.tasks}
    labels = np.array([[1, 0, 2, 0.5], [0, 0, np.nan, np.nan], [1, 1, np.nan, -0.2]] * 2, np.float32)
    mask = np.array([1, 1, 1, 0, 0, 0], np.float32)
    heads = network.units["exposures"]
    mean, count = heads.task_losses({"labels": labels, "mask": mask}, outputs)
    short, _ = heads.task_losses(
        {"labels": labels[:3], "mask": mask[:3]}, {name: value[:3] for name, value in outputs.items()}
    )
    assert {name: float(value) for name, value in count.items()} == {
        "click": 3,
        "conversion": 3,
        "profile": 1,
        "price": 2,
    }
    for name in mean:
        assert float(mean[name]) == pytest.approx(float(short[name])) and np.isfinite(float(mean[name]))
    chance = np.exp(outputs["profile"][0]) / np.exp(outputs["profile"][0]).sum()
    assert float(mean["profile"]) == pytest.approx(-np.log(chance[2]), rel=1e-5)
    task = network.tasks["price"]
    standardised = (labels[[0, 2], 3] - task["mean"]) / task["scale"]
    assert float(mean["price"]) == pytest.approx(np.abs(standardised - outputs["price"][[0, 2]]).mean(), rel=1e-5)


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
def test_the_total_by_hand(data, weighting: str) -> None:
    tasks = {**TASKS, "price": TaskParams(kind="regression", label="price_move", weight=3.0)}
    params = FinetuneParams(weighting=weighting, experts=1, expert_dim=2, head_dim=2)
    network = multi_task(data, trunk_config(data, TRUNK), params, tasks)
    weighting_layer = network.units["exposures"].weighting
    loss, count = np.float32([0.5, 0.1, 1.0, 0.8]), np.float32([9, 9, 0, 4])
    if weighting == "fixed":
        assert float(weighting_layer.total(loss, count)) == pytest.approx(0.5 + 0.1 + 3 * 0.8)
        assert not weighting_layer.trainable_variables
    else:
        weighting_layer.log_scale.assign(np.log(np.array([2.0, 4.0, 1.0, 0.5], np.float32)))
        expected = 0.25 + np.log(2) / 2 + 0.025 + np.log(4) / 2 + 3 * (1.6 + np.log(0.5))
        assert float(weighting_layer.total(loss, count)) == pytest.approx(expected, rel=1e-5)
        assert network.weights_of_tasks() == pytest.approx({"click": 0.5, "conversion": 0.25, "profile": 1, "price": 6})


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_a_match_may_be_heard_before_anything_is_learned(data, start: float) -> None:
    params = FinetuneParams(dot_product_init=start, experts=1, expert_dim=2, head_dim=3)
    network = multi_task(data, trunk_config(data, TRUNK), params, TASKS)
    shared = np.random.default_rng(0).normal(size=(5, 3, TRUNK.dim)).astype("float32")
    found, _ = network.units["exposures"].outputs(shared, {"context": np.ones((5, len(data.meta.context)), np.float32)})
    match = (shared[:, 0] * shared[:, 1]).sum(axis=1) / TRUNK.dim**0.5
    for name, value in found.items():
        expected = start * match if TASKS[name].kind == "binary" else np.zeros(value.shape)
        np.testing.assert_allclose(value, expected, atol=1e-6)


def test_tasks_are_chained_over_the_entire_space(data) -> None:
    tasks = {
        "click": {"kind": "binary", "given": None},
        "cart": {"kind": "binary", "given": "click"},
        "purchase": {"kind": "binary", "given": "cart"},
    }
    filled = {
        name: {"classes": [], "mean": 0.0, "scale": 1.0, "weight": 1.0, "naive": 0.7, **task}
        for name, task in tasks.items()
    }
    context = {"columns": ["position"], "mean": [0.0], "std": [1.0]}
    unit = {"inputs": ["history", "item", "user", "context"], "encoders": {"context": context}, "tasks": filled}
    dials = FinetuneParams(body="shared_bottom", expert_dim=2, head_dim=2, weighting="fixed").model_dump(include=DIALS)
    network = MultiTaskNetwork(trunk=trunk_config(data, TRUNK), units={"exposures": unit}, dials=dials)
    own = {"click": np.float32([0.3]), "cart": np.float32([-0.5]), "purchase": np.float32([1.0])}
    found = network.units["exposures"].entire_space(own)["purchase"]
    chance = np.prod([1 / (1 + np.exp(-value)) for value in own.values()])
    assert float(ops.sigmoid(found)[0]) == pytest.approx(chance, rel=1e-5)


def test_bad_input_is_refused_by_name(data) -> None:
    config, params = trunk_config(data, TRUNK), FinetuneParams()
    with pytest.raises(TriadError, match=r"tasks \['profile', 'price'\] that the parameters lack"):
        multi_task(data, config, params, {name: TASKS[name] for name in ("click", "conversion")})
    labels = np.array(data.exposures.labels)
    labels[data.rows("train"), 2] = np.nan
    with pytest.raises(TriadError, match=r"tasks\.profile: no train row has a label"):
        multi_task(data.replaced(exposures=replace(data.exposures, labels=labels)), config, params, TASKS)
    with pytest.raises(ValueError, match=r"body must be one of .*'mmoe'.*, not 'moe'"):
        MultiTaskNetwork(trunk=config, units={}, dials=params.model_dump(include=DIALS) | {"body": "moe"})
