"""Fits the members of a unit, each once; other units take them from the cache."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from triad.ablations.data import digest, laid
from triad.ablations.params import REGISTERED, StudyParams
from triad.arrays import Floats
from triad.artifacts import read_json, replacing, write_json
from triad.config.finetune import FinetuneParams
from triad.config.members import RECIPES, Recipe
from triad.datasets import base
from triad.digests import PACKAGE, code_digest
from triad.errors import TriadError
from triad.examples.dataset import Dataset, load
from triad.locking import held
from triad.members.bench import Bench
from triad.members.protocol import Member
from triad.members.registry import check_names, load_member, make_member
from triad.models.warm_start import InitialModel
from triad.training.apart import finetune_units
from triad.training.pretraining import pretrain_network
from triad.training.runtime import Runtime
from triad.training.transfer import sizes
from triad.training.warm import initial_model

CODE = (
    "encoders",
    "examples",
    "features",
    "images",
    "kinds",
    "members",
    "models",
    "products",
    "search",
    "sources",
    "statistics",
    "tasks",
    "text",
    "training",
    "writing",
)
"""Packages that members are fitted by."""

History = list[dict[str, float]]
Made = tuple[Any, History]


@dataclass
class Workshop:
    """Fits members on `data` under `params`.

    Args:
        shelf: folder of members already made, each named by the data, the params and the code that it depends on.
        key: names the data.
        cut: names what of its train exposures is left.
        beside: the study's data, in which lies what networks may start from.
        on_epoch: takes each epoch's losses of the network called `reported`; what it raises ends the training.
    """

    data: Dataset
    params: StudyParams
    runtime: Runtime
    shelf: Path
    key: str
    cut: str = ""
    beside: Path | None = None
    reported: str = "finetune"
    on_epoch: Callable[[dict[str, float]], None] = lambda _: None
    seconds: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    histories: dict[str, History] = field(default_factory=dict)
    _made: dict[str, Any] = field(default_factory=dict)
    _elsewhere: float = 0.0  # seconds within calls of `member`

    def member(self, name: str) -> Member:
        """The member called `name`.

        Raises:
            TriadError: there is no such member, or it finds nothing to learn from.
        """
        check_names([name], "fuse.members")
        member: Member = self._part(name)
        return member

    def _part(self, name: str) -> Any:
        """A member, or what one is made of."""
        if name not in self._made:
            start, before = time.monotonic(), self._elsewhere
            self._made[name] = self._shelved(name) if _recipe(name).stage != "fuse" else self._timed(name)[0]
            self._elsewhere = before + time.monotonic() - start
        return self._made[name]

    def has_source(self, name: str) -> bool:
        """Whether the member called `name` is made of what was learned on the source task."""
        reads = name not in ("pretrain", "source") and "pretrain" in _recipe(name).reads
        elsewhere = name == "finetune" and self.params.finetune.init != "pretrain"
        return reads and not elsewhere and len(self.data.streams.item) > 0

    def initial(self, name: str) -> InitialModel | None:
        """The network, registered or of the source markets, that the one called `name` starts from, if it does.

        Raises:
            TriadError: there is none, or it does not fit.
        """
        init = self._init(name)
        if init not in REGISTERED:
            return None
        if self.beside is None or init not in laid(self.beside):
            raise TriadError(
                f"no {init} lies beside these examples",
                where=f"{name}.init",
                mend="name one in the params' section champion and run `dvc repro features`",
            )
        if not self._has_markets(name):
            return initial_model(init, name, self.beside / base.REGISTERED, self.data)
        source = self._part("source")
        with np.load(self.beside / base.SOURCE / base.ROWS) as rows:
            return InitialModel(source.network, dict(rows))

    def _has_markets(self, name: str) -> bool:
        """Whether the one called `name` starts from a network of other markets of the same form."""
        return self.beside is not None and self._init(name) == "market" and (self.beside / base.SOURCE).is_dir()

    def _init(self, name: str) -> str:
        return getattr(self.params, name).init if name in ("pretrain", "finetune") else "none"

    def vectors(self) -> Floats:
        """(n_items, dim) pretrained item vectors; zeros where there is no stream to learn them from."""
        if not len(self.data.streams.item):
            return np.zeros((len(self.data.items.item_id), 1), np.float32)
        member: Any = self.member("pretrain")
        vectors: Floats = member.scorer.items(self.data)
        return vectors

    def listener(self, name: str) -> Callable[[dict[str, float]], None]:
        """The listener for the epochs of `name`."""
        return self.on_epoch if name == self.reported else lambda _: None

    def _timed(self, name: str) -> tuple[Any, dict[str, Any]]:
        """The member, and what is noted of it."""
        start, before = time.monotonic(), self._elsewhere
        if name in TRAINED:
            member, history = TRAINED[name](self)
        else:
            member, history = make_member(name, Bench(self.data, self.params, self.vectors, self.member)), []
        others = self._elsewhere - before  # what it was made of counts for itself
        network = getattr(member, "network", None)
        has_learned = self.has_source(name) or (name == "finetune" and self._init(name) in REGISTERED)
        facts: dict[str, Any] = {
            "seconds": time.monotonic() - start - others,
            "history": history,
            "parameters": None if network is None else _learned(network, self.params.finetune if has_learned else None),
        }
        self._note(name, **facts)
        return member, facts

    def _shelved(self, name: str) -> Member:
        read = self.params.model_dump(include=set(_recipe(name).reads))
        cut = self.cut if "tasks" in read else ""  # without tasks no exposure is read
        depends = [name, self.key, cut, read, str(self.runtime), _code()]
        if self.beside and {self._init(section) for section in _recipe(name).reads}.intersection(REGISTERED):
            depends += [digest(self.beside / part) for part in (base.REGISTERED, base.SOURCE)]
        text = json.dumps(depends, sort_keys=True, default=str)
        folder = self.shelf / f"{name}-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
        with held(folder, wait=True):  # another unit may be making it just now
            return self._kept(name, folder)

    def _kept(self, name: str, folder: Path) -> Member:
        """The member in `folder`, made if it is not there."""
        if (folder / "made.json").is_file():
            if self.has_source(name):
                self.member("pretrain")  # whose cost is noted too
            if self._has_markets(name):
                self._part("source")
            self._note(name, **read_json(folder / "made.json"))
            return load_member("pretrain" if name == "source" else name, folder)
        member, facts = self._timed(name)
        with replacing(folder) as fresh:
            member.save(fresh)
            write_json(fresh / "made.json", facts)
        return member

    def _note(self, name: str, seconds: float, history: History, parameters: int | None) -> None:
        self.seconds[name] = seconds
        if history:
            self.histories[name] = history
        if parameters is not None:
            self.parameters[name] = parameters


def _code() -> list[str]:
    """What names the code that fits members: another revision finds nothing on the shelf."""
    return [code_digest(PACKAGE / part) for part in CODE]


def _learned(network: Any, transfer: FinetuneParams | None) -> int:
    """How many numbers learn: of a trunk that has learned before, as many as its mode of `transfer` lets."""
    of_trunk = {id(weight) for weight in network.trunk.trainable_weights}
    rest = sum(int(np.prod(each.shape)) for each in network.trainable_weights if id(each) not in of_trunk)
    return rest + sizes(network.trunk, transfer)["trunk_parameters_learned"]


def _pretrain(shop: Workshop) -> Made:
    params, initial = shop.params.pretrain, shop.initial("pretrain")
    return pretrain_network(shop.data, params, shop.runtime, initial=initial, on_epoch=shop.listener("pretrain"))


def _source(shop: Workshop) -> Made:
    assert shop.beside is not None, "asked for where `_has_markets`"
    params = shop.params.pretrain.model_copy(update={"init": "scratch"})
    return pretrain_network(load(shop.beside / base.SOURCE), params, shop.runtime)


def _finetune(shop: Workshop) -> Made:
    params = shop.params
    pretrained: Any = shop.member("pretrain") if shop.has_source("finetune") else None
    ranker, histories = finetune_units(
        shop.data,
        params.tasks,
        params.finetune,
        shop.runtime,
        trunk=params.pretrain.trunk,
        pretrained=None if pretrained is None else pretrained.network,
        initial=shop.initial("finetune"),
        on_epoch=shop.listener("finetune"),
    )
    return ranker, histories[""]


TRAINED: Mapping[str, Callable[[Workshop], Made]] = {"finetune": _finetune, "pretrain": _pretrain, "source": _source}
"""The networks, `source` that of other markets which one may start from. Members make all others themselves."""


def _recipe(name: str) -> Recipe:
    """Whether a member is worth a place on the shelf, and the sections that it depends on."""
    return RECIPES["pretrain" if name == "source" else name]
