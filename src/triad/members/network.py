"""The fine-tuned network as a member: it scores the rows of each unit that it has heads for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.config.members import Recipe
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.sequence import NETWORK
from triad.models.heads import output_shape
from triad.models.multitask import MultiTaskNetwork
from triad.models.networks import APART, load_network, save_network
from triad.models.scoring import Scorer, score_rows

MEMBERS = Recipe("finetune", "NetworkScorer", ("RowScorer",), stage="finetune", reads=("pretrain", "finetune", "tasks"))


class NetworkScorer:
    """Scores all tasks that its networks have heads for; orders no catalogue.

    Args:
        network: what several units share.
        apart: unit → a network of its own.
    """

    def __init__(self, network: MultiTaskNetwork, apart: Mapping[str, MultiTaskNetwork] | None = None) -> None:
        self.network, self.apart = network, dict(apart or {})
        self.scorer = Scorer(network)
        networks = [network, *self.apart.values()]
        self.units = {unit: tuple(heads.tasks) for each in networks for unit, heads in each.units.items()}
        self.described: dict[str, dict[str, Any]] = {
            name: task for each in networks for name, task in each.tasks.items()
        }
        self.tasks: tuple[str, ...] = tuple(self.described)
        self._scorers = {unit: Scorer(each) for unit, each in self.apart.items()}

    def predict(
        self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None, unit: str = "exposures"
    ) -> dict[str, Floats]:
        """Scores of `rows` of `unit`: probabilities (n,) or (n, classes), a regression's values (n,) in its unit."""
        rows = np.asarray(rows)
        names = [name for name in self.units.get(unit, ()) if tasks is None or name in tasks]
        described = {name: self.described[name] for name in names}
        if not len(rows) or not described:
            return {
                name: _scores(task, np.zeros((0, *output_shape(task)), np.float32)) for name, task in described.items()
            }
        network, scorer = self.apart.get(unit, self.network), self._scorers.get(unit, self.scorer)
        outputs = score_rows(scorer, data, unit, rows, network.trunk.max_steps)
        return {name: _scores(task, outputs[name]) for name, task in described.items()}

    def refit(self, bench: Bench, name: str) -> NetworkScorer:
        """Trained on all days."""
        again: NetworkScorer = bench.train().scorer(self)
        return again

    def save(self, folder: Path) -> None:
        """Write the networks into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_network(self.network, folder / NETWORK)
        for unit, network in self.apart.items():
            (folder / APART).mkdir(exist_ok=True)
            save_network(network, folder / APART / f"{unit}.keras")

    @classmethod
    def load(cls, folder: Path) -> NetworkScorer:
        """The member that `save` wrote."""
        apart = {path.stem: load_network(path) for path in sorted((folder / APART).glob("*.keras"))}
        return cls(load_network(folder / NETWORK), apart)


def _scores(task: dict[str, Any], outputs: Floats) -> Floats:
    """The contract's scores from a head's output."""
    return KINDS[task["kind"]].scores(outputs, task["mean"], task["scale"])
