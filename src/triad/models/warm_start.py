"""Starts tonight's network as an earlier one: the same function, with moved and new rows. Heads: `warm_start_heads.py`.

Rows of tables follow their ids. What is new starts silent: a fresh id's row is the one by which it was read before, and
all else that is new adds nothing until it has learned something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from triad.errors import TriadError
from triad.features.dataset import Ints
from triad.models.networks import SequenceNetwork
from triad.models.trunk import Trunk


@dataclass(frozen=True)
class InitialModel:
    """A network of an earlier night.

    Attributes:
        rows: table → (rows,) the row of the network's table that each of tonight's starts from.
        context: names of the context columns it reads.
    """

    network: Any
    rows: Mapping[str, Ints]
    context: tuple[str, ...]

    @property
    def meaning(self) -> list[Any]:
        """JSON-able; with `arrays` and the dials, all that a network started from this one follows from."""
        return [self.network.get_config(), self.context]

    @property
    def arrays(self) -> list[Any]:
        """Weights and rows."""
        return [*self.network.get_weights(), *(self.rows[name] for name in sorted(self.rows))]


def scales(initial: InitialModel) -> dict[str, float]:
    """How the initial trunk scales prices: its weights know them so."""
    config = initial.network.trunk.get_config()
    return {name: config[name] for name in ("price_mean", "price_std")}


def warm_start_sequence(network: SequenceNetwork, initial: InitialModel) -> list[str]:
    """Give `network` the initial one's function; returns what is new in it, by name.

    Raises:
        TriadError: the two differ in size.
    """
    return warm_start_trunk(network.trunk, initial)


def warm_start_trunk(trunk: Trunk, initial: InitialModel) -> list[str]:
    """Give `trunk` the function of the initial network's; returns what is new in it, by name.

    Raises:
        TriadError: the two differ in size.
    """
    theirs: Trunk = initial.network.trunk
    same_sizes(trunk.get_config(), theirs.get_config(), ("dim", "layers", "heads", "max_steps"), "pretrain.trunk")
    new = []
    known = {table.name: table for table in (*theirs.tower.tables, *theirs.attributes)}
    for table in (*trunk.tower.tables, *trunk.attributes):
        if table.name not in known:
            new.append(f"table {table.name}")
            table.weight.assign(np.zeros(table.weight.shape))
            continue
        origin = initial.rows[table.name]
        if table in trunk.attributes:  # whose rows begin one later, see `Trunk`
            origin = np.r_[0, 1 + origin]
        table.weight.assign(np.asarray(known[table.name].weight)[origin])
        fresh = len(origin) - len(np.unique(origin))  # ids that had no row of their own
        new += [f"{fresh} rows of {table.name}"] if fresh else []
    for part, other in zip(_others(trunk), _others(theirs), strict=True):
        part.set_weights(other.get_weights())
    return new


def same_sizes(ours: Mapping[str, Any], theirs: Mapping[str, Any], dials: Iterable[str], section: str) -> None:
    """Refuse to carry weights between two configurations that differ in one of `dials`."""
    for dial in dials:
        if ours[dial] != theirs[dial]:
            raise TriadError(
                f"is {ours[dial]}, but the network to start from was made with {theirs[dial]}",
                where=f"{section}.{dial}",
                mend="keep its size, or let init be another value until a model of the new size serves",
            )


def _others(trunk: Trunk) -> list[Any]:
    """The trunk's parts whose rows mean the same every night."""
    return [trunk.tower.price, trunk.kind, trunk.gap, trunk.place, *trunk.blocks, trunk.norm]
