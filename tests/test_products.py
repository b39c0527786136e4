"""Products: what is said of them, their price from what they are, and its interval."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from triad.config.features import FeaturesParams
from triad.config.ingest import IngestParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.examples.products import Products
from triad.features.build import fit, transform
from triad.features.splits import folds
from triad.products.attributes import read
from triad.sources.simulated import simulate
from triad.tables import connect

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


@pytest.mark.parametrize("text", ["[1]", "{", "3", '{"a": {"b": 1}}', '{"a": [[1]]}', "[" * 100_000])
def test_what_is_no_object_of_attributes_is_refused(text: str) -> None:
    with pytest.raises(TriadError, match="no object of attributes") as error:
        read(text, where="table items, product 7")
    assert "product 7" in str(error.value)


def test_contradicting_attributes_say_nothing() -> None:
    said = read(
        '{"Size": "M", "size ": "L", "Brand": "Luma", "use": ["a", "B"], "x": null, "y": NaN}', {"brand": "Pola"}
    )
    assert said.known == {"use": "a, b"}
    assert said.contradicted == {"size": ("l", "m"), "brand": ("luma", "pola")}
    assert read("").known == {} and read(said.text).known == said.known
