"""Products' classes from their words and picture: learned, judged, saved; a wrong class of the catalogue is found."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from make_weights import pth, untaught
from make_workspace import checkout, remove, run, run_stages
from PIL import Image

from triad.batch.run import Question, batch
from triad.config.features import FeaturesParams
from triad.config.fuse import FuseParams
from triad.config.images import ImagesParams
from triad.config.ingest import IngestParams
from triad.config.params import Params
from triad.config.runtime import RuntimeParams
from triad.config.tasks import TaskParams
from triad.config.text import TextParams
from triad.errors import TriadError
from triad.features.build import fit
from triad.features.state import State
from triad.fusion.fitting import fit_fusion
from triad.fusion.fused import Fused
from triad.images.decoding import decode
from triad.images.deep import Deep
from triad.images.encoder import SIZE
from triad.images.files import read
from triad.images.patches import GRID, as_data, painted
from triad.images.taught import Pace
from triad.members.bench import Bench
from triad.members.popularity import Popularity
from triad.members.product_linear import ProductLinear, ProductSpace
from triad.members.product_network import ProductNetwork
from triad.misfiled.doubts import misfiled_products
from triad.serving import by_patches, desk, refusals
from triad.sources.simulated import simulate
from triad.statistics.confident import doubtful
from triad.tables import connect
from triad.tracking.asked import answer
from triad.tracking.classifying import scores_of
from triad.tracking.serving import ServingModel

TASKS = {"category": TaskParams(kind="multiclass", label="product_class", column="category")}
WINDOW = date(2026, 1, 20), date(2026, 3, 1)


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    shop = IngestParams.model_validate(
        {"source": "simulated", "as_of": WINDOW[1], "window_days": 40, "simulated": {"size": "small", "seed": 1}}
    )
    held = simulate(shop)
    day = next(held.days())
    return held.tables | {"events": day.events}


def bench_of(tables: dict[str, pa.Table], **columns: pa.Array) -> tuple[Bench, State]:
    """A night over `tables`, whose items say `columns`."""
    items = tables["items"]
    for name, values in columns.items():
        items = items.set_column(items.column_names.index(name), name, values)
    settings = FeaturesParams.model_validate({"max_oov_rate": 1.0})
    with connect({**tables, "items": items}) as session:
        data, state = fit(session, settings, TASKS, WINDOW)
    params: Any = SimpleNamespace(tasks=TASKS, text=TextParams(), images=ImagesParams())
    return Bench(data, params, lambda: np.zeros((0, 0))), state


def test_pictures_tell_a_category_without_a_word_and_a_product_without_one_is_answered(
    tables: dict[str, pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nothing = pa.nulls(len(tables["items"]), pa.string())
    bench, _ = bench_of(tables, title=nothing, description=nothing)
    data, rows = bench.data, bench.data.rows("test", "products")
    member = ProductLinear.make(bench, "product_linear")
    scores, label = member.predict(data, rows)["category"], data.labels("category")[rows]
    there = np.array([bool(path) for path in data.units["products"].image_path[rows].tolist()])
    right = scores.argmax(axis=1) == label
    assert right[there].mean() > 4 * np.bincount(label.astype(int)).max() / len(label)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (~there).any() and np.ptp(scores[~there], axis=0).max() < 1e-9  # nothing is known of these

    member.save(tmp_path / "kept")
    again = ProductLinear.load(tmp_path / "kept").predict(data, rows)["category"]
    np.testing.assert_allclose(again, scores, atol=1e-5)
    assert member.refit(bench, "product_linear").chosen == member.chosen


def test_products_that_were_put_in_the_wrong_place_are_found_and_a_missing_class_is_named(
    tables: dict[str, pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    random, ids = np.random.default_rng(1), tables["items"]["item_id"].to_pylist()
    truth = tables["items"]["category"].to_pylist()
    names, said = sorted(set(truth)), list(truth)
    wrong = random.choice(len(truth), 40, replace=False)
    for row in wrong[:30]:
        said[row] = random.choice([name for name in names if name != truth[row]])
    for row in wrong[30:]:
        said[row] = None
    said[wrong[0]] = "of one product alone"  # too rare to be learned, and not missing
    bench, _ = bench_of(tables, category=pa.array(said))
    space = ProductSpace.fit(bench, ("words",))
    member = ProductLinear.fit(bench.data, TASKS, space, {"category": 30.0})
    table = misfiled_products(bench.data, TASKS, member, ["category"])
    catalogue = dict(zip(ids, [each or "" for each in said], strict=True))
    assert all(row["is"] == catalogue[row["item_id"]] for row in table.to_pylist())
    meant = dict(zip(table["item_id"].to_pylist(), table["should_be"].to_pylist(), strict=True))
    right = sum(meant.get(ids[row]) == truth[row] for row in wrong)
    assert right >= 20 and right > 0.8 * len(meant), (right, len(meant))
    assert {row["is"] for row in table.to_pylist() if row["item_id"] in {ids[row] for row in wrong[30:]}} == {""}


def test_a_label_is_doubted_where_another_class_is_surer_than_its_own_rows() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.45, 0.55], [0.05, 0.95], [0.5, 0.5]])
    is_doubtful, meant = doubtful(np.array([0, 0, 1, 0, np.nan, np.nan]), scores)
    assert is_doubtful.tolist() == [False, False, False, False, True, False] and meant[4] == 1
    assert doubtful(np.array([0.0, 0, 1, 0, 1, 0]), np.roll(scores, 1, axis=1))[0].any()


@pytest.fixture(scope="module")
def model(tables: dict[str, pa.Table], tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Fused with the commonest class, saved and loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("shop"))
        bench, state = bench_of(tables)
        space = ProductSpace.fit(bench, ("words",))
        linear = ProductLinear.fit(bench.data, TASKS, space, {"category": 30.0})
        members: Any = {"product_linear": linear, "popularity": Popularity.make(bench, "popularity")}
        fit_fusion(bench.data, members, TASKS, FuseParams(bootstrap=50)).save(Path("fuse"))
        yield SimpleNamespace(state=state, fused=Fused.load(Path("fuse")), data=bench.data)


def ask(model: SimpleNamespace, **product: Any) -> dict[str, Any]:
    asked: Any = model
    (row,) = answer(asked, {"items": [{"item_id": "p", **product}]}, {"mode": "classify", "k": 0}).to_dict("records")
    return row


def test_a_served_model_classes_what_is_sent_and_says_what_it_saw(
    model: SimpleNamespace, tables: dict[str, pa.Table]
) -> None:
    item = next(row for row in tables["items"].to_pylist() if row["image_path"] and "lamp" in row["title"])
    both = ask(model, title=item["title"], description=item["description"], image_path=item["image_path"])
    assert both["picture"] == "read" and both["category"] == "home/lighting" and both["category_score"] > 0.5
    assert ask(model, title=item["title"])["picture"] == "there is no file"
    assert ask(model, title=item["title"])["category"] == "home/lighting"
    pictured = ask(model, image_path=item["image_path"].replace("data:image/png", "Data:image/PNG"))
    assert pictured["picture"] == "read" and pictured["category_score"] < both["category_score"]
    nothing = ask(model)
    assert 0 < nothing["category_score"] < 0.5
    for sent, why in (
        ("data:image/png;base64,AAAA", "no picture"),
        ("data:image/png;base64,###", "no picture"),
        ("/etc/passwd", "no file is opened here"),
    ):
        row = ask(model, image_path=sent, description="\x00 红鞋 🙂" * 500)
        assert why in row["picture"] and 0 < row["category_score"] <= 1


def test_a_table_of_products_is_classed_as_in_a_request(
    model: SimpleNamespace, tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    rows = tables["items"].slice(0, 6).select(["item_id", "title", "description", "image_path"])
    pq.write_table(rows, tmp_path / "asked.parquet", row_group_size=4)
    asked: Any = model
    question = Question("classify", tmp_path / "asked.parquet", tmp_path, {})
    params = Params.model_construct(runtime=RuntimeParams())
    assert batch(params, asked, question, tmp_path / "told.parquet") == 6
    told = answer(asked, {"items": rows}, {"mode": "classify", "k": 0})
    pd.testing.assert_frame_equal(pq.read_table(tmp_path / "told.parquet").to_pandas(), told)
    assert told["category"].notna().all()


def sent(image: Image.Image | bytes, kind: str = "PNG", **options: Any) -> str:
    """As a request or a table holds a picture itself."""
    buffer = io.BytesIO(image if isinstance(image, bytes) else b"")
    if isinstance(image, Image.Image):
        image.save(buffer, kind, **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


RED = Image.new("RGB", (60, 80), (200, 10, 10))
PICTURES = {
    "no picture": (sent(b"<html>not found</html>"), "no picture"),
    "one pixel": (sent(Image.new("RGB", (1, 1))), "shorter than 8 pixels"),
    "huge": (sent(Image.new("1", (8_000, 8_000))), "larger than 50 million pixels"),
    "cmyk": (sent(RED.convert("CMYK"), "JPEG"), "read"),
    "animated": (sent(RED, "GIF", save_all=True, append_images=[RED.transpose(Image.Transpose.ROTATE_180)]), "read"),
    "none": ("", "there is no file"),
}


def test_every_odd_picture_gets_a_clear_answer_of_the_stage_the_model_and_the_service(
    model: SimpleNamespace, tables: dict[str, pa.Table]
) -> None:
    served: Any = SimpleNamespace(version="1", night=SimpleNamespace(model=model), lock=threading.Lock())
    app, holder = FastAPI(), cast(Any, SimpleNamespace(now=served))
    desk.add(app, holder, lambda of, **more: JSONResponse(more))
    refusals.install(app)
    odd = [
        {
            "item_id": name,
            "title": "Нержавеющая сковорода",
            "attributes": '{"Size": "M", "size": "L"}',
            "image_path": path,
        }
        for name, (path, _) in PICTURES.items()
    ]
    with TestClient(app) as client:
        told = client.post("/classify", json={"tables": {"items": odd}})
        assert told.status_code == 200
        for row, each in zip(told.json()["rows"], odd, strict=True):
            assert PICTURES[each["item_id"]][1] in row["picture"], row
            assert row == ask(model, **{k: v for k, v in each.items() if k != "item_id"}) | {"item_id": row["item_id"]}
            assert 0 < row["category_score"] <= 1 and row["category"]
    paths = [path for path, _ in PICTURES.values()] * (len(tables["items"]) // len(PICTURES) + 1)
    bench, _ = bench_of(tables, image_path=pa.array(paths[: len(tables["items"])]))
    space = ProductSpace.fit(bench, ("words",))
    fitted = ProductLinear.fit(bench.data, TASKS, space, {"category": 30.0})  # a night with such pictures goes on
    vectors, there = space.seen(bench.data, np.arange(len(PICTURES)))
    assert there[:, 0].tolist() == [float(why == "read") for _, why in PICTURES.values()]
    assert not vectors[there[:, 0] == 0].any()
    assert np.isfinite(fitted.predict(bench.data, bench.data.rows("test", "products"))["category"]).all()


def test_words_and_patches_each_sum_to_the_class_they_carry_and_are_kept_nowhere(
    model: SimpleNamespace, tables: dict[str, pa.Table]
) -> None:
    served: Any = model
    item = next(row for row in tables["items"].to_pylist() if row["image_path"] and "lamp" in row["title"])
    product = {name: item[name] or "" for name in ("item_id", "title", "description", "image_path")}
    before = {path: path.stat().st_mtime_ns for path in Path(".triad").rglob("*")}
    for said in (product, {**product, "title": "", "description": ""}, {**product, "title": "two\nlines"}):
        found = by_patches.of_product(served, said)["category"]
        score = ask(model, **said)["category_score"]
        for parts in (found.words, found.patches):
            assert sum(part.value for part in parts) == pytest.approx(score, abs=1e-6)
        assert {part.place for part in found.patches} == {None, *range(GRID**2)}
    assert {path: path.stat().st_mtime_ns for path in Path(".triad").rglob("*")} == before
    assert by_patches.of_product(served, {**product, "image_path": "/etc/passwd"})["category"].patches == []
    assert "lamp" in [word.text for word in by_patches.of_product(served, product)["category"].words[:4]]


def test_the_service_tells_which_words_and_patches_carry_a_class(
    model: SimpleNamespace, tables: dict[str, pa.Table]
) -> None:
    item = next(row for row in tables["items"].to_pylist() if row["image_path"])
    served: Any = SimpleNamespace(version="1", night=SimpleNamespace(model=model), lock=threading.Lock())
    app, holder = FastAPI(), cast(Any, SimpleNamespace(now=served))
    desk.add(app, holder, lambda of, **more: JSONResponse(more))
    refusals.install(app)
    sent = {name: item[name] for name in ("item_id", "title", "image_path")}
    with TestClient(app) as client:
        rows = client.post("/classify", json={"tables": {"items": [sent] * 5}, "why": True}).json()["rows"]
        assert [("because" in row) for row in rows] == [True] * 3 + [False] * 2
        told = rows[0]["because"]["category"]
        for parts in told.values():
            assert sum(part["value"] for part in parts) == pytest.approx(rows[0]["category_score"], abs=1e-6)
        named = {part["words"] for part in told["patches"]}
        assert {"top, left", "bottom, right"} < named and len(named) == 1 + GRID**2
        plain = client.post("/classify", json={"tables": {"items": [sent]}}).json()["rows"]
        assert plain == [{name: value for name, value in rows[0].items() if name != "because"}]
        assert client.post("/price", json={"tables": {"items": [sent]}, "changes": True}).status_code == 501


def test_a_class_falls_faster_without_the_patches_that_carry_it_than_without_any_others(
    model: SimpleNamespace, tables: dict[str, pa.Table]
) -> None:
    served, random, falls = cast(Any, model), np.random.default_rng(0), []
    pictured = [row for row in tables["items"].to_pylist() if row["image_path"]][:12]
    for item in pictured:
        said = {"item_id": "p", "title": "", "description": "", "image_path": item["image_path"]}
        found = by_patches.of_product(served, said)["category"].patches
        by_share = [part.place for part in sorted(found, key=lambda part: -part.value) if part.place is not None]
        picture = decode(cast(bytes, read(None, item["image_path"])), SIZE)
        orders = [by_share, *(random.permutation(GRID**2).tolist() for _ in range(2))]
        left = np.array([[place not in order[:n] for place in range(GRID**2)] for order in orders for n in range(9)])
        rows = {name: [said[name]] * len(left) for name in said}
        rows["image_path"] = [as_data(each) for each in painted(cast(Any, picture), left)]
        scores = scores_of(served.state, served.fused, rows, ["category"])["category"].reshape(len(orders), 9, -1)
        curve = scores[:, :, scores[0, 0].argmax()]
        fall = (curve[:, :1] - curve[:, 1:]).mean(axis=1)
        falls.append(fall[0] - fall[1:].mean())
    assert np.mean(falls) - 2 * np.std(falls) / np.sqrt(len(falls)) > 0, np.mean(falls)


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"items": []}, "holds no products"),
        ({"items": [{"title": "lamp"}]}, "missing"),
        ({"items": [{"item_id": 3}]}, "no text"),
        ({"items": [{"item_id": "a", "title": 3}]}, "no text"),
        ({"users": []}, "holds no products"),
    ],
)
def test_what_is_no_product_is_refused(model: Any, asked: dict[str, Any], what: str) -> None:
    with pytest.raises(TriadError, match=what):
        answer(model, asked, {"mode": "classify", "k": 0})


NIGHT = """
ingest: {simulated: {size: tiny}}
pretrain: {max_epochs: 2, trunk: {layers: 1}}
finetune: {max_epochs: 1, source_gate: false}
profile: {max_iterations: 20}
fuse:
  bootstrap: 50
  members: [finetune, popularity, similarity, product_linear]
evaluate: {bootstrap: 100}
refit: {health: {max_calibration_loss: 0.1}}  # a few dozen products are tested
recommend: {order_by: null}
tasks:
  click: {kind: binary, label: clicked, gated: false}
  next: {kind: ranking, label: next_item, gated: false}
  category: {kind: multiclass, label: product_class, column: category}
  colour: {kind: multiclass, label: product_class, column: colour}
"""


@pytest.mark.proof
def test_a_night_judges_gates_registers_and_serves_classes_beside_the_truth(tmp_path: Path) -> None:
    shop = checkout(tmp_path / "shop", NIGHT)
    try:
        run_stages(shop, "publish")
        metrics = json.loads((shop / "artifacts/evaluate/metrics.json").read_text())
        for task in ("category", "colour"):
            figures = metrics[task]
            assert figures["accuracy"]["value"] > 1.5 * figures["naive"]["accuracy"]
            assert figures["oracle"]["accuracy"] == 1
        verdict = json.loads((shop / "artifacts/evaluate/report/verdict.json").read_text())
        assert {"category", "colour"} <= set(verdict["tasks"])
        published = json.loads((shop / "artifacts/publish/published.json").read_text())
        assert (verdict["verdict"], published["promoted"]) == ("PASS", True), verdict["reasons"]
        page = (shop / "artifacts/evaluate/report/report.html").read_text()
        assert re.search(r"right class for \d+\.\d% of products", page) and "% of customers" not in page
        served = ServingModel.load(shop / "artifacts/refit/state", shop / "artifacts/refit/fuse")
        items = pq.read_table(shop / "artifacts/validate/tables/items").to_pylist()
        said = [{name: item[name] for name in ("item_id", "title", "description", "image_path")} for item in items]
        told = answer(served, {"items": said}, {"mode": "classify", "k": 0})
        classes, truth = set(told["category"]), [item["category"] for item in items]
        right = [one == other for one, other in zip(told["category"], truth, strict=True) if other in classes]
        assert np.mean(right) > 0.8  # it has learned these products by now
        assert "products to look at" in run(shop, "triad", "misfiled", "colour")
    finally:
        remove(shop)


@pytest.mark.parametrize("transfer", ["frozen", pytest.param("scratch", marks=pytest.mark.proof)])
def test_one_network_learns_all_classes_with_missing_labels_words_and_pictures(
    tables: dict[str, pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transfer: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("triad.images.taught.HIDDEN", 32)
    monkeypatch.setattr("triad.images.taught.LEAST_STEPS", 1)
    for name in ("FROZEN_EPOCHS", "HEAD_EPOCHS"):
        monkeypatch.setattr(f"triad.images.taught.{name}", 6)
    monkeypatch.setattr("triad.images.taught.SCRATCH_EPOCHS", 1)
    both = TASKS | {"colour": TaskParams(kind="multiclass", label="product_class", column="colour")}
    monkeypatch.setitem(globals(), "TASKS", both)
    bench, _ = bench_of(tables)
    bench.params.images = ImagesParams.model_validate({"transfer": transfer})
    products = bench.data.units["products"]
    products.labels[::7, 1] = np.nan  # of some nobody knows the colour
    member = ProductNetwork.make(bench, "product_network")
    data, rows = bench.data, bench.data.rows("test", "products")
    scores, label = member.predict(data, rows), data.labels("category")[rows]
    assert member.tasks == ("category", "colour") == tuple(scores)
    for each in scores.values():
        np.testing.assert_allclose(each.sum(axis=1), 1, atol=1e-5)
    assert (scores["category"].argmax(axis=1) == label).mean() > 0.5
    member.save(tmp_path / "kept")
    again = ProductNetwork.load(tmp_path / "kept").predict(data, rows, ["colour"])
    np.testing.assert_allclose(again["colour"], scores["colour"], atol=1e-5)


@pytest.mark.parametrize("quick", [True, pytest.param(False, marks=pytest.mark.proof)])
def test_a_deep_network_beside_words_is_weighed_once_refitted_alike_and_read_again(
    tables: dict[str, pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("HIDDEN", 32), ("LEAST_STEPS", 1), ("FROZEN_EPOCHS", 6)):
        monkeypatch.setattr(f"triad.images.taught.{name}", value)
    monkeypatch.setattr("triad.images.deep.SIZE", 32)
    monkeypatch.setattr("triad.images.deep.PACE", Pace(1, 1e-3, 64))
    if quick:  # a layer in the place of sixty
        monkeypatch.setattr("triad.images.deep._eye", _flat_eye)
    weights = pth(untaught(1), tmp_path / "w.pth")
    bench, _ = bench_of(tables)
    bench.params.images = ImagesParams.model_validate({"transfer": "deep", "encoder": str(weights)})
    member = ProductNetwork.make(bench, "product_network")
    data, rows = bench.data, bench.data.rows("test", "products")
    scores, deep = member.predict(data, rows)["category"], member.heads
    assert isinstance(deep, Deep) and set(deep.share) == {"category"} and deep.share["category"] < 0.5  # words say it
    assert (scores.argmax(axis=1) == data.labels("category")[rows]).mean() > 0.5
    monkeypatch.setattr(Deep, "weighed", None)  # a refit learns validation's days, so that these can weigh no more
    again = member.refit(bench, "product_network")
    assert isinstance(again.heads, Deep) and again.heads.share == deep.share
    np.testing.assert_array_equal(again.predict(data, rows)["category"], scores)
    member.save(tmp_path / "kept")
    read = ProductNetwork.load(tmp_path / "kept").predict(data, rows)["category"]
    np.testing.assert_allclose(read, scores, atol=1e-6)


def _flat_eye(_: Path) -> Any:
    pictures = keras.Input((32, 32, 3))
    seen = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(pictures))
    return keras.Model(pictures, seen)


def test_what_teaches_no_network_cannot_be_asked_to() -> None:
    with pytest.raises(ValueError, match="encoder colours is none: say lite0"):
        ImagesParams.model_validate({"transfer": "delta"})
    with pytest.raises(ValueError, match="transfer deep teaches a network"):
        ImagesParams.model_validate({"transfer": "deep"})
