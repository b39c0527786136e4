"""The fusion, called like a member: y = Σ wᵢ fᵢ(x), each fᵢ a calibrated member, wᵢ its weight on the task."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import RECIPES
from triad.config.tasks import TaskParams, chain, given
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.fusion.blends import Blend
from triad.fusion.correction import Context, Correction
from triad.fusion.ranker import Ranker
from triad.fusion.reranker import Reranker
from triad.kinds import KINDS
from triad.kinds.base import Calibration
from triad.members.bench import Bench
from triad.members.protocol import EVIDENT, Generator, Member, RowScorer
from triad.members.registry import check_names, load_member

RERANKER, CORRECTIONS = "reranker", "corrections"
Scores = dict[str, dict[str, Floats]]
"""member → task → scores."""


@dataclass(frozen=True)
class Fused:
    """Members and how each task mixes them. `record` is the evidence that `crossfit` gathered."""

    members: Mapping[str, Member]
    kinds: dict[str, str]
    given: dict[str, str]  # task → the task whose event it needs
    calibrations: dict[str, dict[str, Calibration]]  # task → member
    weights: dict[str, dict[str, float]]  # task → member
    record: dict[str, Any] = field(default_factory=dict)
    blends: dict[str, Blend] = field(default_factory=dict)  # of tasks that are no plain convex mixture
    mask_seen: bool = False  # whether lists leave out what was taken before
    reranker: Reranker | None = None  # orders the first items of lists, where that was better
    corrections: dict[str, Correction] = field(default_factory=dict)  # task → trees upon its mixture
    thresholds: dict[str, float] = field(default_factory=dict)  # task → the confidence below which it refuses
    intervals: dict[str, dict[str, Any]] = field(default_factory=dict)  # task → `statistics.conformal`

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(task for task in self.weights if not KINDS[self.kinds[task]].ranks)

    @property
    def ranking(self) -> str | None:
        """The task that `rank` answers."""
        return next((task for task in self.weights if KINDS[self.kinds[task]].ranks), None)

    @property
    def ranks(self) -> bool:
        return self.ranking is not None

    def of_unit(self, data: Dataset, unit: str) -> list[str]:
        """Tasks whose examples are rows of `unit`."""
        return [task for task in self.tasks if task in data.meta.tasks.get(unit, ())]

    def needed(self, tasks: Iterable[str]) -> list[str]:
        """Members with a weight on one of `tasks`, in order; for lists also those that the re-ranker reads."""
        tasks = list(tasks)
        read = self.reranker.members if self.reranker is not None and self.ranking in tasks else ()
        return [n for n in self.members if n in read or any(self.weights[task].get(n, 0) > 0 for task in tasks)]

    def kept(self) -> list[str]:
        """Members that serve: with a weight, able to name what an answer rests on, or to write."""
        serve = {*self.needed(self.weights), *self.evident, *self.writers}
        return [name for name in self.members if name in serve]

    @property
    def evident(self) -> list[str]:
        """Members that can say what an answer rests on."""
        return [n for n in self.members if n in RECIPES and set(EVIDENT).intersection(RECIPES[n].protocols)]

    @property
    def writers(self) -> list[str]:
        """Members that write texts."""
        return [n for n in self.members if n in RECIPES and "Generator" in RECIPES[n].protocols]

    def predict(
        self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None, unit: str = "exposures"
    ) -> dict[str, Floats]:
        """Fused scores of `tasks` (of all of `unit`) on its `rows`; a member is asked what it has weight on.

        Who only says how likely the event is that a task needs is asked of few rows: a member cannot lower a mixture,
        so where the others' part of it is above the task's score, that score stands.
        """
        answered = [task for task in self.of_unit(data, unit) if tasks is None or task in tasks]
        parts = list(dict.fromkeys(name for task in answered for name in (task, *self.parents(task))))
        names, soon = self.needed(parts), self._asked_first(answered, parts)

        def mixed(names: list[str], rows: Ints) -> dict[str, Floats]:
            scores: Scores = {}
            for name in names:
                wanted = [task for task in parts if self.weights[task].get(name, 0) > 0]
                scores |= self.predict_members(data, rows, [name], wanted)
            return self._mixed(scores, data, rows, unit)

        mixture = mixed(soon, rows)
        fused = self._limited(mixture)
        if soon != names:
            limits = {task: mixture.get(task, np.zeros(len(rows))) * (1 - 1e-9) for task in parts}
            pairs = [(task, parent) for task in answered for parent in self.parents(task)]
            rest = np.flatnonzero(np.any([mixture[task] > limits[parent] for task, parent in pairs], axis=0))
            whole = self._limited(mixed(names, rows[rest])) if len(rest) else {}
            for task in answered if whole else ():
                fused[task][rest] = whole[task]
        return {task: fused[task] for task in answered}

    def _asked_first(self, answered: list[str], parts: list[str]) -> list[str]:
        """The members that `predict` asks of all rows."""
        if all(task not in self.corrections and self.blend(task).bias is None for task in parts):
            return self.needed(answered)
        return self.needed(parts)

    def predict_members(
        self, data: Dataset, rows: Ints, names: Iterable[str] | None = None, tasks: Collection[str] | None = None
    ) -> Scores:
        """Calibrated scores of `tasks`, all of one unit (of all of the exposures), by each member alone, or `names`."""
        tasks = self.of_unit(data, "exposures") if tasks is None else tasks
        calibrated: Scores = {}
        for name in self.members if names is None else names:
            member, scores = self.members[name], dict[str, Floats]()
            if isinstance(member, RowScorer) and set(member.tasks).intersection(tasks):
                scores = member.predict(data, rows, tasks)
            calibrated[name] = {
                task: KINDS[self.kinds[task]].calibrate(self.calibrations[task][name], np.asarray(values, np.float64))
                for task, values in scores.items()
                if name in self.weights.get(task, {})
            }
        return calibrated

    def combine(self, scores: Scores, data: Dataset, rows: Ints, unit: str = "exposures") -> dict[str, Floats]:
        """What `predict` makes of `predict_members`: so that nobody who has the one computes the members twice."""
        return self._limited(self._mixed(scores, data, rows, unit))

    def _mixed(self, scores: Scores, data: Dataset, rows: Ints, unit: str) -> dict[str, Floats]:
        """Task → what the members with scores make of it."""
        history, fused = data.history(unit)[rows], dict[str, Floats]()
        for task in self.tasks:
            by_member = {name: scores[name][task] for name in scores if task in scores[name]}
            if by_member:
                fused[task] = self.blend(task).mix(KINDS[self.kinds[task]], by_member, history)
                if task in self.corrections:
                    context = Context.of(data, rows)
                    fused[task] = self.corrections[task].correct(fused[task], by_member, context)
        return fused

    def _limited(self, mixed: dict[str, Floats]) -> dict[str, Floats]:
        """What needs a click is no likelier than the click."""
        fused = dict(mixed)
        for task, own in mixed.items():
            for parent in self.parents(task):
                fused[task] = np.minimum(fused[task], mixed.get(parent, own))
        return fused

    def blend(self, task: str) -> Blend:
        """How the members of `task` are mixed."""
        return self.blends.get(task) or Blend((self.weights[task],))

    def parents(self, task: str) -> list[str]:
        """Tasks whose events the one of `task` needs."""
        return chain(task, {name: needs for name, needs in self.given.items() if needs in self.weights})[1:]

    def ranker(self, data: Dataset, *, index: bool = False) -> Ranker:
        """What answers queries with lists over the catalogue of `data`, by an approximate index if so asked.

        Raises:
            TriadError: no ranking task was fused.
        """
        task = self.ranking
        if task is None:
            raise TriadError("no ranking task was fused", where="fusion", mend="add a task of kind ranking")
        needed = tuple(self.needed([task]))
        how = KINDS[self.kinds[task]], self.calibrations[task], self.blend(task)
        return Ranker(data, self.members, *how, needed, self.reranker, self.mask_seen, index=index)

    def generate(self, data: Dataset, rows: Ints, unit: str) -> list[str]:
        """A text for each of a unit's `rows`, by the first member that writes any: texts are not mixed.

        Raises:
            TriadError: no member writes.
        """
        for name in self.members:
            if name in RECIPES and (name not in self.writers or RECIPES[name].answers not in (None, unit)):
                continue  # so that its files are not read
            if isinstance(member := self.members[name], Generator):
                return member.generate(data, rows, unit)
        raise TriadError("no member writes texts", where="fusion", mend="name one in fuse.members that does")

    def refit(self, bench: Bench) -> Fused:
        """The same fusion of the members that serve, fitted on all days of `bench`."""
        return replace(self, members={name: self.members[name].refit(bench, name) for name in self.kept()})

    def save(self, folder: Path) -> None:
        """Each member under `members/<name>/`, the re-ranker in a folder of its own, and `fusion.json`."""
        for name, member in self.members.items():
            member.save(folder / "members" / name)
        names = ("kinds", "given", "calibrations", "weights", "record", "mask_seen", "thresholds", "intervals")
        numbers: dict[str, Any] = {name: getattr(self, name) for name in names}
        numbers["blends"] = {task: asdict(blend) for task, blend in self.blends.items()}
        if self.reranker is not None:
            self.reranker.save(folder / RERANKER)
        for task, correction in self.corrections.items():
            correction.save(folder / CORRECTIONS / task)
        write_json(folder / "fusion.json", numbers | {"members": list(self.members)})

    @classmethod
    def load(cls, folder: Path) -> Fused:
        """What `save` wrote. A member is read when it is first asked: serving opens only those with weight.

        Raises:
            TriadError: a member of it is none of this code's.
        """
        numbers = read_json(folder / "fusion.json")
        names, blends = tuple(numbers.pop("members")), numbers.pop("blends", {})
        check_names(names, str(folder / "fusion.json"))
        numbers["blends"] = {task: Blend.from_json(blend) for task, blend in blends.items()}
        reranker = Reranker.load(folder / RERANKER) if (folder / RERANKER).is_dir() else None
        upon = folder / CORRECTIONS
        corrections = {task: Correction.load(upon / task) for task in numbers["weights"] if (upon / task).is_dir()}
        return cls(_Folder(folder / "members", names), **numbers, reranker=reranker, corrections=corrections)


class _Folder(Mapping[str, Member]):
    """Members by name, each read from its folder once, when first asked for."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self._folder, self._names = folder, names
        self._read: dict[str, Member] = {}

    def __getitem__(self, name: str) -> Member:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._read:
            self._read[name] = load_member(name, self._folder / name)
        return self._read[name]

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def relations(tasks: Mapping[str, TaskParams]) -> tuple[dict[str, str], dict[str, str]]:
    """(kind of each task, the task each one is given)."""
    return {name: task.kind for name, task in tasks.items()}, given(tasks)
