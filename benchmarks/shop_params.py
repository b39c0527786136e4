"""`params.yaml` for a benchmark: a simulated shop, a seed, and dials from the command line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml

from triad.config.params import Params, merge, parse


def shop_params(
    size: str, window: int, seed: int, dials: Sequence[str], tasks: Collection[str] | None = None
) -> Params:
    """The params of the current folder.

    Args:
        size, window: of the simulated shop; days.
        seed: of the shop and of all that is fitted.
        dials: `section.key=value`, in the order in which they are laid over one another.
        tasks: those that are kept; None keeps all.
    """
    changes: dict[str, Any] = {name: {"seed": seed} for name in ("features", "pretrain", "finetune")}
    changes["ingest"] = {"window_days": window, "simulated": {"size": size, "seed": seed}}
    for dial in dials:
        path, _, text = dial.partition("=")
        change = yaml.safe_load(text)
        for key in reversed(path.split(".")):
            change = {key: change}
        changes = merge(changes, change)
    values = merge(yaml.safe_load(Path("params.yaml").read_text()), changes)
    if tasks is not None:
        values["tasks"] = {name: values["tasks"][name] for name in tasks}
    return parse(values, "benchmark")
