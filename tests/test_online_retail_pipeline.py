"""The whole pipeline on a share of a real shop's log, by the shipped preset."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from make_workspace import ROOT, checkout, remove, run_stages

from triad.config.params import merge

SMALLER = {
    "ingest": {"files": {"sample_users": 0.2}},
    "features": {"sampled_negatives": 1},
    "pretrain": {"max_epochs": 2, "trunk": {"layers": 1}},
    "finetune": {"max_epochs": 2, "source_gate": False},
    "profile": {"max_iterations": 30},
}


@pytest.mark.skipif("TRIAD_DATASETS" not in os.environ, reason="TRIAD_DATASETS names no folder with online_retail/")
@pytest.mark.proof
def test_a_real_shop_goes_from_invoices_to_recommendations(tmp_path: Path) -> None:
    preset = yaml.safe_load((ROOT / "configs" / "online_retail.yaml").read_text())
    files = preset["ingest"]["files"] | SMALLER["ingest"]["files"]
    shop = checkout(tmp_path / "shop", yaml.safe_dump(merge(preset, SMALLER | {"ingest": {"files": files}})))
    try:
        run_stages(shop, "recommend")
        metrics = json.loads((shop / "artifacts/evaluate/metrics.json").read_text())
        assert set(metrics) == {"purchase", "spend", "profile", "price", "next", "training"}
        assert metrics["purchase"]["auc"]["lo"] > 0.7
        assert metrics["next"]["gain_over_naive"]["lo"] > 0
        assert {"similarity", "item_knn", "popularity", "pretrain"} <= set(metrics["next"]["members"])
        assert (shop / "artifacts/evaluate/report/report.html").stat().st_size > 50_000
        assert (shop / "artifacts/recommend/recommendations.parquet").is_file()
    finally:
        remove(shop)
