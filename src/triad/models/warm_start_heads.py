"""Starts the multi-task network as an earlier one: columns of context, tasks and classes follow their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from triad.encoders.context import Context
from triad.errors import TriadError
from triad.features.dataset import Floats, Ints
from triad.models.multitask import MultiTaskNetwork
from triad.models.warm_start import InitialModel, same_sizes
from triad.models.weighting import Uncertainty

SIZES = {"mmoe": ("experts",), "ple": ("experts", "own_experts", "levels"), "stem": ("experts", "own_experts")}
"""Further dials of a body that its weights' shapes follow from."""


def rescaled(config: Mapping[str, Any], initial: InitialModel) -> dict[str, Any]:
    """`config` of a network for tonight, with the scales of columns and labels that the initial one's weights know."""
    theirs = initial.network.get_config()
    tasks = {name: dict(task) for name, task in config["tasks"].items()}
    for name in _kept(config, theirs):
        tasks[name] |= {part: theirs["tasks"][name][part] for part in ("mean", "scale")}
    return {**config, "context": Context.rescaled(config["context"], theirs["context"]), "tasks": tasks}


def warm_start_multitask(network: MultiTaskNetwork, initial: InitialModel) -> list[str]:
    """Give `network`, made from `rescaled`, the initial one's function; returns what is new in it, by name.

    Raises:
        TriadError: the two differ in size.
    """
    ours, other = network.get_config(), initial.network
    theirs = other.get_config()
    same_sizes(ours, theirs, ("body", "expert_dim", "head_dim", *SIZES.get(ours["body"], ())), "finetune")
    columns = _places(network.context.columns, other.context.columns)
    kept, order = _kept(ours, theirs), list(theirs["tasks"])
    tasks = np.array([order.index(name) if name in kept else -1 for name in ours["tasks"]])
    new = initial.start(network.trunk) + network.context.warm_start(other.context, initial.rows)
    new += _missing("task ", ours["tasks"], tasks)

    network.norm.set_weights(other.norm.get_weights())
    _warm_start_body(network, other, _after(4 * network.trunk.dim, columns), tasks)
    if isinstance(network.weighting, Uncertainty) and isinstance(other.weighting, Uncertainty):
        own = network.weighting.log_scale
        own.assign(np.where(tasks < 0, own, _take(other.weighting.log_scale, tasks)))
    for here, name in enumerate(ours["tasks"]):
        if name not in kept:
            continue
        there = tasks[here]
        network.towers[here].set_weights(other.towers[there].get_weights())
        names = ours["tasks"][name]["classes"] or [""]  # one output where there are no classes
        classes = _places(names, theirs["tasks"][name]["classes"] or [""])
        new += _missing(f"class {name}=", names, classes)
        kernel, bias = other.outputs_of[there].get_weights()
        rows = _after(len(kernel) - len(other.context.columns), columns)
        network.outputs_of[here].set_weights([_take(_take(kernel, rows).T, classes).T, _take(bias, classes)])
    return new


def _warm_start_body(network: MultiTaskNetwork, initial: MultiTaskNetwork, rows: Ints, tasks: Ints) -> None:
    """What reads features reads `rows`; a task's own part goes with it.

    Raises:
        TriadError: the body is one whose tasks, or tables, cannot change places.
    """
    body, count = network.get_config()["body"], len(initial.tasks)
    if body == "stem" or (body in ("ple", "aitm") and tasks.tolist() != list(range(count))):
        why = "its tasks' own tables" if body == "stem" else "tasks other than its own"
        raise TriadError(
            f"{body} cannot start from a network with {why}",
            where="finetune.body",
            mend="let finetune.init be pretrain, or the body mmoe, shared_bottom or single_task",
        )
    reads = {id(weight) for weight in initial.body.reads}
    own = {"mmoe": ("gate",), "single_task": ("kernel", "bias")}.get(body, ())
    for ours, theirs in zip(network.body.weights, initial.body.weights, strict=True):
        values = np.asarray(theirs)
        if id(theirs) in reads:
            values = _take(values, rows)
        if theirs.name in own:
            parts = _take(np.stack(np.split(values, count, axis=-1)), tasks)
            values = np.concatenate(list(parts), axis=-1)
        ours.assign(values)


def _kept(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Names that mean the same task in both configurations."""
    return [
        name
        for name, task in ours["tasks"].items()
        if name in theirs["tasks"] and all(task[part] == theirs["tasks"][name][part] for part in ("kind", "given"))
    ]


def _places(ours: Sequence[str], theirs: Sequence[str]) -> Ints:
    """(ours,) place of each name among `theirs`, -1 where it is not there."""
    place = {name: at for at, name in enumerate(theirs)}
    return np.array([place.get(name, -1) for name in ours], np.int64)


def _missing(prefix: str, names: Sequence[str] | Mapping[str, Any], places: Ints) -> list[str]:
    return [f"{prefix}{name}" for name, at in zip(names, places, strict=True) if at < 0]


def _after(width: int, places: Ints) -> Ints:
    """`width` rows that stay, then those at `places` behind them."""
    return np.r_[np.arange(width), np.where(places < 0, -1, width + places)]


def _take(values: Any, places: Ints) -> Floats:
    """`values[places]`, zeros where a place is -1."""
    found: Floats = np.asarray(values)[places]
    found[places < 0] = 0
    return found
