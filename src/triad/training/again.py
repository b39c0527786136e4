"""Networks that were evaluated learn the days that they lack, as `refit.networks` says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from triad.arrays import Ints
from triad.config.params import Params
from triad.examples.dataset import Dataset
from triad.features.sql import HOUR
from triad.members.network import NetworkScorer
from triad.members.sequence import Sequence
from triad.models.trunk import reading
from triad.models.warm_start import InitialModel
from triad.tasks import LABELS
from triad.training.apart import finetune_units
from triad.training.checkpoints import checkpoint_folder, fingerprint
from triad.training.pretraining import pretrain_network
from triad.training.refit import Refit
from triad.training.runtime import Runtime

STAGE = "refit"


def reach(params: Params) -> dict[str, int]:
    """Task → µs from a row's time until its label is known."""
    hours = {
        name: 24 * (task.horizon_days + 1) if "horizon_days" in LABELS[task.label].options else 0
        for name, task in params.tasks.items()
    }
    return {name: max(ahead, params.features.attribution_hours) * HOUR for name, ahead in hours.items()}


def in_turn(params: Params) -> Params:
    """`params` for networks that learn a window at a time."""
    passes = params.refit.epochs.model_copy(update={"pretrain": params.refit.epochs.window})
    return params.model_copy(update={"refit": params.refit.model_copy(update={"epochs": passes})})


@dataclass(frozen=True)
class Evaluated:
    """The networks to be taught, and what they chose."""

    sequence: Callable[[], Sequence]  # the pretrained network, read when it is needed
    since: int  # µs, the first moment that they were not taught
    rows: Mapping[str, Ints]  # table → the row that each of today's was read by
    continues: bool  # or they are trained anew, by the rest of this
    epochs: Mapping[str, Any] = field(default_factory=dict)  # stage → unit → best epoch; "" is what several units share
    learned_from_source: bool = False  # whether the fine-tuned one started from another network
    initial: Callable[[str], InitialModel | None] = lambda _: None  # of a stage, the registered network it started from

    def later(self, sequence: Sequence, since: int, data: Dataset) -> Evaluated:
        """Once `sequence` was taught the days before `since` µs, by the vocabularies of `data`."""
        rows = {name: np.arange(count) for name, count in data.meta.vocabulary_rows.items()}
        return replace(self, sequence=lambda: sequence, since=since, rows=rows)


class Again:
    """Trains on `data`, whose train rows are those of all days. What was trained once is not trained twice."""

    def __init__(
        self, data: Dataset, params: Params, runtime: Runtime, evaluated: Evaluated, taught: Sequence | None = None
    ) -> None:
        self._data, self._params, self._runtime, self._evaluated = data, params, runtime, evaluated
        self._continues = evaluated.continues
        self.taught = taught  # the pretrained network on all days, where it was trained already or one was needed

    def pretrained(self) -> Sequence:
        """The pretrained network on all days."""
        return self.taught or self.sequence(self._evaluated.sequence())

    def sequence(self, member: Sequence) -> Sequence:
        """`member` on all days."""
        if self.taught is None:
            dials = self._params.pretrain
            if self._continues:
                initial: InitialModel | None = InitialModel(member.network, self._evaluated.rows)
                dials = dials.model_copy(update={"warm_rate": self._params.refit.rate})
            else:
                initial = self._evaluated.initial("pretrain")
            rules = self._rules("pretrain", ())
            folder = self._folder("pretrain", rules, initial, [])
            data = reading(self._data, member.network.trunk_config)
            self.taught, _ = pretrain_network(data, dials, self._runtime, folder, initial, refit=rules[""])
        return self.taught

    def scorer(self, member: NetworkScorer) -> NetworkScorer:
        """`member` on all days; anew, from the pretrained trunk of all days if the evaluated one had such a start."""
        dials, initial, network = self._params.finetune, None, None
        if self._continues:
            initial = InitialModel(member.network, self._evaluated.rows, member.apart)
            dials = dials.model_copy(update={"warm_rate": self._params.refit.rate})
        elif self._evaluated.learned_from_source:
            initial = self._evaluated.initial("finetune")
            network = None if initial else self.pretrained().network
        rules = self._rules("finetune", member.apart)
        again, _ = finetune_units(
            reading(self._data, member.network.trunk.get_config()),
            self._params.tasks,
            dials,
            self._runtime,
            trunk=self._params.pretrain.trunk,
            pretrained=network,
            initial=initial,
            refit=rules,
            folder=self._folder("finetune", rules, initial, [] if network is None else network.get_weights()),
        )
        return again

    def _rules(self, stage: str, apart: Iterable[str]) -> dict[str, Refit]:
        params = self._params.refit
        if self._continues:
            epochs, since = getattr(params.epochs, stage), self._evaluated.since
            going_on = Refit(epochs, since, params.replay, params.seed, reach(self._params), params.on_shelf)
            return dict.fromkeys(("", *apart), going_on)
        return {unit: Refit(int(epochs)) for unit, epochs in self._evaluated.epochs[stage].items()}

    def _folder(self, stage: str, rules: Mapping[str, Refit], initial: InitialModel | None, arrays: list[Any]) -> Any:
        params = self._params
        dials = [getattr(params, stage).model_dump(), params.pretrain.trunk.model_dump(), params.refit.model_dump()]
        meaning = [str(params.tasks), str(self._runtime), str(rules)]
        if initial is not None:
            meaning, arrays = [*meaning, json.dumps(initial.meaning, default=str)], [*arrays, *initial.arrays]
        return checkpoint_folder(f"{STAGE}-{stage}", fingerprint(self._data, *dials, *meaning, arrays=arrays))
