"""What items say and show, read by the item tower: made, served, masked where missing, left out where it is no help."""

from __future__ import annotations

import base64
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from make_dataset import make_dataset
from make_encoder import make_encoder
from make_night import make_params
from make_tables import END, START, make_tables
from PIL import Image
from test_training import PARAMS, RUNTIME, params_with

from triad.artifacts import read_json
from triad.config.images import ImagesParams
from triad.config.params import Params
from triad.config.text import TextParams
from triad.encoders.ids import Ids
from triad.encoders.vectors import Text
from triad.errors import TriadError
from triad.evaluation.source import Gain
from triad.examples.dataset import Dataset, load, save
from triad.features.build import fit, standing, transform
from triad.features.state import State
from triad.features.vectors import ItemVectors
from triad.members.network import NetworkScorer
from triad.members.sequence import Sequence
from triad.models.networks import SequenceNetwork
from triad.models.scoring import Scorer
from triad.models.trunk import reading, trunk_config
from triad.models.warm_start import InitialModel
from triad.stages import finetune as finetuning
from triad.stages import pretrain as pretraining
from triad.tables import connect
from triad.training.again import Again, Evaluated
from triad.training.pretraining import make_loss
from triad.training.pretraining_feeds import TargetFeed, not_yet_there

WIDTH = 6


def picture(colour: str) -> str:
    """A picture that a table holds itself."""
    file = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def shop(**columns: list[str | None]) -> dict[str, pa.Table]:
    """The small random shop; of its items, the first say and show what `columns` hold, and the others nothing."""
    tables = make_tables()
    items = tables["items"]
    for name, values in columns.items():
        padded = pa.array([*values, *[None] * (items.num_rows - len(values))], pa.string())
        items = items.drop_columns([name] if name in items.column_names else []).append_column(name, padded)
    return tables | {"items": items}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, State]:
    """The shop with vectors, and its state as it is loaded where no other file is left."""
    root = tmp_path_factory.mktemp("vectors")
    folder, params = make_encoder(root), make_params()
    said = shop(title=["red shoe", "shoes", None, "red shoe"], image_path=[picture("red"), None, picture("blue")])
    texts, images = TextParams(encoder=str(folder)), ImagesParams()
    with pytest.MonkeyPatch.context() as patch, connect(said) as session:
        patch.chdir(root)
        data, state = fit(
            *(session, params.features, params.tasks, (START, END)),
            vectors=lambda corpus: ItemVectors.chosen(("text", "image"), texts, images, corpus),
        )
    state.save(root / "state")
    shutil.move(folder / "model.safetensors", root / "gone")
    return data, State.load(root / "state")


def test_items_say_and_show_what_they_can(fitted: tuple[Dataset, State]) -> None:
    items = fitted[0].items
    text, image = items.text_vector, items.image_vector
    assert text.dtype == image.dtype == np.float16 and text.shape[1] == 8 and image.shape[1] == 384
    np.testing.assert_array_equal(text.any(axis=1), [True, True, False, True] + [False] * 26)
    np.testing.assert_array_equal(image.any(axis=1), [True, False, True] + [False] * 27)
    np.testing.assert_array_equal(text[0], text[3])
    assert np.abs(text[0] - text[1]).max() > 0.001 < np.abs(image[0] - image[2]).max()


def test_an_item_first_seen_when_the_model_serves_has_its_own(
    fitted: tuple[Dataset, State], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, state = fitted
    monkeypatch.chdir(tmp_path)
    before = shop(title=["red shoe", "shoes", None, "red shoe"], image_path=[picture("red"), None, picture("blue")])
    row = before["items"].slice(1, 1).to_pylist()[0] | {"item_id": "new", "title": "鞋", "image_path": picture("green")}
    added = pa.Table.from_pylist([row], schema=before["items"].schema)
    with connect(before | {"items": pa.concat_tables([before["items"], added])}) as session:
        served, (there, _) = transform(session, state), standing(session, state, 20_490)
    for name in ("text_vector", "image_vector"):
        vectors = getattr(served.items, name)
        np.testing.assert_array_equal(vectors[:-1], getattr(data.items, name))
        np.testing.assert_array_equal(vectors, getattr(there.items, name))
        assert vectors[-1].any() and np.abs(vectors[-1] - vectors[:-1]).max(axis=1).min() > 0.001, name
    assert served.meta.item_vectors == data.meta.item_vectors != {}
    network = SequenceNetwork(trunk_config(data, PARAMS.pretrain.trunk))
    blind = reading(served, {"item": {}})
    places, known = (Scorer(network).items(served)), served.items.text_vector.any(axis=1)
    assert places.shape == (31, 16) and blind.items.text_vector.shape == (31, 0)
    assert np.abs(places[-1] - places[1]).max() > 1e-3 and known.sum() == 4


def test_a_state_without_vectors_has_none(tmp_path: Path) -> None:
    params = make_params()
    with connect(make_tables()) as session:
        data, state = fit(session, params.features, params.tasks, (START, END))
    state.save(tmp_path)
    assert State.load(tmp_path).vectors is None and not (tmp_path / "vectors").exists()
    assert data.items.text_vector.shape == (30, 0) and "text" not in trunk_config(data, PARAMS.pretrain.trunk)["item"]


def with_text(data: Dataset, seed: int = 0, of: str = "one") -> Dataset:
    """`data` whose items say something, all but the first."""
    text = np.random.default_rng(seed).normal(1, 1, (len(data.items.item_id), WIDTH)).astype(np.float16)
    text[0] = 0
    return data.replaced(
        items=replace(data.items, text_vector=text), meta=replace(data.meta, item_vectors={"text": of})
    )


@pytest.fixture(scope="module")
def data() -> Dataset:
    return with_text(make_dataset())


def test_a_projection_by_hand() -> None:
    layer = Text(of="x", mean=[1.0, 1.0], dim=2)
    layer.build()
    layer.set_weights([np.array([[1.0, 0.0], [0.0, 10.0]])])
    found = np.asarray(layer({"text_vector": np.array([[4.0, 5.0], [0.0, 0.0], [1.0, 0.0]], np.float32)}))
    np.testing.assert_allclose(found, [[0.6, 8.0], [0, 0], [0, -10]], atol=1e-6)  # (3, 4) / 5; none; (0, -1)


def test_an_earlier_night_goes_on_by_its_own_scale_and_another_encoder_begins_silent(data: Dataset) -> None:
    sizes, rows = PARAMS.pretrain.trunk, {n: np.arange(c) for n, c in data.meta.vocabulary_rows.items()}
    initial = InitialModel(SequenceNetwork(trunk_config(data, sizes)), rows)
    before = Scorer(initial.network).items(data)
    moved = data.replaced(items=replace(data.items, text_vector=data.items.text_vector[::-1]))
    same = SequenceNetwork(initial.rescaled(trunk_config(moved, sizes)))
    assert initial.start(same.trunk) == []
    np.testing.assert_allclose(Scorer(same).items(data), before, atol=1e-5)
    assert np.abs(Scorer(same).items(moved) - before).max() > 0.1
    other = with_text(data, 1, "other")
    network = SequenceNetwork(initial.rescaled(trunk_config(other, sizes)))
    assert initial.start(network.trunk) == ["input text of another encoder"]
    blind = SequenceNetwork(initial.rescaled(trunk_config(reading(data, {"item": {}}), sizes)))
    assert initial.start(blind.trunk) == []
    np.testing.assert_allclose(Scorer(network).items(other), Scorer(blind).items(data), atol=1e-5)


def test_ids_are_hidden_in_training_and_of_new_items_always(data: Dataset, tmp_path: Path) -> None:
    meta = replace(data.meta, shared_rows=4)
    sizes = PARAMS.pretrain.trunk.model_copy(update={"id_dropout": 0.5})
    config = Ids.config(data.replaced(meta=meta), sizes)
    layer = Ids(**config)
    layer.build()
    rows = np.arange(config["rows"]["item"], dtype=np.int32)
    none = np.zeros_like(rows)
    arrays = {"vocabulary_row": rows, "category": none[:, None], "brand": none}
    always = np.asarray(layer(arrays)).any(axis=1)
    np.testing.assert_array_equal(always, rows > 4)
    np.testing.assert_array_equal(np.asarray(layer.tables["item"].weight).any(axis=1), rows > 4)
    drawn = np.mean([np.asarray(layer(arrays, training=True)).any(axis=1) for _ in range(200)], axis=0)
    assert 0.4 < drawn[5:].mean() < 0.6 and drawn[:5].max() == 0
    network = SequenceNetwork(trunk_config(data.replaced(meta=meta), sizes))
    Sequence(network).save(tmp_path)
    again = Sequence.load(tmp_path)
    np.testing.assert_array_equal(again.scorer.items(data), Sequence(network).scorer.items(data))
    shown = PARAMS.pretrain.trunk.model_copy(update={"id_dropout": 0.0})
    assert not Ids(**Ids.config(data, shown)).variables, "nothing is drawn"


@pytest.mark.parametrize("helps", [pytest.param(True, marks=pytest.mark.proof), False])
def test_what_does_not_help_is_read_by_no_network(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, helps: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    save(data, Path("artifacts/features"))
    params: Params = params_with(pretrain={"max_epochs": 1}, finetune={"max_epochs": 1})
    judged = []

    def judge(without, having, user, *, seed):
        judged.append((without, having, user))
        return Gain(0.1, 0.05 if helps else -0.05, 0.2)

    monkeypatch.setattr(pretraining, "judge_source", judge)
    pretraining.pretrain(params)
    finetuning.finetune(params)
    ((without, having, user),) = judged
    assert without.shape == having.shape == user.shape and np.abs(without - having).max() > 1e-4
    assert read_json(Path("artifacts/pretrain/metrics.json"))["vectors_gain"] == 0.1
    mapped = load(Path("artifacts/features"))
    for member in (Sequence.load(Path("artifacts/pretrain")), NetworkScorer.load(Path("artifacts/finetune"))):
        assert ("text" in member.network.trunk.get_config()["item"]) == helps
        assert np.isfinite(member.scorer.items(mapped)).all()
    assert not list(Path(".triad/checkpoints").glob("*"))


@pytest.mark.parametrize("reads", [pytest.param(True, marks=pytest.mark.proof), False])
def test_a_refitted_network_reads_what_the_evaluated_one_reads(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = data if reads else reading(data, {"item": {}})
    evaluated = Sequence(SequenceNetwork(trunk_config(seen, PARAMS.pretrain.trunk), PARAMS.pretrain.own_items))
    rows = {name: np.arange(count) for name, count in data.meta.vocabulary_rows.items()}
    since = data.meta.windows["train"][1] - 86_400_000_000
    again = Again(data, PARAMS, RUNTIME, Evaluated(lambda: evaluated, since, rows, True)).pretrained()
    assert ("text" in again.network.trunk_config["item"]) == reads
    assert np.abs(again.scorer.items(data) - evaluated.scorer.items(data)).max() > 1e-4


def test_what_came_after_the_train_days_is_no_negative(data: Dataset) -> None:
    later = np.array(data.items.available_from)
    sold = np.unique(data.streams.item[np.asarray(data.streams.split) == 0])
    new = np.setdiff1d(np.arange(len(later)), sold)[:2]
    new = new if len(new) else np.array([7])
    streams = data.streams
    rest = replace(streams, split=np.where(np.isin(streams.item, new), 3, streams.split))
    later[[*new, sold[sold != new[0]][0]]] = data.meta.windows["train"][1]
    asked = data.replaced(items=replace(data.items, available_from=later), streams=rest)
    trunk = PARAMS.pretrain.trunk.model_dump()
    hides, shows = (params_with(pretrain={"trunk": {**trunk, "id_dropout": share}}).pretrain for share in (0.2, 0.0))
    absent = not_yet_there(asked, hides)
    np.testing.assert_array_equal(np.flatnonzero(absent), new)  # one that train sold was there
    assert not not_yet_there(asked, shows).any()
    feed = TargetFeed(asked, hides)
    drawn = np.concatenate([feed.build(part, 0, step)[1]["negatives"] for step, part in enumerate(feed.plan(0)[:5])])
    assert len(drawn) and np.isfinite(feed._probability).all() and feed._probability[new].max() == 0
    network = SequenceNetwork(trunk_config(asked, shows.trunk.model_copy(update={"dropout": 0.0})))
    whole = hides.model_copy(update={"loss": "softmax"})
    batch = TargetFeed(asked, whole).build(TargetFeed(asked, whole).plan(0)[0], 0, 0)[1]
    less, more = (float(make_loss(network, "softmax", each)(batch)[0]) for each in (absent, np.zeros_like(absent)))
    assert less < more


def test_words_make_no_vectors() -> None:
    with pytest.raises(TriadError, match=r"features.item_vectors: text.encoder: words makes no vectors"):
        make_params(features={"item_vectors": ["text"], "split_days": {"validation": 4, "fusion": 5, "test": 5}})
