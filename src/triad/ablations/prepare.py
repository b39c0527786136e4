"""Reads a study's data by its form and stores it as arrays, with the models that its networks may start from."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from triad.ablations.data import MODELS, ROWS, SOURCE, SUMMARY, digest, night_of, starts
from triad.ablations.spec import TARGET, Study, datasets
from triad.artifacts import replacing, write_json
from triad.datasets.markets import MarketsForm
from triad.datasets.markets.joined import source_of
from triad.errors import TriadError
from triad.features import dataset
from triad.features.dataset import SPLITS, Dataset


def prepare(study: Study, target: Path) -> dict[str, Any]:
    """Read the study's data and write `target/<dataset>/` and a summary; gives the summary.

    Beside them, where they are there: a simulated shop's `oracle`, and what networks may start from, the `registered`
    models or the `source` markets.

    Raises:
        TriadError: the data is not there, does not fit its form, or lacks the study's market, labels of a task, or
            lists to be ranked.
    """
    form: Any = study.data
    found = importlib.import_module(f"triad.datasets.{form.form}").read(form, datasets())
    sets = {TARGET: found} if isinstance(found, Dataset) else dict(found)
    if study.market not in sets:
        raise TriadError(f"holds {', '.join(sets)}, not {study.market!r}", where="market of the study", mend="name one")
    _can_be_asked(study, sets[study.market])
    with replacing(target) as folder:
        summary = {}
        for name, data in sets.items():
            dataset.save(data, folder / name)
            rows = {split: len(data.rows(split)) for split in SPLITS}
            queries = {split: len(data.query_rows(split)) for split in SPLITS[1:]}
            summary[name] = {"digest": digest(folder / name), "rows": rows, "queries": queries}
        truth = Path(getattr(form, "oracle", ""))
        if (truth / "oracle.json").is_file():
            shutil.copytree(truth, folder / "oracle")
        night = night_of(study)
        if study.all_starts() & starts(night):
            for part in ("champion", "features/state/vocabularies"):
                shutil.copytree(night / part, folder / MODELS / part)
        if isinstance(form, MarketsForm) and form.sources(study.market) and "market" in study.all_starts():
            source, origins = source_of(form, sets, study.market)
            dataset.save(source, folder / SOURCE)
            np.savez(folder / SOURCE / ROWS, **origins)
        write_json(folder / SUMMARY, summary)
    return summary


def _can_be_asked(study: Study, data: Dataset) -> None:
    """Refuse data that one of the study's tasks finds nothing in."""
    where = f"tasks of the study on {study.market}"
    for name, task in study.tasks.items():
        if task.kind != "ranking" and name not in data.meta.tasks:
            raise TriadError(
                f"the data has no labels of {name!r}, but of {', '.join(data.meta.tasks) or 'no task'}",
                where=where,
                mend="name tasks of this shop in the study's `tasks`",
            )
        empty = [split for split in SPLITS[1:] if task.kind == "ranking" and not len(data.query_rows(split))]
        if empty:
            raise TriadError(
                f"{name!r} has nothing to rank in {', '.join(empty)}",
                where=where,
                mend="let the form hold more out; of markets: `hold`, and `test` or `run` with `qrel`",
            )


def offered(study: Study) -> set[str]:
    """Of `champion` and `market`, what variants of `study` can start from."""
    form = study.data
    source = isinstance(form, MarketsForm) and form.sources(study.market)
    return starts(night_of(study)) | ({"market"} if source else set())
