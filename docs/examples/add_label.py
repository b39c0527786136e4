"""A label is one file. This one: does the customer come back? Run `python docs/examples/add_label.py`.

In a shop's project the class is `src/triad/tasks/comes_back.py`, the task an entry of `params.yaml`, and nothing else
changes. Here the file is copied into a folder that the registry reads too.
"""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np

from triad import tasks
from triad.config.params import parse
from triad.evaluation.wording import meaning
from triad.features.build import fit
from triad.sources.simulated import simulate
from triad.tables import connect
from triad.tasks.base import Label, Needs


class ComesBack(Label):
    """Whether the customer clicks on anything on the `horizon_days` after the exposure's day."""

    name, question = "comes_back", "Will the customer come back within {days} days?"
    kinds, unit, options = ("binary",), "exposures", ("horizon_days",)
    cluster, slices = "user", ("users", "market")
    reads = ("user", "taste", "context")

    def needs(self, task):
        return Needs(events=("click",))

    def make(self, name, tasks, rows, classes):
        days = tasks[name].horizon_days
        clicks = rows.following("user", "click", "1", days)
        return rows.once("user", (clicks > 0).astype(np.float32), rows.known_after(days))


LABEL = ComesBack()
PARAMS = {
    "ingest": {"source": "simulated", "as_of": "2026-03-01", "window_days": 40, "simulated": {"size": "tiny"}},
    "tasks": {"back": {"kind": "binary", "label": "comes_back", "horizon_days": 3}},
    "recommend": {"order_by": "back"},
}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(__file__, Path(folder) / "comes_back.py")
        tasks.__path__.append(folder)
        tasks.LABELS.reload()
        params = parse(PARAMS, "add_label.py")
        end, days = params.ingest.as_of, timedelta(days=params.ingest.window_days)
        with connect(simulate(params.ingest).whole()[0]) as session:
            data, _ = fit(session, params.features, params.tasks, (end - days, end))
        print(f"{meaning(params.tasks['back'])} In {np.nanmean(data.labels('back')):.0%} of cases.")
