"""Are the patches of a picture that carry a class those without which the class falls? Deletion curves.

    python benchmarks/patches.py [--encoder colours] [--pictures 60] [--seeds 1 2 3]

Products are those of the simulated shop `small` with its own pictures (`drawn`), and with pictures and
subcategories of Fashion (`photographs`; data in TRIAD_DATASETS), a thousand each. `product_linear` learns the category
from the picture alone. Of test pictures, patches are painted over one by one: by share, largest first, and in random
order. What counts is how far the chance of the class falls on average over the curve, as a share of it. 95 % intervals
over pictures.
"""

from __future__ import annotations

import argparse
import base64
import csv
import gzip
import os
import time
import zipfile
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from triad.config.features import FeaturesParams
from triad.config.images import ImagesParams
from triad.config.ingest import IngestParams
from triad.config.tasks import TaskParams
from triad.config.text import TextParams
from triad.features.build import fit
from triad.images.decoding import decode
from triad.images.encoder import SIZE
from triad.images.files import read
from triad.images.patches import GRID, as_data, painted
from triad.members.bench import Bench
from triad.members.product_linear import ProductLinear, ProductSpace
from triad.serving.by_patches import of_product
from triad.sources.simulated import simulate
from triad.tables import connect
from triad.tracking.classifying import scores_of

TASK = {"category": TaskParams(kind="multiclass", label="product_class", column="category")}
WINDOW = date(2026, 1, 20), date(2026, 3, 1)
ORDERS, GONE, RESAMPLES = 5, GRID**2 // 2, 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default="colours")
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked = parser.parse_args()
    print(
        "| Pictures | Seed | Right | By share | At random | More | Gap of the sum | ms a picture |\n" + "|---" * 8 + "|"
    )
    for seed in asked.seeds:
        tables = _tables(seed)
        for name, told in (("drawn", tables), ("photographs", _photographs(tables, seed))):
            print(f"| {name} | {seed} | {_row(told, asked.encoder, asked.pictures, seed)} |", flush=True)


def _tables(seed: int) -> dict[str, pa.Table]:
    shop = IngestParams.model_validate(
        {"source": "simulated", "as_of": WINDOW[1], "window_days": 40, "simulated": {"size": "small", "seed": seed}}
    )
    held = simulate(shop)
    return held.tables | {"events": next(held.days()).events}


def _photographs(tables: dict[str, pa.Table], seed: int) -> dict[str, pa.Table]:
    folder, items = Path(os.environ["TRIAD_DATASETS"]) / "fashion", tables["items"]
    pictures = zipfile.ZipFile(folder / "images_60x80.zip")
    there = set(pictures.namelist())
    with gzip.open(folder / "styles.csv.gz", "rt", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if f"{row['id']}.jpg" in there]
    some = np.random.default_rng(seed).choice(len(rows), items.num_rows, replace=False).tolist()
    held = [base64.b64encode(pictures.read(f"{rows[at]['id']}.jpg")).decode() for at in some]
    columns = {"image_path": [f"data:image/jpeg;base64,{each}" for each in held]}
    columns["category"] = [rows[at]["subCategory"] for at in some]
    for name, values in columns.items():
        items = items.set_column(items.column_names.index(name), name, pa.array(values, pa.string()))
    return {**tables, "items": items}


def _row(tables: dict[str, pa.Table], encoder: str, most: int, seed: int) -> str:
    items = tables["items"]
    for name in ("title", "description"):
        items = items.set_column(items.column_names.index(name), name, pa.nulls(items.num_rows, pa.string()))
    with connect({**tables, "items": items}) as session:
        data, state = fit(session, FeaturesParams.model_validate({"max_oov_rate": 1.0}), TASK, WINDOW)
    params: Any = SimpleNamespace(tasks=TASK, text=TextParams(), images=ImagesParams(encoder=encoder))
    bench = Bench(data, params, lambda: np.zeros((0, 0)))
    linear = ProductLinear.fit(data, TASK, ProductSpace.fit(bench, ("words",)), {"category": 30.0})
    alone = SimpleNamespace(of_unit=lambda *_: ["category"], predict=lambda data, rows, *_: linear.predict(data, rows))
    model: Any = SimpleNamespace(state=state, fused=alone)
    paths, label = data.units["products"].image_path, data.labels("category")
    rows = [row for row in data.rows("test", "products").tolist() if paths[row] and not np.isnan(label[row])]
    luck, falls, right, gaps, took = np.random.default_rng(seed), [], [], [], []
    for row in luck.permutation(rows)[:most].tolist():
        begun = time.process_time()
        found = of_product(model, _said(paths[row]))["category"].patches
        took.append(1000 * (time.process_time() - begun))
        scores, whole = _curves(model, paths[row], found, luck)
        right.append(int(whole) == int(label[row]))
        gaps.append(abs(sum(part.value for part in found) - scores[0, 0]))
        fall = ((scores[:, :1] - scores[:, 1:]) / scores[:, :1]).mean(axis=1)
        falls.append([fall[0], fall[1:].mean()])
    each = np.array(falls)
    more = each[:, 0] - each[:, 1]
    drawn = np.random.default_rng(seed).integers(0, len(more), (RESAMPLES, len(more)))
    low, high = np.quantile(more[drawn].mean(axis=1), [0.025, 0.975])
    return (
        f"{np.mean(right):.0%} of {len(right)} | {each[:, 0].mean():.1%} | {each[:, 1].mean():.1%} | "
        f"{more.mean():+.1%} [{low:+.1%}, {high:+.1%}] | {max(gaps):.0e} | {np.median(took):.0f}"
    )


def _said(path: str) -> dict[str, str]:
    return {"item_id": "p", "title": "", "description": "", "image_path": path}


def _curves(model: Any, path: str, found: Any, luck: np.random.Generator) -> tuple[np.ndarray, int]:
    """(1 + ORDERS, 1 + GONE) chances of the class as patches go, by share and in random orders; and the class."""
    shares = sorted((part for part in found if part.place is not None), key=lambda part: -part.value)
    orders = [[part.place for part in shares], *(luck.permutation(GRID**2).tolist() for _ in range(ORDERS))]
    picture: Any = decode(read(None, path), SIZE)  # type: ignore[arg-type]
    left = np.array([[p not in order[:n] for p in range(GRID**2)] for order in orders for n in range(GONE + 1)])
    asked = {name: [value] * len(left) for name, value in _said(path).items()}
    asked["image_path"] = [as_data(each) for each in painted(picture, left)]
    scores = scores_of(model.state, model.fused, asked, ["category"])["category"].reshape(len(orders), GONE + 1, -1)
    place = int(scores[0, 0].argmax())
    return scores[:, :, place], place


if __name__ == "__main__":
    main()
