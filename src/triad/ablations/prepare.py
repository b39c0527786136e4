"""Reads a study's data by its form and stores it as arrays, with the models that its networks may start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triad.ablations.data import SUMMARY, digest
from triad.ablations.spec import Study
from triad.artifacts import replacing, write_json
from triad.datasets.base import folder
from triad.errors import TriadError
from triad.examples import dataset
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS
from triad.kinds import KINDS


def prepare(study: Study, target: Path) -> dict[str, Any]:
    """Read the study's data and write `target/<dataset>/` and a summary; gives the summary.

    Beside them lies what the form says that units need (`Form.save_beside`).

    Raises:
        TriadError: the data is not there, does not fit its form, or lacks the study's market, labels of a task, or
            lists to be ranked.
    """
    sets = study.form.read(study.data, folder())
    if study.market not in sets:
        raise TriadError(f"holds {', '.join(sets)}, not {study.market!r}", where="market of the study", mend="name one")
    _can_be_asked(study, sets[study.market])
    with replacing(target) as fresh:
        summary = {}
        for name, data in sets.items():
            dataset.save(data, fresh / name)
            rows = {split: len(data.rows(split)) for split in SPLITS}
            queries = {split: len(data.rows(split, "lists")) for split in SPLITS[1:]}
            summary[name] = {"digest": digest(fresh / name), "rows": rows, "queries": queries}
        started_from = study.all_starts() & study.offered.keys()
        study.form.save_beside(study.data, sets, study.market, started_from, fresh)
        write_json(fresh / SUMMARY, summary)
    return summary


def _can_be_asked(study: Study, data: Dataset) -> None:
    """Refuse data that one of the study's tasks finds nothing in."""
    where = f"tasks of the study on {study.market}"
    for name, task in study.tasks.items():
        ranks = KINDS[task.kind].ranks
        if not ranks and name not in data.meta.tasks["exposures"]:
            raise TriadError(
                f"the data has no labels of {name!r}, but of {', '.join(data.meta.tasks['exposures']) or 'no task'}",
                where=where,
                mend="name tasks of this shop in the study's `tasks`",
            )
        empty = [split for split in SPLITS[1:] if ranks and not len(data.rows(split, "lists"))]
        if empty:
            raise TriadError(
                f"{name!r} has nothing to rank in {', '.join(empty)}",
                where=where,
                mend="let the form hold more out; of markets: `hold`, and `test` or `run` with `qrel`",
            )
