"""All of `params.yaml`, parsed once. Only `cli.py` and the composition of stages need the whole."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from triad.config.base import Section
from triad.config.champion import ChampionParams
from triad.config.evaluate import EvaluateParams
from triad.config.features import FeaturesParams
from triad.config.finetune import FinetuneParams
from triad.config.fuse import FuseParams
from triad.config.ingest import IngestParams
from triad.config.pretrain import PretrainParams
from triad.config.profile import ProfileParams
from triad.config.publish import PublishParams
from triad.config.recommend import RecommendParams
from triad.config.runtime import RuntimeParams
from triad.config.similarity import SimilarityParams
from triad.config.tasks import Tasks
from triad.config.validate import ValidateParams
from triad.errors import TriadError


class Params(Section):
    """The sections, named as their stages."""

    ingest: IngestParams
    tasks: Tasks
    validate_: ValidateParams = Field(default=ValidateParams(), alias="validate")
    champion: ChampionParams = ChampionParams()
    features: FeaturesParams = FeaturesParams()
    runtime: RuntimeParams = RuntimeParams()
    pretrain: PretrainParams = PretrainParams()
    finetune: FinetuneParams = FinetuneParams()
    similarity: SimilarityParams = SimilarityParams()
    profile: ProfileParams = ProfileParams()
    fuse: FuseParams = FuseParams()
    evaluate: EvaluateParams = EvaluateParams()
    publish: PublishParams = PublishParams()
    recommend: RecommendParams = RecommendParams()

    @model_validator(mode="after")
    def _cross_checks(self) -> Params:
        for name, task in self.tasks.items():
            if task.given is not None and (task.given not in self.tasks or self.tasks[task.given].kind != "binary"):
                raise ValueError(f"tasks.{name}.given: {task.given!r} is no binary task")
            if task.label == "user_attribute" and task.column in self.features.user_attributes:
                raise ValueError(f"tasks.{name}: its label {task.column!r} is also in features.user_attributes")
        later = sum(self.features.split_days.model_dump().values())
        if later >= self.ingest.window_days:
            raise ValueError(f"features.split_days take {later} days of ingest.window_days={self.ingest.window_days}")
        starts = [name for name in ("pretrain", "finetune") if getattr(self, name).init == "market"]
        if starts and self.champion.market.model is None:
            raise ValueError(f"{starts[0]}.init is market, but champion.market.model names none")
        order = self.recommend.order_by
        if order is not None and (order not in self.tasks or self.tasks[order].kind != "binary"):
            raise ValueError(f"recommend.order_by: {order!r} is no binary task")
        return self


def merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """`overlay` laid over `base`, mapping by mapping; the sections `tasks` and `files` are replaced whole."""
    merged = dict(base)
    for key, value in overlay.items():
        deep = isinstance(value, dict) and isinstance(base.get(key), dict) and key not in ("tasks", "files")
        merged[key] = merge(base[key], value) if deep else value
    return merged


def parse(values: Any, where: str) -> Params:
    """`values` as typed parameters.

    Raises:
        TriadError: with the key's place and, for an unknown key, the nearest known one.
    """
    if not isinstance(values, dict):
        raise TriadError("is not a mapping of sections", where=where, mend="see the params.yaml the project ships")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"]) or "params"
        message, mend = first["msg"], "correct the value; each field's meaning stands in src/triad/config/"
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(first["loc"][-1]), _keys(Params), n=1, cutoff=0.5)
            message = "unknown key"
            mend = f"did you mean {near[0]!r}?" if near else "remove it"
        raise TriadError(message, where=f"{where}: {path}", mend=mend) from error


def load(path: Path = Path("params.yaml")) -> Params:
    """The parameters in `path`.

    Raises:
        TriadError: the file is missing, is no YAML, or does not fit.
    """
    return parse(read(path), str(path))


def read(path: Path, *, empty: bool = False) -> dict[str, Any]:
    """The sections in `path`, which may be `empty`.

    Raises:
        TriadError: the file is missing, is no YAML, or holds no mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TriadError("no such file", where=str(path), mend="run from the folder that holds dvc.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TriadError(f"not readable as YAML: {error}", where=str(path), mend="correct the syntax") from error
    if values is None and empty:
        return {}
    if not isinstance(values, dict):
        raise TriadError("is not a mapping of sections", where=str(path), mend="see the params.yaml the project ships")
    return values


def _keys(section: Any) -> list[str]:
    """Every key known anywhere below `section`, for suggestions."""
    found: list[str] = []
    for name, field in section.model_fields.items():
        found.append(field.alias or name)
        inner = field.annotation
        for kind in (inner, *getattr(inner, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, Section):
                found += _keys(kind)
    return found
