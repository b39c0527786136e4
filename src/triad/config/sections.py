"""Sections of `params.yaml` by what they are of: the data, and the models. A study has the second alone."""

from __future__ import annotations

from pydantic import Field

from triad.config.base import Section
from triad.config.champion import ChampionParams
from triad.config.evaluate import EvaluateParams
from triad.config.features import FeaturesParams
from triad.config.finetune import FinetuneParams
from triad.config.fuse import FuseParams
from triad.config.images import ImagesParams
from triad.config.ingest import IngestParams
from triad.config.pretrain import PretrainParams
from triad.config.profile import ProfileParams
from triad.config.retraining import RetrainingParams
from triad.config.runtime import RuntimeParams
from triad.config.similarity import SimilarityParams
from triad.config.tasks import Tasks
from triad.config.text import TextParams
from triad.config.validate import ValidateParams


class DataParams(Section):
    """What is read, and from where a night starts."""

    ingest: IngestParams
    validate_: ValidateParams = Field(default=ValidateParams(), alias="validate")
    retraining: RetrainingParams = RetrainingParams()
    champion: ChampionParams = ChampionParams()
    features: FeaturesParams = FeaturesParams()


class ModelParams(Section):
    """What fits and judges models."""

    tasks: Tasks
    text: TextParams = TextParams()
    images: ImagesParams = ImagesParams()
    runtime: RuntimeParams = RuntimeParams()
    pretrain: PretrainParams = PretrainParams()
    finetune: FinetuneParams = FinetuneParams()
    similarity: SimilarityParams = SimilarityParams()
    profile: ProfileParams = ProfileParams()
    fuse: FuseParams = FuseParams()
    evaluate: EvaluateParams = EvaluateParams()
