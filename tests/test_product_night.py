"""One whole tiny night of `configs/products.yaml`, what it serves over HTTP, and the light night after it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml
from make_airflow import deploy
from make_workspace import ROOT, run

from triad.config.params import merge

pytestmark = pytest.mark.proof

UNGATED = ("profile", "price", "reply", "product_price")
"""What three hundred customers and a few dozen products are too few to show."""
TINY = """
ingest: {simulated: {size: tiny}}
pretrain: {max_epochs: 3, trunk: {layers: 1}}
finetune: {max_epochs: 2, source_gate: false}
profile: {max_iterations: 60}
fuse: {bootstrap: 100}
evaluate: {bootstrap: 100}
text: {writing: {steps: 60}}
refit: {health: {max_calibration_loss: 0.1}}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone, since nights leave branches, after its first full night."""
    params = merge(yaml.safe_load((ROOT / "configs/products.yaml").read_text()), yaml.safe_load(TINY))
    for name in UNGATED:
        params["tasks"][name]["gated"] = False
    folder = deploy(tmp_path_factory.mktemp("products") / "shop", yaml.safe_dump(params))
    run(folder, "dvc", "repro")
    return folder


def test_classes_are_gated_and_the_night_promotes_what_lists_are_made_with(shop: Path) -> None:
    verdict = json.loads((shop / "artifacts/evaluate/report/verdict.json").read_text())
    published = json.loads((shop / "artifacts/publish/published.json").read_text())
    assert {"category", "colour"} <= set(verdict["tasks"])
    assert (verdict["verdict"], published["promoted"]) == ("PASS", True), verdict["reasons"]
    assert json.loads((shop / "artifacts/recommend/summary.json").read_text())["model_version"] == "1"


def test_the_report_speaks_of_products_where_they_are_judged(shop: Path) -> None:
    page = (shop / "artifacts/evaluate/report/report.html").read_text()
    for task in ("product_price", "category", "colour"):
        (card,) = re.findall(rf'<section class="card" id="task-{task}">.*?</section>', page, re.DOTALL)
        assert "of a fold by id" in card and "customer" not in card.lower(), card


def test_products_to_look_at_are_listed(shop: Path) -> None:
    said = run(shop, "triad", "misfiled")
    listed = pyarrow.csv.read_csv(shop / "artifacts/misfiled/products.csv")["task"].to_pylist()
    for task in ("category", "colour"):
        assert f"{task}: {listed.count(task)} products to look at" in said
    assert listed


ASK = """
import json, os, sys
from fastapi.testclient import TestClient
from triad.serving.commands import SETTINGS, app
os.environ[SETTINGS] = json.dumps({"tables": None, "poll": 3600, "demo": False})
items, told = json.loads(sys.argv[1]), {}
with TestClient(app(), base_url="http://127.0.0.1") as client:
    told["health"] = client.get("/health").json()
    for path, body in {
        "price": {"tables": {"items": items}},
        "classify": {"tables": {"items": items}},
        "describe": {"items": items},
    }.items():
        said = client.post("/" + path, json=body)
        told[path] = {"status": said.status_code, **said.json()}
print("TOLD", json.dumps(told))
"""


def asked(folder: Path, items: list[dict[str, Any]]) -> dict[str, Any]:
    """What the service of `folder` says of `items`."""
    said = run(folder, sys.executable, "-c", ASK, json.dumps(items))
    told: dict[str, Any] = json.loads(next(line for line in said.splitlines() if line.startswith("TOLD "))[5:])
    return told


def said_of(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Three products as a shop sends new ones: with a picture, without, and by a name alone."""
    columns = ("title", "description", "brand", "category", "attributes", "image_path")
    pictured = next(item for item in items if item["image_path"])
    plain = next(item for item in items if not item["image_path"] and item["item_id"] != pictured["item_id"])
    whole = [{"item_id": f"new-{n}", **{c: each[c] or "" for c in columns}} for n, each in enumerate((pictured, plain))]
    return [*whole, {"item_id": "new-2", "title": "Copper pan"}]


def test_the_service_prices_classifies_and_describes(shop: Path) -> None:
    items = said_of(pq.read_table(shop / "artifacts/validate/tables/items").to_pylist())
    ids, told = [item["item_id"] for item in items], asked(shop, items)
    assert told["health"]["version"] == "1"
    assert [told[path]["status"] for path in ("price", "classify", "describe")] == [200] * 3, told
    prices, classes = told["price"]["rows"], told["classify"]["rows"]
    assert [row["item_id"] for row in prices] == [row["item_id"] for row in classes] == ids
    assert all(0 < row["low_cents"] <= row["price_cents"] <= row["high_cents"] for row in prices)
    assert [row["picture"] for row in classes] == ["read", *["there is no file"] * 2]
    assert all(row[task] and 0 < row[f"{task}_score"] <= 1 for row in classes for task in ("category", "colour"))
    texts = told["describe"]["texts"]
    assert [row["item_id"] for row in texts] == [each for each in ids for _ in range(3)]
    assert all(row["text"] for row in texts if row["item_id"] in ids[:2])


def test_a_light_night_after_it_is_promoted(shop: Path) -> None:
    said = run(shop, "triad", "retraining", "night", "--night", "light", "--as-of", "2026-03-02")
    done = json.loads(next(line for line in reversed(said.splitlines()) if line.startswith("{")))
    assert (done["verdict"], done["promoted"], done["version"]) == ("PASS", True, "2"), done
    lists = Path(done["workspace"]) / "artifacts/recommend/summary.json"
    assert json.loads(lists.read_text())["model_version"] == "2"
