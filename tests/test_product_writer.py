"""The member that writes of products: it learns in the night, is judged beside a template, serves with its version."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from triad.batch.run import Question, batch
from triad.config.evaluate import EvaluateParams
from triad.config.features import FeaturesParams
from triad.config.fuse import FuseParams
from triad.config.images import ImagesParams
from triad.config.ingest import IngestParams
from triad.config.params import Params
from triad.config.runtime import RuntimeParams
from triad.config.tasks import TaskParams
from triad.config.text import TextParams
from triad.errors import TriadError
from triad.evaluation.texts import sentences, texts
from triad.features.build import fit
from triad.fusion.fitting import fit_fusion
from triad.fusion.fused import Fused
from triad.members.bench import Bench
from triad.members.product_writer import ProductWriter, known
from triad.members.registry import make_member
from triad.serving import describing, refusals
from triad.sources.simulated import simulate
from triad.tables import connect
from triad.tracking.asked import answer
from triad.writing.writer import NETWORK

TASKS = {"product_price": TaskParams(kind="regression", label="product_price")}
WINDOW = date(2026, 1, 20), date(2026, 3, 1)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A night's writer in its fusion, saved and loaded; the network has seen a handful of batches."""
    shop = IngestParams.model_validate(
        {"source": "simulated", "as_of": WINDOW[1], "window_days": 40, "simulated": {"size": "small", "seed": 1}}
    )
    held = simulate(shop)
    tables = held.tables | {"events": next(held.days()).events}
    with connect(tables) as session:
        data, state = fit(session, FeaturesParams.model_validate({"max_oov_rate": 1.0}), TASKS, WINDOW)
    folder = tmp_path_factory.mktemp("night")
    edits = folder / "edits.csv"
    first = data.units["products"].product_id[int(data.rows("train", "products")[0])]
    edits.write_text(f"item_id,genre,text\n{first},description,Nothing but itself\ngone,title,Of no product\n")
    text = TextParams.model_validate({"writing": {"steps": 12, "edits": str(edits)}})
    params: Any = SimpleNamespace(tasks=TASKS, text=text, images=ImagesParams())
    bench = Bench(data, params, lambda: np.zeros((0, 0)))
    members = {name: make_member(name, bench) for name in ("category_median", "product_writer")}
    fused = fit_fusion(data, members, TASKS, FuseParams(bootstrap=20))
    fused.save(folder / "fuse")
    return SimpleNamespace(data=data, state=state, bench=bench, fused=Fused.load(folder / "fuse"), tables=tables)


def test_it_serves_without_a_weight_and_is_fitted_again_on_all_days(
    learned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert learned.fused.kept() == ["category_median", "product_writer"] and learned.fused.writers == ["product_writer"]
    taught: dict[str, Any] = {}

    def instead(products: Any, settings: Any, catalogue: Any) -> Any:
        taught.update(products=products, settings=settings, catalogue=catalogue)
        return learned.fused.members["product_writer"].writer

    monkeypatch.setattr("triad.members.product_writer.learned", instead)
    data = learned.data
    whole = replace(data.units["products"], split=np.zeros(len(data.units["products"].split), np.int8))
    bench = replace(learned.bench, data=data.replaced(products=whole))
    assert isinstance(learned.fused.refit(bench).members["product_writer"], ProductWriter)
    assert len(taught["products"]) == len(learned.tables["items"]) == len(taught["catalogue"])


def test_it_is_judged_beside_the_best_template_by_products_that_it_did_not_learn_from(learned: Any) -> None:
    figures = texts(learned.fused, learned.data, EvaluateParams(bootstrap=50))
    assert set(figures) == {"title", "description"}
    for each in figures.values():
        assert each["products"] > 50 and each["low"] <= each["gain"] <= each["high"]
        assert each["chrf"] - each["template"] == pytest.approx(each["gain"])
        assert each["fell_back"] + each["unwritten"] + each["by_network"] == pytest.approx(1)
        assert each["invented"] == 0  # the check's own word, whatever the network has learned
    assert "against the best template" in sentences(figures)[0]
    without = replace(learned.fused, members={"category_median": learned.fused.members["category_median"]})
    assert texts(without, learned.data, EvaluateParams()) == {}


def test_it_writes_descriptions_of_products_alone(learned: Any) -> None:
    rows = learned.data.rows("test", "products")[:5]
    written = learned.fused.generate(learned.data, rows, "products")
    assert len(written) == 5 and all(isinstance(each, str) for each in written)
    with pytest.raises(TriadError, match="no member writes texts"):
        learned.fused.generate(learned.data, rows, "messages")


def test_facts_are_as_the_shop_wrote_them(learned: Any) -> None:
    ((product, against),) = known(learned.data.units["products"], np.array([0]))
    item = next(row for row in learned.tables["items"].to_pylist() if row["item_id"] == product.id)
    assert not against and product.brand == item["brand"] and product.texts["title"] == item["title"]


ITEM = {"item_id": "n1", "brand": "Luma", "title": "Oak lamp", "attributes": '{"material": "oak", "colour": "red"}'}


def ask(learned: Any, items: Any, **dials: Any) -> Any:
    return answer(learned, {"items": items}, {"mode": "describe", "k": 0, **dials})


def test_a_registered_version_writes(learned: Any) -> None:
    told = ask(learned, [ITEM], tone="warm", length="short")
    assert told["genre"].tolist() == ["title", "description", "promotion"] and told["machine_made"].all()
    said = dict(zip(told["genre"], told["text"], strict=True))
    assert said["promotion"].startswith("Treat yourself: ")


def test_a_table_of_products_is_written_of_as_in_a_request(learned: Any, tmp_path: Path) -> None:
    items = [ITEM | {"price_cents": 900}, ITEM | {"item_id": "n2", "price_cents": 0}]
    pyarrow.csv.write_csv(pa.Table.from_pylist(items), tmp_path / "items.csv")
    question = Question("describe", tmp_path / "items.csv", tmp_path, {"tone": "warm", "length": "short"})
    params = Params.model_construct(runtime=RuntimeParams())
    assert batch(params, learned, question, tmp_path / "told.parquet") == 2
    told = ask(learned, items, tone="warm", length="short")
    assert pq.read_table(tmp_path / "told.parquet").to_pylist() == told.to_dict("records")


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"item_id": "n1"}, "no attributes"),
        (ITEM | {"attributes": '{"colour": "red", "Colour": "blue"}'}, "contradict"),
        (ITEM | {"price_cents": 0}, "no price above zero"),
        (
            ITEM
            | {"brand": "", "attributes": '{"Farbe": "kariert", "Stoff": "Baumwolle mit Rand", "Art": "Hemdchen"}'},
            "",
        ),
    ],
)
def test_bad_products_get_a_clear_answer(learned: Any, item: dict[str, Any], why: str) -> None:
    told = ask(learned, [item]).to_dict("records")
    assert any(why in (row["why"] or "") for row in told)
    assert all(row["written_by"] != NETWORK or row["text"] for row in told)


@pytest.mark.parametrize(
    ("items", "dials", "what"),
    [
        ([], {}, "holds no products"),
        ([{"title": "lamp"}], {}, "is missing"),
        ([ITEM | {"price_cents": "dear"}], {}, "holds what is no number"),
        ([ITEM | {"atributes": "{}"}], {}, "did you mean attributes?"),
        ([ITEM | {"attributes": "[1]"}], {}, "no object of attributes"),
        ([ITEM], {"tone": "loud"}, "ask for plain or warm or brisk"),
        ([ITEM], {"length": "endless"}, "unknown 'endless'"),
    ],
)
def test_what_cannot_be_written_of_is_refused(learned: Any, items: Any, dials: Any, what: str) -> None:
    with pytest.raises(TriadError) as refused:
        ask(learned, items, **dials)
    assert what in str(refused.value)
    for nothing in ({}, {"users": []}):
        with pytest.raises(TriadError, match="holds no products"):
            answer(learned, nothing, {"mode": "describe", "k": 0})


def test_a_model_without_a_writer_says_so(learned: Any) -> None:
    members = {"category_median": learned.fused.members["category_median"]}
    with pytest.raises(TriadError, match="the model writes no texts"):
        ask(SimpleNamespace(state=learned.state, fused=replace(learned.fused, members=members)), [ITEM])


class Held:
    """The lock of a served model."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_: Any) -> None: ...


def test_the_version_that_serves_writes_over_http_and_a_checkout_is_not_needed(learned: Any) -> None:
    app = FastAPI()
    refusals.install(app)
    night = SimpleNamespace(model=SimpleNamespace(fused=learned.fused))
    holder: Any = SimpleNamespace(now=SimpleNamespace(night=night, lock=Held()))
    describing.add(app, holder, None, lambda **more: JSONResponse(more))
    with TestClient(app) as client:
        told = client.post("/describe", json={"items": [ITEM], "tone": "brisk"}).json()
        assert [row["genre"] for row in told["texts"]] == ["title", "description", "promotion"]
        assert client.post("/describe", json={"items": [{"title": "x"}]}).status_code == 400
        holder.now.night.model.fused = replace(learned.fused, members={})
        assert client.post("/describe", json={"items": [ITEM]}).status_code == 501


def test_an_edit_of_people_that_cannot_be_read_ends_the_night(learned: Any, tmp_path: Path) -> None:
    text = TextParams.model_validate({"writing": {"edits": str(tmp_path / "nowhere.csv")}})
    params: Any = SimpleNamespace(tasks=TASKS, text=text)
    with pytest.raises(TriadError, match="no such file"):
        ProductWriter.make(replace(learned.bench, params=params), "product_writer")
