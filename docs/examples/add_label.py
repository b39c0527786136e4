"""A label is one file. This one: does the customer come back? Run `python docs/examples/add_label.py`.

In a shop's project the class is `src/triad/tasks/comes_back.py`, the task an entry of `params.yaml`, and nothing else
changes. Here the file is copied into a folder that the registry reads too.
"""

import numpy as np
from shop import register, shop

from triad.evaluation.wording import meaning
from triad.tasks import LABELS
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
TASKS = {"back": {"kind": "binary", "label": "comes_back", "horizon_days": 3}}


if __name__ == "__main__":
    register(__file__, "comes_back", LABELS)
    params, data, _ = shop(TASKS, recommend={"order_by": "back"})
    print(f"{meaning(params.tasks['back'])} In {np.nanmean(data.labels('back')):.0%} of cases.")
