"""Products: what is said of them, their price from what they are, and its interval."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triad.artifacts import write_json
from triad.batch.run import Question, batch
from triad.config.evaluate import EvaluateParams
from triad.config.features import FeaturesParams
from triad.config.fuse import FuseParams
from triad.config.ingest import IngestParams
from triad.config.params import Params
from triad.config.runtime import RuntimeParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.evaluation import wording
from triad.evaluation.assess import NAIVE, assess
from triad.evaluation.assess import ORACLE as TRUTH
from triad.evaluation.figures import metrics_json
from triad.evaluation.intervals import intervals, sentences
from triad.evaluation.oracle import oracle
from triad.evaluation.scoring import score_members, score_naive
from triad.evaluation.window import window
from triad.examples import UNITS
from triad.examples.products import COLUMNS, Products
from triad.features.build import fit, transform
from triad.features.splits import folds
from triad.fusion.fitting import fit_fusion
from triad.fusion.fused import Fused
from triad.members.bench import Bench
from triad.members.product_numbers import Lesson
from triad.members.product_plain import Known, Medians
from triad.members.product_trees import SEEDS, Grown
from triad.members.registry import make_member
from triad.products.attributes import read
from triad.products.space import Said
from triad.products.space import said as said_of
from triad.schema import TABLES as CONTRACT
from triad.serving import by_facts
from triad.sources.simulated import simulate
from triad.statistics import conformal
from triad.tables import connect
from triad.texts import Texts
from triad.tracking import pricing
from triad.tracking.asked import answer
from triad.validation import suites

TASKS = {"product_price": TaskParams(kind="regression", label="product_price")}
SETTINGS = FeaturesParams.model_validate({"max_oov_rate": 0.9})


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    shop = IngestParams.model_validate(
        {"source": "simulated", "as_of": date(2026, 3, 1), "window_days": 40, "simulated": {"size": "tiny", "seed": 1}}
    )
    return simulate(shop).whole()[0]


def made(tables: dict[str, pa.Table]) -> Any:
    with connect(tables) as session:
        return fit(session, SETTINGS, TASKS, (date(2026, 1, 20), date(2026, 3, 1)))


@pytest.fixture(scope="module")
def made_shop(tables: dict[str, pa.Table]) -> Any:
    return made(tables)[0]


def test_products_of_tables_are_those_of_serving(tables: dict[str, pa.Table]) -> None:
    items = tables["items"].sort_by("item_id")
    price = items["price_cents"].to_numpy().copy()
    price[3] = 0
    said = ['{"Colour": "red", "weight": 450}'] + [""] * (len(price) - 1)
    items = items.set_column(items.column_names.index("price_cents"), "price_cents", pa.array(price))
    if "attributes" in items.column_names:
        items = items.drop_columns(["attributes"])
    items = items.append_column("attributes", pa.array(said))
    data, state = made({**tables, "items": items})
    products: Products = data.units["products"]
    assert products.product_id.tolist() == items["item_id"].to_pylist()
    assert json.loads(products.attributes[0]) == {"colour": "red", "weight": 450.0} and products.attributes[1] == ""
    label = data.labels("product_price")
    assert np.isnan(label[3]) and label[0] == pytest.approx(np.log1p(price[0]))
    np.testing.assert_array_equal(products.split, folds(items["item_id"].to_pylist()))
    with connect({**tables, "items": items}) as session:
        again = transform(session, state).units["products"]
    np.testing.assert_array_equal(again.labels, products.labels)
    assert again.attributes.tolist() == products.attributes.tolist()


def test_products_are_judged_by_category_and_by_what_the_shop_gives_of_them(made_shop: Any) -> None:
    data, products = made_shop, made_shop.units["products"]
    rows = data.rows("test", "products")
    parts = UNITS["products"].slices(data, rows)
    by_group: dict[str, int] = {}
    for group, _, inside in parts:
        assert inside.shape == rows.shape
        by_group[group] = by_group.get(group, 0) + int(inside.sum())
    assert by_group == dict.fromkeys(("category", "picture", "description", "attributes"), len(rows))
    without = next(inside for _, name, inside in parts if name == "without picture")
    assert without.tolist() == [products.image_path[row] == "" for row in rows] and 0 < without.sum() < len(rows)
    assert "fold" in UNITS["products"].judged and "window" in UNITS["exposures"].judged
    group, name, inside = parts[0]
    assert group == "category" and {products.category[row].split("/")[0] for row in rows[inside]} == {name}


@pytest.mark.parametrize("text", ["[1]", "{", "3", '{"a": {"b": 1}}', '{"a": [[1]]}', "[" * 100_000])
def test_what_is_no_object_of_attributes_is_refused(text: str) -> None:
    with pytest.raises(TriadError, match="no object of attributes") as error:
        read(text, where="table items, product 7")
    assert "product 7" in str(error.value)


def test_validation_sets_aside_just_the_attributes_that_are_refused() -> None:
    texts = ["[1]", "{", "3", '{"a": {"b": 1}}', '{"a": [[1]]}', '{"a": [{"b": 1}]}', "[" * 100_000, "", "  ", "{}"]
    texts += ['{"a": "b", "a": 2}', '{"q\\"x": [1, "b"], "y": null}', '{"a": NaN, "b": true}']
    (check,) = (
        each
        for each in suites.make(CONTRACT["items"])["expectations"]
        if (each.get("meta") or {}).get("column") == "attributes"
    )
    assert check["severity"] == "critical" and check["meta"]["row"]
    rows = pa.table({"place": range(len(texts)), "attributes": texts})
    query = check["kwargs"]["unexpected_rows_query"].replace("{batch}", "rows")
    with duckdb.connect() as session:
        found = {row[0] for row in session.register("rows", rows).execute(query).fetchall()}
    refused = set()
    for place, text in enumerate(texts):
        try:
            read(text)
        except TriadError:
            refused.add(place)
    assert found == refused == set(range(7))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "9" * 400])
def test_a_number_beyond_all_measure_says_nothing(number: str) -> None:
    assert read(f'{{"weight": {number}}}').known == {}


def test_contradicting_attributes_say_nothing() -> None:
    said = read(
        '{"Size": "M", "size ": "L", "Brand": "Luma", "use": ["a", "B"], "x": null, "y": NaN}', {"brand": "Pola"}
    )
    assert said.known == {"use": "a, b"}
    assert said.contradicted == {"size": ("l", "m"), "brand": ("luma", "pola")}
    assert read("").known == {} and read(said.text).known == said.known


def test_facts_are_whole_values_and_series_are_near_by_letters() -> None:
    said = [
        Said("Toner TN-2220", "", "ink/toner", "Luma", {"yield": 2600.0, "colour": "dark  red"}),
        Said("Drum TN-2220XL", "", "ink/toner", "Luma", {}),
        Said("Paper A4 bright", "", "paper", "Pola", {"price": "3"}),
    ]
    assert said[0].facts[:4] == ["brand=Luma", "category=ink/toner", "yield=2600", "colour=dark red"]
    assert said[0].facts[4:] == ["brand", "category", "yield", "colour"]
    assert all("price" not in fact for fact in said[2].facts)
    key, label = Texts.of(["a", "b", "c"]), np.array([1.0, 2.0, 3.0])
    known = Known.fit(Lesson(key, said, label))
    near = known.nearest_called(said, key)
    assert near.row[0, 0] == 1 and near.row[1, 0] == 0 and near.cosine[0, 0] > 0.2 > near.cosine[0, 1]
    space = known.space
    assert space.matrix(said).shape[1] == sum(
        each.shape[1] for each in (space.terms(said), space.called(said), space.facts.matrix([""]))
    )


def test_forests_answer_by_their_mean_and_are_kept(learned: Any, tmp_path: Path) -> None:
    (grown,) = learned.fused.members["product_trees"].held.values()
    products = said_of(learned.data.units["products"], learned.data.rows("test", "products")[:5])
    assert len(grown.boosters) == len(SEEDS)
    alone = [replace(grown, boosters=(each,)).score(products) for each in grown.boosters]
    np.testing.assert_allclose(grown.score(products), np.mean(alone, axis=0))
    assert np.ptp(alone, axis=0).max() > 0
    grown.save(tmp_path)
    np.testing.assert_array_equal(Grown.load(tmp_path).score(products), grown.score(products))


SHOP = IngestParams.model_validate(
    {"source": "simulated", "as_of": date(2026, 3, 1), "window_days": 40, "simulated": {"size": "small", "seed": 1}}
)
MEMBERS = ("popularity", "category_median", "comparables", "product_ridge", "product_trees")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The products of a small shop with the log of its first customers, priced; and the truth."""
    tables, truth = priced_shop()
    data, state = made(tables)
    bench = Bench(data, Sections(), lambda: np.zeros((0, 0)))  # type: ignore[arg-type]
    members = {name: make_member(name, bench) for name in MEMBERS}
    fused = fit_fusion(data, members, TASKS, FuseParams())
    folder = tmp_path_factory.mktemp("fused")
    fused.save(folder)
    return SimpleNamespace(data=data, state=state, fused=Fused.load(folder), truth=truth, tables=tables, bench=bench)


class Sections:
    tasks = TASKS


def priced_shop() -> tuple[dict[str, pa.Table], dict[str, float]]:
    shop = simulate(SHOP)
    day = next(shop.days())
    truth = dict(zip(*(shop.oracle["products"][name].to_pylist() for name in ("item_id", "log_price")), strict=True))
    return {**shop.tables, "events": day.events}, truth


def test_a_price_follows_from_what_a_product_is(learned: Any) -> None:
    data, fused = learned.data, learned.fused
    rows = data.rows("test", "products")
    label = data.labels("product_price")[rows]
    alone = fused.predict_members(data, rows, tasks=["product_price"])
    miss = {name: np.abs(scores["product_price"] - label).mean() for name, scores in alone.items()}
    best = np.abs(np.array([learned.truth[key] for key in data.units["products"].product_id[rows]]) - label).mean()
    own = np.abs(fused.predict(data, rows, None, "products")["product_price"] - label).mean()
    assert best < own < 0.75 * miss["category_median"] < miss["popularity"]
    assert own < miss["comparables"]


def test_a_price_is_judged_beside_the_truth_and_a_median(learned: Any, tmp_path: Path) -> None:
    data, fused, asked = learned.data, learned.fused, window(learned.data, "test", 10, 1)
    known = pa.table({"item_id": list(learned.truth), "log_price": list(learned.truth.values())})
    pq.write_table(known, tmp_path / "products.parquet")
    write_json(tmp_path / "oracle.json", {"known": True})
    truth = oracle(tmp_path, data, TASKS, asked)
    assert truth is not None
    models = score_members(fused, data, asked) | {NAIVE: score_naive(fused, data, TASKS, asked), TRUTH: truth}
    result = assess(data, TASKS, asked, models, parts=[], thresholds={}, params=EvaluateParams())
    figures = metrics_json(result, EvaluateParams(), {})["product_price"]
    assert figures["oracle"]["mae"] < figures["mae"]["value"] < figures["naive"]["mae"]
    assert "of the price" in wording.sentence(TASKS["product_price"], figures, 10)


def test_intervals_hold_as_much_as_they_say(learned: Any) -> None:
    data, fused = learned.data, learned.fused
    scored = window(data, "test", 10, 1)
    scores = fused.predict(data, scored.of("products"), None, "products")
    figures = intervals(fused, data, scored, scores)
    one = figures["product_price"]
    assert one["level"] == 0.9 and one["rows"] == len(data.rows("test", "products"))
    assert all(one[name] > 0.8 for name in ("coverage", "coverage_lowest", "coverage_middle", "coverage_highest"))
    assert "90%" in sentences(figures)[0]


def test_residuals_of_each_third_are_its_own_bounds() -> None:
    random = np.random.default_rng(1)
    label = random.normal(size=6_000)
    scores = 0.7 * label + random.normal(size=6_000) * 0.5
    kept, later = np.arange(3_000), np.arange(3_000, 6_000)
    interval = conformal.fit(scores[kept], label[kept], 0.9)
    low, high = conformal.bounds(interval, scores[later])
    inside = (low <= label[later]) & (label[later] <= high)
    third = conformal.part_of(label[later], interval["edges"])
    assert 0.88 < inside.mean() < 0.92 and all(0.87 < inside[third == part].mean() < 0.94 for part in range(3))
    assert (low <= scores[later]).all() and (scores[later] <= high).all()


def test_too_few_rows_for_an_interval_are_told_before_anything_learns(tables: dict[str, pa.Table]) -> None:
    assert (conformal.fewest(0.9), conformal.fewest(0.5)) == (19, 3)
    for rows in (1, 2, 19, 40, 57, 200):  # two labels, too, have a part each or one
        interval = conformal.fit(np.zeros(rows), np.arange(rows) % 7 / 1.0, 0.9)
        assert len(interval["low"]) == len(interval["edges"]) + 1 <= max(1, rows // 19)
    items = tables["items"]
    for priced in (0, 1, 12):
        cents = np.where(np.arange(len(items)) < priced, 900, 0)
        few = {**tables, "items": items.set_column(items.column_names.index("price_cents"), "price_cents", [cents])}
        with pytest.raises(TriadError, match=r"labelled row[^\n]*\n.*give more products a value"):
            made(few)


def test_no_price_is_below_zero_or_beyond_all_numbers() -> None:
    assert pricing._cents(np.array([-3.0, -0.1, 0.0, np.log1p(250.0), 1e4])).tolist()[:4] == [0, 0, 0, 250]
    assert pricing._cents(np.array([1e4]))[0] > 0


def test_a_category_that_begins_with_a_slash_is_not_everywhere() -> None:
    said = [Said("", "", path, "", {}) for path in ("/dear/a", "cheap", "cheap", "cheap")]
    found = Medians.fit(Lesson(Texts.of(list("abcd")), said, np.array([9.0, 1, 1, 1])))
    assert found.score([Said("", "", "new", "", {})]).tolist() == [1.0]
    assert found.score(said)[0] > found.score([Said("", "", "/dear", "", {})])[0] > 1


def test_products_of_which_nothing_is_said_are_learned_from() -> None:
    lesson = Lesson(Texts.of([f"i{n}" for n in range(30)]), [Said("", "", "", "", {})] * 30, np.linspace(4, 6, 30))
    assert np.isfinite(Grown.fit(lesson, lesson).score(lesson.products)).all()


def asked(learned: Any, **product: str) -> dict[str, Any]:
    rows = answer(learned, {"items": [{"item_id": "new", **product}]}, {"mode": "price", "k": 0})
    return rows.iloc[0].to_dict()


def test_a_price_is_told_with_its_interval_comparables_and_reasons(learned: Any) -> None:
    items = learned.tables["items"]
    rows = items.slice(0, 3).drop_columns(["price_cents", "available_from"])
    told = answer(learned, {"items": rows.to_pandas()}, {"mode": "price", "k": 0})
    assert (told["low_cents"] <= told["price_cents"]).all() and (told["price_cents"] <= told["high_cents"]).all()
    for item, near, why in zip(rows["item_id"].to_pylist(), told["comparables"], told["why"], strict=True):
        keys = [each.split(" at ")[0] for each in near.split("; ")]
        assert len(keys) == 5 and item not in keys and why.count(" it by ") == 3
    assert told["note"].isna().all() and (told["level"] == 0.9).all()


def test_many_products_are_priced_as_in_a_request(learned: Any, tmp_path: Path) -> None:
    rows = learned.tables["items"].slice(0, 5).drop_columns(["price_cents", "available_from"])
    pq.write_table(rows, tmp_path / "asked.parquet", row_group_size=2)
    params = Params.model_construct(runtime=RuntimeParams())
    batch(params, learned, Question("price", tmp_path / "asked.parquet", tmp_path, {}), tmp_path / "told.parquet")
    told = answer(learned, {"items": rows}, {"mode": "price", "k": 0})
    assert pq.read_table(tmp_path / "told.parquet").to_pylist() == told.to_dict("records")


def test_little_or_odd_words_get_an_answer_that_says_so(learned: Any) -> None:
    for nothing in ({}, {"image_path": "data:image/png;base64,AA=="}, {"title": " "}, {"attributes": '{"price": 9}'}):
        assert "nothing is said" in asked(learned, **nothing)["note"]
    assert "another language" in asked(learned, title="Нержавеющая сковорода")["note"]
    odd = asked(learned, title="Brunel copper pan", brand="Brunel", attributes='{"brand": "Pola", "weight_g": 400}')
    assert odd["note"] == "brand is said to be brunel and pola: neither was read" and odd["price_cents"] > 0
    with pytest.raises(TriadError, match="no object of attributes"):
        asked(learned, attributes="copper")
    for wrong in ({}, {"items": []}, {"items": [{"title": "x"}]}, {"items": [{"item_id": "a", "title": 3}]}):
        with pytest.raises(TriadError):
            answer(learned, wrong, {"mode": "price", "k": 0})


def test_what_would_change_a_price_is_what_is_asked_again_with_it(learned: Any) -> None:
    items = learned.tables["items"].to_pylist()
    product = {"item_id": "new"} | {n: items[0].get(n) or "" for n in COLUMNS if n != "image_path"}
    product |= {"image_path": "", "attributes": '{"weight_g": 900}'}
    names = [np.array([row[name] for row in items]) for name in ("category", "brand")]
    night: Any = SimpleNamespace(model=learned, categories=names[0], brands=names[1])
    found = by_facts.of_price(night, product)
    assert 1 < len(found) <= by_facts.CHANGES
    said = {name: value for name, value in product.items() if name != "item_id"}
    usual = asked(learned, **said)["price_cents"]
    moved = [abs(np.log(each.cents["price_cents"] / usual)) for each in found]
    assert moved == sorted(moved, reverse=True) and moved[-1] > 0
    told = {each.words: each.cents for each in found}
    for words, cents in told.items():
        assert cents["low_cents"] < cents["price_cents"] < cents["high_cents"]
        if words.startswith("its brand were "):
            other = words.removeprefix("its brand were ")
            assert other != product["brand"]
            assert asked(learned, **{**said, "brand": other})["price_cents"] == cents["price_cents"]
        elif (name := words.removeprefix("nothing were said of its ")) in said:
            assert asked(learned, **{**said, name: ""})["price_cents"] == cents["price_cents"]
    assert by_facts.of_price(replace_brands(night, ""), dict.fromkeys(("item_id", *COLUMNS), "")) == []


def replace_brands(night: Any, brand: str) -> Any:
    return SimpleNamespace(model=night.model, categories=night.categories, brands=np.full(len(night.brands), brand))


def test_a_model_without_prices_says_so(learned: Any) -> None:
    bare = SimpleNamespace(state=learned.state, fused=replace(learned.fused, intervals={}))
    with pytest.raises(TriadError, match="tells no prices"):
        asked(bare)


def test_members_fitted_again_choose_nothing_anew(learned: Any) -> None:
    again = learned.fused.refit(learned.bench)
    rows = learned.data.rows("test", "products")
    before, after = (each.predict(learned.data, rows, None, "products") for each in (learned.fused, again))
    np.testing.assert_allclose(before["product_price"], after["product_price"], rtol=1e-5)
