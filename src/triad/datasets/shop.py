"""The form `shop`: the examples of the pipeline's stage `features`, of a simulated or a real shop."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from triad.config.base import Section
from triad.errors import TriadError
from triad.features.dataset import Dataset, load


class ShopForm(Section):
    """Folders are relative to `ablations/`."""

    form: Literal["shop"] = "shop"
    features: str = Field(
        default="../artifacts/features", description="what the stage features wrote, beside what champion did"
    )
    oracle: str = Field(default="../artifacts/ingest/oracle", description="a simulated shop's truth")

    def read_from(self, folder: Path) -> list[Path]:
        """What `read` reads; `folder` is for forms that read public data."""
        return [Path(self.features)]


def read(form: ShopForm, folder: Path) -> Dataset:
    """The shop's examples; `folder` is for forms that read public data.

    Raises:
        TriadError: there are none.
    """
    found = Path(form.features)
    if not (found / "meta.json").is_file():
        raise TriadError("holds no examples", where=str(found), mend="run `dvc repro features` in the checkout first")
    return load(found)
