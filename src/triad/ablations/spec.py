"""The typed form of a study, `ablations/studies/<name>.yaml`. Nothing here reads data or fits anything."""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, model_validator

from triad.config.base import Section
from triad.config.evaluate import EvaluateParams
from triad.config.finetune import FinetuneParams
from triad.config.fuse import FuseParams
from triad.config.params import merge
from triad.config.pretrain import PretrainParams
from triad.config.profile import ProfileParams
from triad.config.runtime import RuntimeParams
from triad.config.similarity import SimilarityParams
from triad.config.tasks import Tasks
from triad.config.texts import unquoted
from triad.errors import TriadError

FORMS = ("shop", "tabular", "sequences", "markets")
"""Forms of data. Each is a module of `triad.datasets` with a section `<Form>Form`, which says what it is `read_from`,
and `read(form, folder)`.
"""

TARGET = "target"
"""The dataset of a form that gives just one."""

REGISTERED = ("champion", "market")
"""Values of `init` that start a network from a registered model, or (`market`) from markets of the same form."""

DATASETS = "TRIAD_DATASETS"
"""The environment variable that names the folder of data sets that no night made."""

ALONE = "-alone-"
"""Between a variant's name and a task's: that variant, taught this task and no other."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class StudyParams(Section):
    """The sections of `params.yaml` that fit and judge models. A variant is an overlay over them."""

    tasks: Tasks
    runtime: RuntimeParams = RuntimeParams()
    pretrain: PretrainParams = PretrainParams()
    finetune: FinetuneParams = FinetuneParams()
    similarity: SimilarityParams = SimilarityParams()
    profile: ProfileParams = ProfileParams()
    fuse: FuseParams = FuseParams()
    evaluate: EvaluateParams = EvaluateParams()

    @model_validator(mode="after")
    def _given(self) -> StudyParams:
        for name, task in self.tasks.items():
            if task.given is not None and task.given not in self.tasks:
                raise ValueError(f"tasks.{name}.given: {task.given!r} is no task")
        return self

    def seeded(self, seed: int) -> StudyParams:
        """The same with `seed` wherever chance rules a fit. How answers are judged keeps its own."""
        sections = ("pretrain", "finetune", "similarity", "profile", "fuse")
        return self.model_copy(update={n: getattr(self, n).model_copy(update={"seed": seed}) for n in sections})


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
        form = form_of(values.get("data"))
        module: Any = importlib.import_module(f"triad.datasets.{values['data']['form']}")
        tasks = module.tasks(form) if hasattr(module, "tasks") else {}  # such a form says what may be predicted
        return {"tasks": tasks, **values, "data": form}

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

    def startable(self, found: Collection[str]) -> Study:
        """The study without the variants, and the claims on them, that start from what is not among `found`."""
        there = {*found}
        kept = {
            name: overlay
            for name, overlay in self.variants.items()
            if self.starts(name) <= there or name == self.reference
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
                names += [f"{variant}{ALONE}{task}" for task, entry in tasks.items() if entry.kind != "ranking"]
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


def datasets() -> Path:
    """The folder below which forms name their files."""
    return Path(os.environ.get(DATASETS, "datasets"))


def form_of(values: Any) -> Section:
    """The form's section.

    Raises:
        ValueError: there is no such form.
    """
    name = values.get("form") if isinstance(values, Mapping) else None
    if name not in FORMS:
        raise ValueError(f"form: {name!r} is none of {', '.join(FORMS)}")
    kind = getattr(importlib.import_module(f"triad.datasets.{name}"), f"{name.title()}Form")
    found: Section = kind.model_validate(values)
    return found


def load(path: Path) -> Study:
    """The study in `path`.

    Raises:
        TriadError: the file is missing, is no YAML, or does not fit.
    """
    try:
        return Study.model_validate(_on_base(yaml.safe_load(path.read_text(encoding="utf-8")), path.parent.parent))
    except FileNotFoundError as error:
        known = sorted(each.stem for each in path.parent.glob("*.yaml"))
        near = difflib.get_close_matches(path.stem, known, n=1)
        mend = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known) or 'none'}"
        raise TriadError("no such study", where=str(path), mend=mend) from error
    except yaml.YAMLError as error:
        raise TriadError(f"not readable as YAML: {error}", where=str(path), mend="correct the syntax") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] and first["loc"][0] not in Study.model_fields:  # it is the form's
            first["loc"] = ("data", *first["loc"])
        where = f"{path}: {'.'.join(str(part) for part in first['loc']) or 'study'}"
        said = unquoted(first, str(path)) or (first["msg"], "correct it; the keys are those of params.yaml")
        raise TriadError(said[0], where=where, mend=said[1]) from error


def _on_base(values: Any, folder: Path) -> Any:
    """`values` with the sections of the file that their key `base` names, relative to `folder`, laid below them."""
    if not isinstance(values, dict) or "base" not in values:
        return values
    base = yaml.safe_load((folder / values["base"]).read_text(encoding="utf-8"))
    sections = {name: base[name] for name in StudyParams.model_fields if name in base and name != "tasks"}
    return {"tasks": base["tasks"], **values, "params": merge(unregistered(sections), values.get("params") or {})}


def unregistered(sections: Mapping[str, Any]) -> dict[str, Any]:
    """`sections` of a night's params, whose networks start from no registered model: only a variant asks for one."""
    return {
        name: {key: value for key, value in section.items() if key != "init" or value not in REGISTERED}
        if isinstance(section, Mapping)
        else section
        for name, section in sections.items()
    }


def load_all(folder: Path) -> dict[str, Study]:
    """Every study of `folder`, by the file's name."""
    return {path.stem: load(path) for path in sorted(folder.glob("*.yaml"))}
