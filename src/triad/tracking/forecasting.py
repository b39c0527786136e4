"""What a registered model says of each product's coming days: its demand or its price, each with an interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from triad.errors import TriadError
from triad.examples.product_days import UNIT
from triad.statistics import conformal
from triad.tasks import LABELS
from triad.tasks.base import Outlook
from triad.tracking.inputs import Tables

if TYPE_CHECKING:
    from triad.tracking.serving import ServingModel


def forecasts(model: ServingModel, tables: Tables) -> pa.Table:
    """A row a product and task: item_id, task, from_day, days, before, expected, low, high, level; as of the day after
    the tables' last. A price is in cents. Products that nobody saw or bought in the last four weeks have none, and
    those whose price is not known have no price ahead.

    Raises:
        TriadError: the model was not taught to tell coming days, or the tables do not fit the contract.
    """
    tasks = [name for name, task in model.state.tasks.items() if isinstance(LABELS[task.label], Outlook)]
    if not tasks:
        mend = "add a task with the label demand_move or price_outlook to params.yaml, and let a night train it"
        raise TriadError("the model tells no coming days", where="params.mode", mend=mend)
    data = model.dataset(tables)
    unit = data.units[UNIT.name]
    last = np.flatnonzero(np.asarray(unit.day) == np.max(unit.day, initial=0))
    parts: list[dict[str, Any]] = []
    for task in tasks:
        label, place = LABELS[model.state.tasks[task].label], data.meta.tasks[UNIT.name].index(task)
        assert isinstance(label, Outlook)
        rows = last[np.isfinite(unit.now[last, place])]
        now = np.asarray(unit.now[rows, place], np.float64)
        score = np.asarray(model.fused.predict(data, rows, [task], UNIT.name)[task], np.float64)
        interval = model.fused.intervals[task]
        low, high = conformal.bounds(interval, score)
        moves = {"before": np.zeros(len(rows)), "expected": score, "low": low, "high": high}
        columns = {name: label.level(now + move) for name, move in moves.items()}
        parts.append(
            {
                "item_id": pa.array(data.items.item_id[unit.item[rows]], pa.string()),
                "task": pa.array([task] * len(rows), pa.string()),
                "from_day": pa.array(np.asarray(unit.day)[rows].astype("datetime64[D]").astype(str), pa.string()),
                "days": np.full(len(rows), model.state.tasks[task].horizon_days),
                **columns,
                "level": np.full(len(rows), interval["level"]),
            }
        )
    return pa.concat_tables([pa.table(part) for part in parts])
