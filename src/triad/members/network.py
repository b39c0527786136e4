"""The fine-tuned network as a member: it scores exposures on every pointwise task."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features.dataset import Floats, Ints
from triad.kinds import KINDS
from triad.members.sequence import NETWORK
from triad.models.multitask import MultiTaskNetwork, output_shape
from triad.models.networks import load_network, save_network
from triad.models.scoring import Scorer, score_exposures


class Ranker:
    """Scores all tasks the network has heads for; orders no catalogue."""

    ranks = False

    def __init__(self, network: MultiTaskNetwork) -> None:
        self.network = network
        self.tasks: tuple[str, ...] = tuple(network.tasks)
        self.scorer = Scorer(network)

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """Scores of exposure `rows`: probabilities (n,) or (n, classes), a regression's values (n,) in its unit."""
        rows = np.asarray(rows)
        asked = {name: task for name, task in self.network.tasks.items() if tasks is None or name in tasks}
        if not len(rows) or not asked:
            return {name: _scores(task, np.zeros((0, *output_shape(task)), np.float32)) for name, task in asked.items()}
        outputs = score_exposures(self.scorer, data, rows, self.network.trunk.max_steps)
        return {name: _scores(task, outputs[name]) for name, task in asked.items()}

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        """Never: it does not order the catalogue."""
        raise TriadError("does not rank", where="member finetune", mend="ask a member whose `ranks` is true")

    def save(self, folder: Path) -> None:
        """Write the network into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_network(self.network, folder / NETWORK)

    @classmethod
    def load(cls, folder: Path) -> Ranker:
        """The member that `save` wrote."""
        return cls(load_network(folder / NETWORK))


def _scores(task: dict[str, Any], outputs: Floats) -> Floats:
    """The contract's scores from a head's output."""
    return KINDS[task["kind"]].scores(outputs, task["mean"], task["scale"])
