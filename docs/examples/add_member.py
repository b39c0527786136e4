"""A member is one file: in a project `src/triad/members/page_place.py`, which `fuse.members` names. Here it knows how
often each place of a page is clicked. Run `python docs/examples/add_member.py`."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from shop import register, shop

from triad.config.members import RECIPES, Recipe
from triad.fusion.fitting import fit_fusion
from triad.fusion.fused import Fused
from triad.members.bench import Bench
from triad.members.labelled import labelled
from triad.members.registry import make_member

MEMBERS = Recipe("page_place", "Place", ("RowScorer",))


def places(data, rows):
    log = data.exposures.context[rows, data.meta.context.index("position")]
    return np.minimum(np.expm1(log).round().astype(int), 19)


class Place:
    tasks = ("click",)

    def __init__(self, rates):
        self.rates = rates  # (20,)

    @classmethod
    def make(cls, bench, name):
        rows, label = labelled(bench.data, "click", "train")
        place, few = places(bench.data, rows), 20  # rows of the mean rate are added, for places seldom seen
        return cls((np.bincount(place, label, 20) + few * label.mean()) / (np.bincount(place, None, 20) + few))

    def refit(self, bench, name):
        return self.make(bench, name)

    def predict(self, data, rows, tasks=None):
        return {"click": self.rates[places(data, rows)]}

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "rates.npy", self.rates)

    @classmethod
    def load(cls, folder):
        return cls(np.load(folder / "rates.npy"))


if __name__ == "__main__":
    register(__file__, "page_place", RECIPES)
    fuse, click = {"members": ["popularity", "page_place"]}, {"click": {"kind": "binary", "label": "clicked"}}
    params, data, _ = shop(click, fuse=fuse, recommend={"order_by": "click"})
    made = {name: make_member(name, Bench(data, params, vectors=None)) for name in params.fuse.members}
    with TemporaryDirectory() as folder:
        fit_fusion(data, made, params.tasks, params.fuse).save(Path(folder))
        scores = (fused := Fused.load(Path(folder))).predict(data, data.rows("test"))
    print(f"Its weight beside popularity is {fused.weights['click']['page_place']:.2f}.")
