"""Starts the multi-task network as an earlier one: columns of context, tasks and classes follow their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.encoders import ENCODERS
from triad.errors import TriadError
from triad.models.heads import Heads
from triad.models.multitask import MultiTaskNetwork
from triad.models.trunk import Config
from triad.models.warm_start import InitialModel, same_sizes
from triad.models.weighting import Uncertainty

SIZES = {"mmoe": ("experts",), "ple": ("experts", "own_experts", "levels"), "stem": ("experts", "own_experts")}
"""Further dials of a body that its weights' shapes follow from."""


def rescaled(config: Mapping[str, Any], initial: InitialModel) -> Config:
    """`config` of a network for tonight, with the scales of columns and labels that the initial one's weights know."""
    units, theirs = {}, initial.network.get_config()["units"]
    for unit, ours in config["units"].items():
        tasks, encoders = {name: dict(task) for name, task in ours["tasks"].items()}, dict(ours["encoders"])
        if unit in theirs:
            for name in _kept(ours["tasks"], theirs[unit]["tasks"]):
                tasks[name] |= {part: theirs[unit]["tasks"][name][part] for part in ("mean", "scale")}
            for name in encoders.keys() & theirs[unit]["encoders"].keys():
                encoders[name] = ENCODERS[name].rescaled(encoders[name], theirs[unit]["encoders"][name])
        units[unit] = {**ours, "tasks": tasks, "encoders": encoders}
    return {**config, "units": units}


def warm_start_multitask(network: MultiTaskNetwork, initial: InitialModel) -> list[str]:
    """Give `network`, made from `rescaled`, the initial one's function; returns what is new in it, by name.

    Raises:
        TriadError: the two differ in size.
    """
    ours, theirs = network.get_config()["dials"], initial.network.get_config()["dials"]
    same_sizes(ours, theirs, ("body", "expert_dim", "head_dim", *SIZES.get(ours["body"], ())), "finetune")
    new = initial.start(network.trunk)
    for unit, heads in network.units.items():
        known = initial.network.units.get(unit)
        new += [f"unit {unit}"] if known is None else _start_heads(heads, known, ours["body"], initial.rows)
    return new


def _start_heads(heads: Heads, initial: Heads, body: str, origins: Mapping[str, Ints]) -> list[str]:
    """Give the heads of a unit the function of the initial ones; returns what is new in them, by name."""
    reader, theirs = heads.reader, initial.reader
    if reader.parts != theirs.parts:
        raise TriadError(
            f"reads {reader.parts}, but in the network to start from {theirs.parts}",
            where=f"unit {heads.name}",
            mend="let finetune.init be another value until a model that reads the same serves",
        )
    columns = _places(reader.columns, theirs.columns)
    kept, order = _kept(heads.tasks, initial.tasks), list(initial.tasks)
    tasks = np.array([order.index(name) if name in kept else -1 for name in heads.tasks])
    new: list[str] = []
    for name, encoder in reader.own.items():
        new += encoder.warm_start(theirs.own[name], origins) if name in theirs.own else [f"input {name}"]
    new += _missing("task ", heads.tasks, tasks)
    reader.norm.set_weights(theirs.norm.get_weights())
    _start_body(heads, initial, body, _after(reader.joined_width, columns), tasks)
    if isinstance(heads.weighting, Uncertainty) and isinstance(initial.weighting, Uncertainty):
        own = heads.weighting.log_scale
        own.assign(np.where(tasks < 0, own, _take(initial.weighting.log_scale, tasks)))
    for here, name in enumerate(heads.tasks):
        if name not in kept:
            continue
        there = tasks[here]
        heads.towers[here].set_weights(initial.towers[there].get_weights())
        names = heads.tasks[name]["classes"] or [""]  # one output where there are no classes
        classes = _places(names, initial.tasks[name]["classes"] or [""])
        new += _missing(f"class {name}=", names, classes)
        kernel, bias = initial.outputs_of[there].get_weights()
        rows = _after(len(kernel) - len(theirs.columns), columns)
        heads.outputs_of[here].set_weights([_take(_take(kernel, rows).T, classes).T, _take(bias, classes)])
    return new


def _start_body(heads: Heads, initial: Heads, body: str, rows: Ints, tasks: Ints) -> None:
    """What reads features reads `rows`; a task's own part goes with it.

    Raises:
        TriadError: the body is one whose tasks, or tables, cannot change places.
    """
    count = len(initial.tasks)
    if body == "stem" or (body in ("ple", "aitm") and tasks.tolist() != list(range(count))):
        why = "its tasks' own tables" if body == "stem" else "tasks other than its own"
        raise TriadError(
            f"{body} cannot start from a network with {why}",
            where="finetune.body",
            mend="let finetune.init be pretrain, or the body mmoe, shared_bottom or single_task",
        )
    reads = {id(weight) for weight in initial.body.reads}
    own = {"mmoe": ("gate",), "single_task": ("kernel", "bias")}.get(body, ())
    for ours, theirs in zip(heads.body.weights, initial.body.weights, strict=True):
        values = np.asarray(theirs)
        if id(theirs) in reads:
            values = _take(values, rows)
        if theirs.name in own:
            parts = _take(np.stack(np.split(values, count, axis=-1)), tasks)
            values = np.concatenate(list(parts), axis=-1)
        ours.assign(values)


def _kept(ours: Mapping[str, Config], theirs: Mapping[str, Config]) -> list[str]:
    """Names that mean the same task in both."""
    return [
        name
        for name, task in ours.items()
        if name in theirs and all(task[part] == theirs[name][part] for part in ("kind", "given"))
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
    taken: Floats = np.asarray(values)[places]
    taken[places < 0] = 0
    return taken
