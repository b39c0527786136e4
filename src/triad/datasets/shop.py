"""The form `shop`: the examples of the pipeline's stage `features`, of a simulated or a real shop."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from triad.config.base import Section
from triad.datasets.base import REGISTERED, Form, Starts, registered, single
from triad.errors import TriadError
from triad.examples.dataset import Dataset, load


class ShopForm(Section):
    """Folders are relative to `ablations/`."""

    form: Literal["shop"] = "shop"
    features: str = Field(
        default="../artifacts/features", description="what the stage features wrote, beside what champion did"
    )
    oracle: str = Field(default="../artifacts/ingest/oracle", description="a simulated shop's truth")

    @property
    def artifacts(self) -> Path:
        """Of the night that made the examples."""
        return Path(self.features).parent


def read(form: ShopForm, folder: Path) -> Dataset:
    """The shop's examples; `folder` is for forms that read public data.

    Raises:
        TriadError: there are none.
    """
    features = Path(form.features)
    if not (features / "meta.json").is_file():
        raise TriadError(
            "holds no examples", where=str(features), mend="run `dvc repro features` in the checkout first"
        )
    return load(features)


def starts(form: ShopForm, name: str) -> Starts:
    """The models that the night's stage `champion` fetched."""
    return dict.fromkeys(sorted(registered(form.artifacts)), (form.artifacts / "champion",))


def save_beside(
    form: ShopForm, datasets: Mapping[str, Dataset], name: str, started_from: Collection[str], folder: Path
) -> None:
    """The simulated shop's truth, if it is one, and the registered models that are started from."""
    if (Path(form.oracle) / "oracle.json").is_file():
        shutil.copytree(form.oracle, folder / "oracle")
    if started_from:
        for part in ("champion", "features/state/vocabularies"):
            shutil.copytree(form.artifacts / part, folder / REGISTERED / part)


FORM = Form(
    name="shop",
    keys=ShopForm,
    read_from=lambda form, folder: [Path(form.features)],
    read=single(read),
    starts=starts,
    save_beside=save_beside,
)
