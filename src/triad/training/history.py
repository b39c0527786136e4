"""The losses of a training run, one line per epoch."""

from __future__ import annotations

import csv
from pathlib import Path


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """One line an epoch."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
