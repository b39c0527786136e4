"""A worker that serves the night of `make_night` that lies in the folder TRIAD_TEST_NIGHT; its log is shown/ there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from triad.config.recommend import RecommendParams
from triad.serving.app import make
from triad.serving.commands import end_with_supervisor, supervised
from triad.serving.customers import Customers
from triad.serving.holder import Holder, Served
from triad.serving.impressions import ImpressionLog
from triad.serving.night import Night
from triad.tracking.serving import ServingModel


def app() -> Any:
    end_with_supervisor()
    root = Path(os.environ["TRIAD_TEST_NIGHT"])
    model = ServingModel.load(root / "artifacts/refit/state", root / "artifacts/refit/fuse", "1")
    night = Night.of(model, root / "artifacts/validate/tables", RecommendParams(k=5, candidates=12))
    holder = Holder(lambda: ("1", 0), lambda version: Served(version, night))
    return make(holder, customers=Customers(ImpressionLog(root / "shown", "never")))


if __name__ == "__main__":
    supervised(
        "serve_night:app", "127.0.0.1", int(os.environ["TRIAD_TEST_PORT"]), int(os.environ["TRIAD_TEST_WORKERS"])
    )
