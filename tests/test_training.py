"""Training: it learns, it repeats bit for bit, and a killed run ends where an undisturbed one does."""

import csv
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from make_dataset import make_dataset
from make_kill import killed_at

from triad.artifacts import read_json
from triad.config.finetune import FinetuneParams
from triad.config.params import Params, parse
from triad.config.pretrain import PretrainParams
from triad.config.runtime import RuntimeParams
from triad.errors import TriadError
from triad.evaluation.notes import SETTLED, trained
from triad.examples.dataset import Dataset, load, save
from triad.features.dataset import Streams
from triad.members.network import NetworkScorer
from triad.members.sequence import Sequence
from triad.models.naive import naive_losses
from triad.models.networks import SequenceNetwork
from triad.models.trunk import trunk_config
from triad.models.unit_batches import labels_of
from triad.stages.finetune import finetune
from triad.stages.pretrain import pretrain
from triad.training import checkpoints
from triad.training.checkpoints import CHECKPOINTS, fingerprint
from triad.training.feeds import UnitFeed
from triad.training.finetuning import finetune_network
from triad.training.pretraining import item_loss, pretrain_network, ranking
from triad.training.pretraining_feeds import TargetFeed, proposal, targets
from triad.training.runtime import COMPILE_STEPS, Runtime, settle

RUNTIME = settle(RuntimeParams(device="cpu"), seed=1)  # here, because TensorFlow takes it before its first use only

VALUES = {
    "ingest": {"as_of": "2026-01-31", "window_days": 30},
    "features": {"split_days": {"validation": 4, "fusion": 5, "test": 5}},
    "runtime": {"device": "cpu"},
    "tasks": {
        "click": {"kind": "binary", "label": "clicked"},
        "conversion": {"kind": "binary", "label": "purchased", "given": "click"},
        "profile": {"kind": "multiclass", "label": "user_attribute", "column": "segment"},
        "price": {"kind": "regression", "label": "price_move", "horizon_days": 3},
    },
    "pretrain": {
        "trunk": {"dim": 16, "layers": 1, "max_steps": 16, "dropout": 0.1},
        "loss": "sampled_softmax",
        "negatives": 16,
        "batch_targets": 128,
        "max_epochs": 2,
        "checkpoint_steps": 3,
    },
    "finetune": {
        "source_gate": False,
        "batch_exposures": 256,
        "experts": 2,
        "expert_dim": 16,
        "max_epochs": 2,
        "checkpoint_steps": 3,
    },
}
PARAMS: Params = parse(VALUES, "test")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset()


def params_with(**sections) -> Params:
    return parse({name: {**VALUES.get(name, {}), **sections.get(name, {})} for name in VALUES | sections}, "test")


GATED = params_with(finetune={"source_gate": True, "body": "shared_bottom", "tasks": ("click", "profile")})


def run_pretrain(data: Dataset, folder: Path | None = None, tables="auto", **changes):
    runtime = replace(RUNTIME, tables=tables)
    return pretrain_network(data, PARAMS.pretrain.model_copy(update=changes), runtime, folder)


def run_finetune(data: Dataset, folder: Path | None = None, pretrained=None, **changes):
    dials = PARAMS.finetune.model_copy(update=changes)
    trunk = PARAMS.pretrain.trunk
    return finetune_network(data, PARAMS.tasks, dials, RUNTIME, trunk=trunk, pretrained=pretrained, folder=folder)


def differing(one, other) -> dict[str, float]:
    """Weights that are not bit for bit the same, and by how much at most."""
    pairs = zip(one.network.weights, one.network.get_weights(), other.network.get_weights(), strict=True)
    return {
        weight.path: float(np.max(np.abs(np.subtract(a, b, dtype=np.float64))))
        for weight, a, b in pairs
        if not np.array_equal(a, b)
    }


# --- runtime


def test_a_gpu_that_is_not_there_is_an_error() -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(TriadError, match=r"runtime\.device: no GPU is visible"):
        settle(RuntimeParams(device="gpu"), 1)


def test_half_precision_is_for_gpus() -> None:
    with pytest.raises(TriadError, match=r"runtime\.precision"):
        settle(RuntimeParams(device="cpu", precision="mixed_bfloat16"), 1)
    assert settle(RuntimeParams(device="cpu"), 1) == Runtime("cpu", "float32", "auto")


@pytest.mark.parametrize(("dial", "repeats"), [("auto", True), ("on", True), ("off", False)])
def test_whether_trainings_repeat_is_a_dial_and_stands_in_the_report(dial, repeats: bool) -> None:
    runtime = settle(RuntimeParams(device="cpu", determinism=dial), 1)
    assert runtime.is_deterministic == repeats
    assert tuple(runtime.figures) == SETTLED
    said = "repeatable bit for bit" if repeats else "not repeatable (runtime.determinism: off)"
    assert trained(runtime.figures) == {"Training": f"on a CPU, float32, {said}"}
    assert trained({}) == {}


@pytest.mark.parametrize(("xla", "short", "long"), [("auto", False, True), ("on", True, True), ("off", False, False)])
def test_only_long_trainings_are_compiled(xla, short: bool, long: bool) -> None:
    runtime = Runtime("cpu", "float32", xla)
    assert (runtime.compiles(COMPILE_STEPS - 1), runtime.compiles(COMPILE_STEPS)) == (short, long)
    assert runtime.compiles(COMPILE_STEPS, touched=True) == (xla == "on")


@pytest.mark.parametrize(("xla", "compiled"), [("auto", False), ("on", True), ("off", False)])
def test_on_a_gpu_only_who_asks_for_it_gets_a_compiled_step(xla, compiled: bool) -> None:
    assert Runtime("gpu", "mixed_bfloat16", xla).compiles(COMPILE_STEPS) == compiled


# --- what is learned from


def test_targets_of_one_moment_share_the_state_before_it(data) -> None:
    streams = Streams(
        offsets=np.array([0, 5, 7]),
        item=np.arange(7),
        kind=np.array([1, 1, 3, 1, 1, 1, 1]),
        time=np.array([10, 20, 20, 20, 30, 30, 40]),
        split=np.array([0, 0, 0, 0, 1, 0, 1]),
    )
    small = replace(data, streams=streams)
    found = targets(small, "train")
    assert list(zip(found.user, found.history, found.item, strict=True)) == [(0, 0, 0), (0, 1, 1), (0, 1, 3), (1, 0, 5)]
    found = targets(small, "validation")
    assert list(zip(found.user, found.history, found.item, strict=True)) == [(0, 4, 4), (1, 1, 6)]


def test_negatives_are_drawn_from_a_distribution(data) -> None:
    item = np.array([3, 3, 3, 5])
    mixed, uniform = proposal(data, item, "sampled_softmax"), proposal(data, item, "gbce")
    assert mixed.sum() == pytest.approx(1) and mixed[3] == pytest.approx((0.75 + 1 / 40) / 2)
    np.testing.assert_allclose(uniform, 1 / 40)


def test_feeds_repeat_by_epoch_and_step(data) -> None:
    feed, again = (TargetFeed(data, PARAMS.pretrain) for _ in range(2))
    plan = feed.plan(1)
    _, one = feed.build(plan[2], 1, 2)
    _, two = again.build(again.plan(1)[2], 1, 2)
    _, other = feed.build(plan[2], 1, 3)
    assert all(np.array_equal(one[name], two[name]) for name in one if name != "items")
    assert not np.array_equal(one["negatives"], other["negatives"])
    assert sum(len(rows) for _, rows in plan) == feed.examples == len(targets(data, "train").item)
    assert UnitFeed(data, PARAMS.finetune, 16, {"exposures": PARAMS.tasks}).examples == len(data.rows("train"))


def test_the_best_constants_losses_by_hand(data) -> None:
    rows, train = data.rows("validation"), data.rows("train")
    labels = np.full_like(data.exposures.labels, np.nan)
    labels[train[:8], 0], labels[rows[:2], 0] = [1, 0, 0, 0, 0, 0, 0, 0], [1, 0]
    labels[train[:5], 3], labels[rows[:2], 3] = [0, 1, 2, 3, 9], [1, 4]
    tasks = {
        "click": {"kind": "binary", "classes": []},
        "profile": {"kind": "multiclass", "classes": ["a", "b"]},
        "price": {"kind": "regression", "classes": [], "mean": 2.0, "scale": 0.5},
    }
    found = naive_losses(data.replaced(exposures=replace(data.exposures, labels=labels)), tasks, "validation")
    assert found == pytest.approx({"click": -(np.log(0.2) + np.log(0.8)) / 2, "price": 1.5 / 0.5})


# --- what is learned


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "gbce"])
def test_pretraining_beats_popularity(data, loss: str) -> None:
    member, history = run_pretrain(data, loss=loss, max_epochs=8, learning_rate=0.01, negatives=32)
    assert history[-1]["validation_loss"] < history[0]["validation_loss"]
    popular = np.bincount(targets(data, "train").item, minlength=40) + 1.0
    held_out = targets(data, "validation")
    assert ranking(member, data, "validation")["hit_at_10"] > _popularity_hits(data, popular) + 0.05
    if loss != "gbce":  # whose scores are ordered well but are no log probabilities
        assert item_loss(member, data, held_out) < -np.log(popular / popular.sum())[held_out.item].mean()


@pytest.mark.parametrize("mark", ["lists", "loss"])
def test_the_best_epoch_is_that_of_the_best_lists_or_of_the_least_loss(data, mark: str) -> None:
    member, history = run_pretrain(data, choose_by=mark, max_epochs=6, patience=6, learning_rate=0.03)
    if mark == "lists":
        found = ranking(member, data, "validation")["ndcg_at_10"]
        assert found == pytest.approx(1 - min(row["validation_missed"] for row in history), abs=1e-6)
    else:
        found = item_loss(member, data, targets(data, "validation"))
        assert found == pytest.approx(min(row["validation_loss"] for row in history), rel=1e-5)
        assert "validation_missed" not in history[0]


def test_few_lists_to_judge_by_are_warned_of(data, caplog) -> None:
    run_pretrain(data, choose_by="lists", max_epochs=1)
    assert f"only {len(data.rows('validation', 'lists'))} validation lists tell the best epoch" in caplog.text


def test_without_lists_to_judge_by_the_loss_tells_the_best_epoch(data) -> None:
    none = data.replaced(lists=replace(data.lists, split=np.full_like(np.asarray(data.lists.split), -1)))
    _, history = run_pretrain(none, max_epochs=1)
    assert "validation_missed" not in history[0] and np.isfinite(history[0]["validation_loss"])


def _popularity_hits(data: Dataset, popular) -> float:
    top = np.argsort(-popular, kind="stable")[:10]
    queries, rows = data.lists, data.rows("validation", "lists")
    return float(
        np.mean([np.isin(queries.target[queries.offsets[r] : queries.offsets[r + 1]], top).any() for r in rows])
    )


def test_ranking_by_hand(data) -> None:
    class Fixed:
        """Scores every item by its number, the last one best."""

        class scorer:  # noqa: N801
            items = staticmethod(lambda data: np.zeros((40, 1)))

        def logits(self, data, users, history, items, *, moment):
            return np.tile(np.arange(40.0), (len(users), 1))

    queries = replace(
        data.lists,
        user=np.zeros(3, int),
        history=np.ones(3, int),
        time=np.zeros(3, int),
        split=np.ones(3, int),
        offsets=np.array([0, 1, 3, 4]),
        target=np.array([39, 37, 5, 20]),
    )
    found = ranking(Fixed(), data.replaced(lists=queries), "validation")
    second = (1 / np.log2(4)) / (1 + 1 / np.log2(3))  # one of two targets, in the third place
    assert found == pytest.approx({"hit_at_10": 2 / 3, "ndcg_at_10": (1 + second) / 3, "queries": 3})


def test_finetuning_beats_the_best_constants() -> None:
    data = make_dataset(users=200)
    ranker, history = run_finetune(data, max_epochs=4, learning_rate=0.005)
    best = min(history, key=lambda row: row["validation_loss"])
    naive = naive_losses(data, ranker.network.tasks, "validation")
    for task in ("click", "conversion", "price"):
        assert best[f"validation_{task}"] < 0.97 * naive[task]
    assert best["validation_loss"] < 0.95
    assert {f"validation_lambda_{task}" for task in PARAMS.tasks} <= set(best)
    assert best["validation_lambda_price"] != 1.0


def test_the_trunk_comes_from_pretraining(data) -> None:
    pretrained = SequenceNetwork(trunk_config(data, PARAMS.pretrain.trunk))
    ranker, history = run_finetune(data, pretrained=pretrained, max_epochs=1, trunk_rate=0.0, weighting="fixed")
    assert history[0]["validation_lambda_click"] == 1.0
    for ours, theirs in zip(ranker.network.trunk.get_weights(), pretrained.trunk.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.abs(ranker.network.units["exposures"].outputs_of[0].get_weights()[0]).max() > 0
    other = SequenceNetwork(trunk_config(data, PARAMS.pretrain.trunk.model_copy(update={"dim": 8})))
    with pytest.raises(TriadError, match=r"differs in \['dim'\]"):
        run_finetune(data, pretrained=other)


def test_nothing_to_learn_from_is_an_error(data) -> None:
    shifted = replace(data, streams=replace(data.streams, split=np.full_like(data.streams.split, 3)))
    with pytest.raises(TriadError, match="validation split holds no interaction"):
        run_pretrain(shifted)
    no_train = replace(data, streams=replace(data.streams, split=np.maximum(data.streams.split, 1)))
    with pytest.raises(TriadError, match="no example of the train split"):
        run_pretrain(no_train)
    late = data.replaced(exposures=replace(data.exposures, split=np.where(data.exposures.split == 1, 2, 0)))
    with pytest.raises(TriadError, match="no labelled row"):
        run_finetune(late)


def test_a_loss_that_is_no_number_stops_the_run(data) -> None:
    context = np.array(data.exposures.context)
    context[:, 0] = np.inf
    absurd = data.replaced(exposures=replace(data.exposures, context=context))
    with pytest.raises(TriadError, match=r"the loss is nan at epoch 1, step \d"):
        run_finetune(absurd)


# --- the same again


@pytest.mark.proof
def test_the_seed_is_the_result(data) -> None:
    one, first = run_pretrain(data)
    two, second = run_pretrain(data)
    other, _ = run_pretrain(data, seed=2)
    assert first == second and not differing(one, two) and differing(one, other)


@pytest.mark.parametrize("tables", ["whole", "touched"])
def test_an_interrupted_run_ends_like_an_undisturbed_one(data, tables, tmp_path, monkeypatch) -> None:
    with killed_at(epoch=1, step=3):
        whole, expected = run_pretrain(data, tmp_path / "checkpoint", tables)
    steps, build = [], TargetFeed.build
    monkeypatch.setattr(TargetFeed, "build", lambda self, *at: steps.append(at[1:]) or build(self, *at))
    resumed, history = run_pretrain(data, tmp_path / "checkpoint", tables)
    assert steps[0] == (1, 3), "resumed in mid-epoch, from the checkpoint"
    assert history == expected and not differing(whole, resumed)


@pytest.mark.parametrize(
    "weighting", ["famo", *(pytest.param(name, marks=pytest.mark.proof) for name in ("dwa", "gradnorm", "pcgrad"))]
)
def test_what_a_weighting_remembers_is_resumed(weighting, tmp_path, caplog) -> None:
    data = make_dataset(users=20, pages=5)
    dials = {"weighting": weighting, "body": "shared_bottom", "tasks": ("click", "profile"), "batch_exposures": 64}
    with killed_at(epoch=1, step=3):
        whole, expected = run_finetune(data, tmp_path / "checkpoint", **dials)
    caplog.set_level("INFO")
    resumed, history = run_finetune(data, tmp_path / "checkpoint", **dials)
    assert "goes on from its checkpoint: epoch 2, step 4" in caplog.text
    assert history == expected
    for ours, theirs in zip(whole.network.variables, resumed.network.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


def test_a_twin_learns_one_task_alone(data) -> None:
    ranker, history = run_finetune(data, tasks=("conversion",), body="shared_bottom", max_epochs=1)
    assert ranker.tasks == ("conversion",) and "validation_click" not in history[0]
    assert ranker.network.tasks["conversion"]["given"] is None, "the event it needs is not among what it learns"
    assert set(ranker.predict(data, data.rows("test"))) == {"conversion"}
    shown = labels_of(data, "exposures", data.rows("train"), ("conversion",))
    np.testing.assert_array_equal(shown[:, 0], data.labels("conversion")[data.rows("train")])


@pytest.mark.parametrize(
    ("dials", "said"),
    [
        ({"tasks": ("clik",)}, r"finetune\.tasks: \['clik'\] are not among"),
        ({"tasks": ("click", "price"), "body": "aitm"}, r"finetune\.body: aitm passes on .*, and there is none"),
    ],
)
def test_what_cannot_be_made_is_refused(data, dials, said: str) -> None:
    with pytest.raises(TriadError, match=said):
        run_finetune(data, **dials)


def test_a_finished_run_is_not_trained_again(data, tmp_path) -> None:
    one, history = run_pretrain(data, tmp_path / "checkpoint")
    two, again = run_pretrain(data, tmp_path / "checkpoint")
    assert history == again and not differing(one, two)


def test_other_inputs_get_another_checkpoint(data) -> None:
    exposures = replace(data.exposures, labels=1 - data.exposures.labels)
    names = {
        fingerprint(data, {"a": 1}),
        fingerprint(data, {"a": 2}),
        fingerprint(data, {"a": 1}, arrays=[np.ones(2)]),
        fingerprint(data.replaced(exposures=exposures), {"a": 1}),
        fingerprint(replace(data, meta=replace(data.meta, target_kind=3)), {"a": 1}),
    }
    assert len(names) == 5 and fingerprint(make_dataset(), {"a": 1}) in names


# --- stages


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}]
from test_training import GATED
from triad.training.checkpoints import Checkpoint
from triad.stages.finetune import finetune
save, saved = Checkpoint.save, []
def kill_in_the_second_fit(self, values):
    save(self, values)
    saved.append(str(self.folder))
    if len(set(saved)) == 2 and saved.count(saved[-1]) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
Checkpoint.save = kill_in_the_second_fit
finetune(GATED)
"""


@pytest.mark.proof
def test_the_stages_write_what_their_members_read_even_after_a_kill(data, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(data, Path("artifacts/features"))
    pretrain(PARAMS)
    mapped = load(Path("artifacts/features"))
    sequence = Sequence.load(Path("artifacts/pretrain"))
    embeddings = np.load("artifacts/pretrain/embeddings.npy")
    assert embeddings.shape == (40, 16) and embeddings.dtype == np.float32
    np.testing.assert_array_equal(embeddings, sequence.scorer.items(mapped))
    metrics = read_json(Path("artifacts/pretrain/metrics.json"))
    assert metrics == {
        **ranking(sequence, mapped, "validation"),
        "best_epoch": metrics["best_epoch"],
        "validation_loss": pytest.approx(item_loss(sequence, mapped, targets(mapped, "validation"))),
    }
    with Path("artifacts/pretrain/history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1.0", "2.0"]

    finetune(GATED)
    undisturbed, expected = (
        NetworkScorer.load(Path("artifacts/finetune")),
        Path("artifacts/finetune/metrics.json").read_text(),
    )
    script = KILLED.format(tests=str(Path(__file__).parent))
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    left = list(CHECKPOINTS.glob("finetune-*"))
    assert len(left) == 2 and Path("artifacts/finetune/network.keras").is_file(), "the former output is still there"
    finetune(GATED)
    resumed = NetworkScorer.load(Path("artifacts/finetune"))
    assert not differing(undisturbed, resumed)
    assert not list(CHECKPOINTS.glob("*-*"))
    scores = resumed.predict(mapped, mapped.rows("test"))
    assert all(np.isfinite(values).all() for values in scores.values())
    assert Path("artifacts/finetune/metrics.json").read_text() == expected


def test_bad_input_replaces_nothing(data, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(data, Path("artifacts/features"))
    Path("artifacts/finetune").mkdir()
    Path("artifacts/finetune/kept").touch()
    with pytest.raises(TriadError, match="not a saved network"):
        finetune(PARAMS)
    assert [path.name for path in Path("artifacts/finetune").iterdir()] == ["kept"]


def test_other_code_does_not_go_on_with_a_checkpoint(tmp_path, monkeypatch) -> None:
    for part in ("encoders", "models", "training"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "code.py").write_text("1")
    monkeypatch.setattr(checkpoints, "PACKAGE", tmp_path)
    before = checkpoints.checkpoint_folder("finetune", "a")
    assert before == checkpoints.checkpoint_folder("finetune", "a") != checkpoints.checkpoint_folder("finetune", "b")
    for part in ("encoders", "models", "training"):
        (tmp_path / part / "code.py").write_text("2")
        assert checkpoints.checkpoint_folder("finetune", "a") != before
        before = checkpoints.checkpoint_folder("finetune", "a")


def test_dials_are_checked() -> None:
    with pytest.raises(TriadError, match=r"pretrain\.trunk: .*dim 10 is no multiple of heads 4"):
        params_with(pretrain={"trunk": {"dim": 10, "heads": 4}})
    with pytest.raises(TriadError, match=r"did you mean 'learning_rate'"):
        params_with(finetune={"learning_rat": 1})
    assert FinetuneParams().init == "pretrain" and PretrainParams().negatives > 0


def test_where_lists_are_the_only_task_the_stage_leaves_no_network(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # where there is nothing to read either
    lists = {"next": {"kind": "ranking", "label": "next_item"}}
    finetune(parse({"ingest": VALUES["ingest"], "tasks": lists, "recommend": {"order_by": None}}, "test"))
    assert [each.name for each in (tmp_path / "artifacts" / "finetune").iterdir()] == ["metrics.json"]
    assert read_json(tmp_path / "artifacts" / "finetune" / "metrics.json") == {}
