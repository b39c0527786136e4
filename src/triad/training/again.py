"""Networks that were evaluated learn the days that they lack, as `refit.networks` says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from triad.arrays import Ints
from triad.config.params import Params
from triad.examples.dataset import Dataset
from triad.members.network import NetworkScorer
from triad.members.sequence import Sequence
from triad.models.warm_start import InitialModel
from triad.training.apart import finetune_units
from triad.training.checkpoints import checkpoint_folder, fingerprint
from triad.training.pretraining import pretrain_network
from triad.training.refit import Refit
from triad.training.runtime import Runtime

STAGE = "refit"


@dataclass(frozen=True)
class Evaluated:
    """What tonight's networks were, and chose."""

    sequence: Sequence  # the pretrained network
    since: int  # µs, the first moment that they were not taught
    rows: Mapping[str, Ints]  # table → the row that each of today's was read by
    epochs: Mapping[str, Any]  # stage → unit → best epoch; "" is what several units share
    learned_from_source: bool  # whether the fine-tuned one started from another network
    initial: Callable[[str], InitialModel | None]  # of a stage, the registered network it started from


class Again:
    """Trains on `data`, whose train rows are those of all days. What was trained once is not trained twice."""

    def __init__(self, data: Dataset, params: Params, runtime: Runtime, evaluated: Evaluated) -> None:
        self._data, self._params, self._runtime, self._evaluated = data, params, runtime, evaluated
        self._continues = params.refit.networks == "continue"
        self._sequence: Sequence | None = None

    def sequence(self, member: Sequence) -> Sequence:
        """`member` on all days."""
        if self._sequence is None:
            dials = self._params.pretrain
            if self._continues:
                initial: InitialModel | None = InitialModel(member.network, self._evaluated.rows)
                dials = dials.model_copy(update={"warm_rate": self._params.refit.rate})
            else:
                initial = self._evaluated.initial("pretrain")
            rules = self._rules("pretrain")
            folder = self._folder("pretrain", rules, initial, [])
            self._sequence, _ = pretrain_network(self._data, dials, self._runtime, folder, initial, refit=rules[""])
        return self._sequence

    def scorer(self, member: NetworkScorer) -> NetworkScorer:
        """`member` on all days; anew, from the pretrained trunk of all days if the evaluated one had such a start."""
        dials, initial, network = self._params.finetune, None, None
        if self._continues:
            initial = InitialModel(member.network, self._evaluated.rows, member.apart)
            dials = dials.model_copy(update={"warm_rate": self._params.refit.rate})
        elif self._evaluated.learned_from_source:
            initial = self._evaluated.initial("finetune")
            network = None if initial else self.sequence(self._evaluated.sequence).network
        rules = self._rules("finetune")
        again, _ = finetune_units(
            self._data,
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

    def _rules(self, stage: str) -> dict[str, Refit]:
        params = self._params.refit
        if self._continues:
            going_on = Refit(getattr(params.epochs, stage), self._evaluated.since, params.replay, params.seed)
            return dict.fromkeys(self._evaluated.epochs[stage], going_on)
        return {unit: Refit(int(epochs)) for unit, epochs in self._evaluated.epochs[stage].items()}

    def _folder(self, stage: str, rules: Mapping[str, Refit], initial: InitialModel | None, arrays: list[Any]) -> Any:
        params = self._params
        dials = [getattr(params, stage).model_dump(), params.pretrain.trunk.model_dump(), params.refit.model_dump()]
        meaning = [str(params.tasks), str(self._runtime), str(rules)]
        if initial is not None:
            meaning, arrays = [*meaning, json.dumps(initial.meaning, default=str)], [*arrays, *initial.arrays]
        return checkpoint_folder(f"{STAGE}-{stage}", fingerprint(self._data, *dials, *meaning, arrays=arrays))
