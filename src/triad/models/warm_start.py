"""Starts tonight's network as an earlier one: the same function, with moved and new rows. Heads: `warm_start_heads.py`.

Rows of tables follow their ids. What is new starts silent: a fresh id's row is the one by which it was read before, and
all else that is new adds nothing until it has learned something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from triad.arrays import Ints
from triad.errors import TriadError
from triad.models.networks import SequenceNetwork
from triad.models.trunk import Config, Trunk, rescaled_trunk


@dataclass(frozen=True)
class InitialModel:
    """A network of an earlier night.

    Attributes:
        rows: table → (rows,) the row of the network's table that each of tonight's starts from.
        apart: units that had a network of their own.
    """

    network: Any
    rows: Mapping[str, Ints]
    apart: Mapping[str, Any] = field(default_factory=dict)

    @property
    def meaning(self) -> list[Config]:
        """JSON-able; with `arrays` and the dials, all that a network started from this one follows from."""
        return [network.get_config() for network in (self.network, *self.apart.values())]

    @property
    def arrays(self) -> list[Any]:
        """Weights and rows."""
        weights = [each for network in (self.network, *self.apart.values()) for each in network.get_weights()]
        return [*weights, *(self.rows[name] for name in sorted(self.rows))]

    def rescaled(self, trunk: Config) -> Config:
        """The configuration of tonight's trunk, with the scales that the earlier one's weights know."""
        return rescaled_trunk(trunk, self.network.trunk.get_config())

    def start(self, trunk: Trunk) -> list[str]:
        """Give `trunk` the function of the earlier one; returns what is new in it, by name.

        Raises:
            TriadError: the two differ in size.
        """
        theirs: Trunk = self.network.trunk
        sizes = ("dim", "layers", "heads", "max_steps")
        same_sizes(trunk.history.get_config(), theirs.history.get_config(), sizes, "pretrain.trunk")
        return trunk.warm_start(theirs, self.rows)


def warm_start_sequence(network: SequenceNetwork, initial: InitialModel) -> list[str]:
    """Give `network` the function of an earlier one; returns what is new in it, by name.

    Raises:
        TriadError: the two differ in size, in how many own items they read or over what days they follow the shop.
    """
    new, theirs = initial.start(network.trunk), initial.network
    if theirs.own is not None:
        same_sizes(network.get_config(), theirs.get_config(), ["own_items"], "pretrain")
    if theirs.trend is not None:
        same_sizes(network.get_config(), theirs.get_config(), ["trend"], "pretrain")
    if network.own is not None:
        network.own.warm_start(theirs.own)
        new += ["own items"] if theirs.own is None else []
    if network.trend is not None:
        network.trend.warm_start(theirs.trend)
        new += ["trend"] if theirs.trend is None else []
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
