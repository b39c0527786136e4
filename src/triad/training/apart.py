"""Trains the networks of a night: one that the units share, and one of its own for each of `finetune.apart`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from triad.config.finetune import FinetuneParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.members.network import NetworkScorer
from triad.models.multitask import learned_tasks
from triad.models.warm_start import InitialModel
from triad.training.finetuning import finetune_network
from triad.training.refit import Refit

History = list[dict[str, float]]


def groups(units: Collection[str], apart: Collection[str]) -> list[tuple[str, ...]]:
    """The units of each network, those that share one first.

    Raises:
        TriadError: `apart` names a unit that there is not.
    """
    unknown = [unit for unit in apart if unit not in units]
    if unknown:
        raise TriadError(f"{unknown} are not among {list(units)}", where="finetune.apart", mend="correct it")
    shared = tuple(unit for unit in units if unit not in apart)
    alone: list[tuple[str, ...]] = [(unit,) for unit in units if unit in apart]
    return [shared, *alone] if shared else alone


def finetune_units(
    data: Dataset,
    tasks: Any,
    params: FinetuneParams,
    runtime: Any,
    *,
    initial: InitialModel | None = None,
    refit: Mapping[str, Refit] | None = None,
    folder: Path | None = None,
    **inputs: Any,
) -> tuple[NetworkScorer, Mapping[str, History]]:
    """The member of all networks, and their losses by epoch: of the shared one under "", of others under the unit.

    Arguments are those of `finetune_network`; each network has a checkpoint of its own, and of `refit` its own rules,
    named as the losses are.

    Raises:
        TriadError: no task has rows of its own, or `finetune.tasks` names none.
    """
    rules, parts = refit or {}, groups(learned_tasks(data, params), params.apart)
    if not parts:
        raise TriadError(
            "no task is there to learn: a ranking has no rows of its own",
            where="tasks, finetune.tasks",
            mend="add a task of exposures, such as click, which may be shown and not gated",
        )
    first, *others = parts
    ranker, history = finetune_network(
        data, tasks, params, runtime, units=first, initial=initial, refit=rules.get(""), folder=folder, **inputs
    )
    networks, histories = {}, {"": history}
    for (unit,) in others:
        alone, histories[unit] = finetune_network(
            data,
            tasks,
            params,
            runtime,
            units=(unit,),
            initial=None if initial is None else replace(initial, network=initial.apart.get(unit, initial.network)),
            refit=rules.get(unit),
            folder=None if folder is None else folder.with_name(f"{folder.name}-{unit}"),
            **inputs,
        )
        networks[unit] = alone.network
    return NetworkScorer(ranker.network, networks), histories
