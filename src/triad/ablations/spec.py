"""The typed form of a study. Nothing here reads data or fits anything."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, ValidationError, model_validator

from triad.ablations.params import REGISTERED, StudyParams
from triad.config.base import Section
from triad.config.params import merge
from triad.config.tasks import Tasks
from triad.datasets.base import TARGET, Form, Starts
from triad.datasets.registry import FORMS, keys_of
from triad.kinds import KINDS

ALONE = "-alone-"
"""Between a variant's name and a task's: that variant, taught this task and no other."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Claim(Section):
    """`better` is better than `than` on `task`. Either is a variant, or `variant/member` for one of its members, or
    `variant/best` for the member that is best alone where weights are chosen.
    """

    better: str
    than: str
    task: str | None = Field(default=None, description="null: each that both answer; * in a name stands for it")
    metric: str | None = Field(default=None, description="null: the one that the gate looks at")
    share: float = Field(default=1.0, gt=0, le=1, description="of the train rows")

    def on(self, task: str) -> Claim:
        """The same of one task."""
        names = {"better": self.better.replace("*", task), "than": self.than.replace("*", task)}
        return self.model_copy(update={"task": task, **names})

    @property
    def compared(self) -> set[tuple[str, float]]:
        """The two variants, each with the share."""
        return {(side.partition("/")[0], self.share) for side in (self.better, self.than)}


class Study(Section):
    """One question put to one data set."""

    about: str = Field(description="the question, a sentence")
    base: str | None = Field(default=None, description="a params file below `params`; it may be any shop's")
    data: SerializeAsAny[Section] = Field(description="a form, named by its key `form`")
    market: str = Field(default=TARGET, description="which of the form's datasets is learned and judged")
    tasks: Tasks
    params: dict[str, Any] = Field(default={}, description="sections laid over the defaults, for all variants")
    variants: dict[str, dict[str, Any]] = Field(min_length=1, description="name → overlay over the sections")
    reference: str = Field(description="the variant that all others are compared with")
    alone: tuple[str, ...] = Field(default=(), description="variants that are also taught each task alone")
    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        default=(1.0,), description="of the train rows, each a unit of its own: the learning curve"
    )
    diagnose: bool = Field(default=False, description="look at the networks' gradients and experts, for some seconds")
    seeds: tuple[int, ...] = Field(default=(1, 2, 3, 4, 5), min_length=1)
    claims: tuple[Claim, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _of_form(cls, values: Any) -> Any:
        if not isinstance(values, dict) or isinstance(values.get("data"), Section):
            return values
        keys = keys_of(values.get("data"))
        return {"tasks": FORMS[values["data"]["form"]].tasks(keys), **values, "data": keys}

    @model_validator(mode="after")
    def _fits(self) -> Study:
        wrong = [name for name in self.variants if not _NAME.fullmatch(name)]
        if wrong:
            raise ValueError(f"variants.{wrong[0]}: a name is lower-case letters, digits and _")
        for name in (self.reference, *self.alone):
            if name not in self.variants:
                raise ValueError(f"{name!r} is no variant")
        for name in self.variants:
            self.settings(name)
        if self.strange and self.base is None:
            raise ValueError(f"claims: {self.strange[0]!r} is no task")
        units = self._compared()
        for claim in self.claims:
            lacking = [one.compared - units for one in self._by_task(claim)]
            if lacking and all(lacking):
                name, share = min(lacking[0])
                raise ValueError(f"claims: {name!r} at share {share:g} is not among the units")
        return self

    @property
    def form(self) -> Form[Any]:
        """What reads the study's data."""
        keys: Any = self.data
        return FORMS[keys.form]

    @property
    def offered(self) -> Starts:
        """What the study's networks can start from."""
        return self.form.starts(self.data, self.market)

    def all_tasks(self) -> list[str]:
        """Tasks of the study and those that only a variant has."""
        return list(
            dict.fromkeys([*self.tasks, *(name for v in self.variants.values() for name in v.get("tasks", {}))])
        )

    @property
    def strange(self) -> list[str]:
        """Tasks of claims that are not there. Those of a `base` need not be the ones that the study was written for."""
        known = (None, *self.all_tasks())
        return list(dict.fromkeys(str(claim.task) for claim in self.claims if claim.task not in known))

    @property
    def judged(self) -> tuple[Claim, ...]:
        """The claims, each of one task that is there, on units of the study."""
        units = self._compared()
        return tuple(one for claim in self.claims for one in self._by_task(claim) if one.compared <= units)

    def _by_task(self, claim: Claim) -> list[Claim]:
        known = self.all_tasks()
        return [one for one in ([claim] if claim.task else map(claim.on, known)) if one.task in known]

    def _compared(self) -> set[tuple[str, float]]:
        return {(unit.variant, unit.share) for unit in self.units("")}

    def starts(self, variant: str) -> set[str]:
        """Of `REGISTERED`, what networks of `variant` start from."""
        params = self.settings(variant)
        return {init for init in (params.pretrain.init, params.finetune.init) if init in REGISTERED}

    def all_starts(self) -> set[str]:
        """Of `REGISTERED`, what any variant starts from."""
        return set().union(*map(self.starts, self.variants))

    def startable(self, offered: Collection[str]) -> Study:
        """The study without the variants, and the claims on them, that start from what is not among `offered`."""
        known = {*offered}
        kept = {
            name: overlay
            for name, overlay in self.variants.items()
            if self.starts(name) <= known or name == self.reference
        }

        def stays(side: str) -> bool:
            return side.partition("/")[0].partition(ALONE)[0] in kept

        claims = tuple(claim for claim in self.claims if stays(claim.better) and stays(claim.than))
        alone = tuple(name for name in self.alone if name in kept)
        return self.model_copy(update={"variants": kept, "claims": claims, "alone": alone})

    def settings(self, variant: str) -> StudyParams:
        """The sections under `variant`, which may be one taught a task alone."""
        name, _, alone = variant.partition(ALONE)
        tasks = {task: entry.model_dump() for task, entry in self.tasks.items()}
        values = merge(merge({"tasks": tasks}, self.params), self.variants[name])
        if alone:  # what it was given is not learned beside it, so it is learned on the entire space directly
            values["tasks"] = {alone: {**values["tasks"][alone], "given": None}}
            values = merge(values, {"fuse": {"members": ("finetune",)}})
        try:
            return StudyParams.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"variants.{variant}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    def units(self, study: str) -> Iterator[Unit]:
        """Every fit the study asks for."""
        for variant in self.variants:
            names = [variant]
            if variant in self.alone:
                tasks = self.settings(variant).tasks
                names += [f"{variant}{ALONE}{task}" for task, entry in tasks.items() if not KINDS[entry.kind].ranks]
            for name in names:
                for share in self.shares:
                    yield from (Unit(study, name, share, seed) for seed in self.seeds)


@dataclass(frozen=True, order=True)
class Unit:
    """One variant, fitted with one seed on one share of the train rows."""

    study: str
    variant: str
    share: float
    seed: int

    @property
    def name(self) -> str:
        """Its stage's name in DVC, and its folder's."""
        part = "" if self.share == 1 else f"_{self.share:g}".replace(".", "p")
        return f"{self.study}_{self.variant}{part}_{self.seed}"

    def entry(self) -> dict[str, Any]:
        """What `ablations/dvc.yaml` reads of it."""
        return {"study": self.study, "variant": self.variant, "share": self.share, "seed": self.seed}
