"""The sections of a night's params that a study's variants and a search's dials lay others over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from triad.config.cross import check_tasks
from triad.config.sections import ModelParams

REGISTERED = ("champion", "market")
"""Values of `init` that start a network from a registered model, or (`market`) from markets of the same form."""


class StudyParams(ModelParams):
    """What a variant is an overlay over."""

    @model_validator(mode="after")
    def _labels(self) -> StudyParams:
        check_tasks(self.tasks)
        return self

    def seeded(self, seed: int) -> StudyParams:
        """The same with `seed` wherever chance rules a fit. How answers are judged keeps its own."""
        sections = ("pretrain", "finetune", "similarity", "profile", "fuse")
        return self.model_copy(update={n: getattr(self, n).model_copy(update={"seed": seed}) for n in sections})


def unregistered(sections: Mapping[str, Any]) -> dict[str, Any]:
    """`sections` of a night's params, whose networks start from no registered model: only a variant asks for one."""
    return {
        name: {key: value for key, value in section.items() if key != "init" or value not in REGISTERED}
        if isinstance(section, Mapping)
        else section
        for name, section in sections.items()
    }
