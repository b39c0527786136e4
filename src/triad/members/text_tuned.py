"""What was answered to the nearest messages, in a space that the shop's own messages tuned: `text_tuned`.

Half of its answer is `text_linear`'s. With a second encoder (`text.beside`) a quarter is what was answered to the
nearest in its space, which is not tuned. What an answer is called (`ORDER_STATUS`: "order status") is one known text
more: of a rare intent few messages are known. What is near to no message that it learned from is probably none of the
known answers. How near that is, it learns without one such message: where a message's own answer is taken out, the
nearest of all others is as far as a message's whose answer nobody knows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from triad.arrays import Bools, Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.members.bench import Bench
from triad.members.labelled import labelled
from triad.members.nearest_text import FEW
from triad.members.text_linear import TextLinear
from triad.members.texts import TEXT
from triad.tasks import LABELS
from triad.text.bert import Bert
from triad.text.beside import Beside
from triad.text.masking import masked
from triad.text.terms import plain
from triad.text.tuning import tuned

MEMBERS = Recipe("text_tuned", "TextTuned", ("RowScorer",), reads=("tasks", "text"))
SHARPNESS = (8.0, 12.0, 20.0, 30.0)
"""A known text's weight is e^(sharpness · cosine): values tried on validation."""
STRANGE = 0.2
"""Share of messages that are taken to have no known answer, where those to learn from show fewer."""


@dataclass(frozen=True)
class Nearest:
    """(n + m,) known texts of a task, of which the last m are what answers are called, and where they lie."""

    label: Ints  # (n + m,)
    own: Floats  # (n + m, dim)
    classes: int
    sharpness: float = SHARPNESS[0]

    def chances(self, own: Floats) -> Floats:
        """(q, classes) of texts that lie there."""
        weight = np.exp(self.sharpness * (own @ self.own.T - 1.0).astype(np.float64))
        shares = weight @ np.eye(self.classes)[self.label] / weight.sum(axis=1, keepdims=True)
        return (1 - FEW) * shares + FEW / self.classes

    def judged(self, own: Floats, label: Ints) -> Nearest:
        """With the sharpness that suits texts (q,) of another split."""
        tried = [replace(self, sharpness=each) for each in SHARPNESS]
        losses = [log_loss(label, each.chances(own), labels=range(self.classes)) for each in tried]
        return tried[int(np.argmin(losses))]


@dataclass(frozen=True)
class Lie:
    """Where (q,) texts lie: as pretrained, as tuned, and by the second encoder."""

    pretrained: Floats
    own: Floats
    beside: Floats | None = None

    def __getitem__(self, rows: Any) -> Lie:
        return Lie(self.pretrained[rows], self.own[rows], None if self.beside is None else self.beside[rows])


@dataclass(frozen=True)
class Known:
    """Labelled texts of a task as tuned, (n,) of them as pretrained, and how to tell what is far from them.

    What answers are called stands behind them: nobody wrote it, so it does not tell how far a message is.

    Args:
        odds: weights of the two cosines, and the intercept, of the log odds that a text's answer is known.
        beside: the same texts by the second encoder.
    """

    tuned: Nearest
    pretrained: Floats  # (n, dim)
    odds: tuple[float, float, float] = (0.0, 0.0, 20.0)
    beside: Nearest | None = None

    @property
    def of_messages(self) -> Ints:
        """(n,) labels."""
        return self.tuned.label[: len(self.pretrained)]

    def chances(self, lie: Lie) -> Floats:
        """(q, classes) by what is near."""
        own = self.tuned.chances(lie.own)
        if self.beside is None or lie.beside is None:
            return own
        return (own + self.beside.chances(lie.beside)) / 2

    def nearness(self, lie: Lie, without: Ints | None = None) -> Floats:
        """(q, 2) cosine of the nearest known text that has an answer, as pretrained and as tuned.

        Args:
            without: (q,) an answer whose texts do not count.
        """
        parts, label = [], self.of_messages
        for vectors, known in ((lie.pretrained, self.pretrained), (lie.own, self.tuned.own[: len(label)])):
            cosine = vectors @ known.T
            cosine[:, label == 0] = -1
            if without is not None:
                cosine[without[:, None] == label[None, :]] = -1
            parts.append(cosine.max(axis=1))
        return np.stack(parts, axis=1)

    def is_known(self, lie: Lie) -> Floats:
        """(q,) the chance that a text's answer is one of those known."""
        return np.asarray(expit(self.nearness(lie) @ self.odds[:2] + self.odds[2]))

    def judged(self, lie: Lie, label: Ints) -> Known:
        """With the sharpness of each space and the odds that texts (q,) of another split teach."""
        has_answer = label > 0
        near, apart = self.nearness(lie[has_answer]), self.nearness(lie[has_answer], label[has_answer])
        far = np.concatenate([apart, self.nearness(lie[~has_answer])])
        beside = self.beside
        return replace(
            self,
            tuned=self.tuned.judged(lie.own, label),
            odds=_odds(near, far, max(STRANGE, float((self.of_messages == 0).mean()))),
            beside=beside if beside is None or lie.beside is None else beside.judged(lie.beside, label),
        )

    def as_chosen(self, chosen: Known) -> Known:
        """These texts, with the sharpness and the odds of others."""
        beside = self.beside
        if beside is not None and chosen.beside is not None:
            beside = replace(beside, sharpness=chosen.beside.sharpness)
        return replace(
            self, tuned=replace(self.tuned, sharpness=chosen.tuned.sharpness), odds=chosen.odds, beside=beside
        )


@dataclass(frozen=True)
class TextTuned:
    """An encoder with what was added to it, the texts it answers from, and the linear half."""

    linear: TextLinear
    encoder: Bert
    known: dict[str, Known]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.known)

    @classmethod
    def make(cls, bench: Bench, name: str) -> TextTuned:
        """Of train; what it chooses is chosen on validation.

        Raises:
            TriadError: `text.encoder` has no vectors.
        """
        made = cls._of(bench, TextLinear.make(bench, "text_linear"), name)
        return replace(made, known={task: made._judged(bench.data, task, each) for task, each in made.known.items()})

    def refit(self, bench: Bench, name: str) -> TextTuned:
        """Of all days, with what was chosen."""
        made = self._of(bench, self.linear.refit(bench, "text_linear"), name)
        return replace(made, known={task: each.as_chosen(self.known[task]) for task, each in made.known.items()})

    @classmethod
    def _of(cls, bench: Bench, linear: TextLinear, name: str) -> TextTuned:
        frozen = _vectors(linear, name)
        rows = {task: labelled(bench.data, task, "train", both=True) for task in linear.tasks}
        said = {task: _said(bench.data, task, of) for task, (of, _) in rows.items()}
        label = {task: each.astype(np.int64) for task, (_, each) in rows.items()}
        encoder = tuned(frozen.encoder, [(said[task], label[task]) for task in rows], bench.params.text.tuning)
        known = {}
        for task in rows:
            classes, called = len(bench.data.meta.classes[task]), _called(bench, task)
            texts, places = [*said[task], *called.values()], np.array([*label[task], *called], np.int64)
            spaces = [encoder.encode(texts)] + [beside.of(texts) for beside in _beside(linear)]
            near = [Nearest(places, own, classes) for own in spaces]
            known[task] = Known(near[0], frozen.of(said[task]), beside=near[1] if near[1:] else None)
        return cls(linear, encoder, known)

    def _judged(self, data: Dataset, task: str, known: Known) -> Known:
        rows, label = labelled(data, task, "validation")
        return known.judged(self._lie(data, task, rows), label.astype(np.int64))

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """(n, classes) probabilities of each task."""
        wanted = [task for task in self.known if tasks is None or task in tasks]
        linear, scores = self.linear.predict(data, rows, wanted), dict[str, Floats]()
        for task in wanted:
            known, lie = self.known[task], self._lie(data, task, rows)
            is_known = known.is_known(lie)[:, None]
            scores[task] = (linear[task] + known.chances(lie)) / 2 * is_known
            scores[task][:, [0]] += 1 - is_known
        return scores

    def _lie(self, data: Dataset, task: str, rows: Ints) -> Lie:
        said = _said(data, task, rows)
        by_second = [beside.of(said) for beside in _beside(self.linear)]
        return Lie(_vectors(self.linear, "text_tuned").of(said), self.encoder.encode(said), *by_second)

    def save(self, folder: Path) -> None:
        """The linear half, the encoder, and where known texts lie. Texts are not kept."""
        self.linear.save(folder / "linear")
        self.encoder.save(folder / "encoder")
        told = {}
        for task, known in self.known.items():
            near = known.tuned
            np.savez(folder / f"known_{task}.npz", label=near.label, pretrained=known.pretrained, own=near.own)
            told[task] = [near.classes, near.sharpness, known.odds]
            if known.beside is not None:
                np.save(folder / f"beside_{task}.npy", known.beside.own, allow_pickle=False)
                told[task].append(known.beside.sharpness)
        write_json(folder / "known.json", told)

    @classmethod
    def load(cls, folder: Path) -> TextTuned:
        """What `save` wrote."""
        known = {}
        for task, (classes, sharpness, odds, *of_beside) in read_json(folder / "known.json").items():
            with np.load(folder / f"known_{task}.npz", allow_pickle=False) as held:
                label, pretrained, own = held["label"], held["pretrained"], held["own"]
            beside = None
            if of_beside:
                by_second = np.load(folder / f"beside_{task}.npy", allow_pickle=False)
                beside = Nearest(label, by_second, classes, of_beside[0])
            known[task] = Known(Nearest(label, own, classes, sharpness), pretrained, tuple(odds), beside)
        return cls(TextLinear.load(folder / "linear"), Bert.load(folder / "encoder"), known)


def _beside(linear: TextLinear) -> list[Beside]:
    """The second encoder, if there is one."""
    beside = getattr(linear.space, "beside", None)
    return [] if beside is None else [beside]


def _vectors(linear: TextLinear, name: str) -> Any:
    vectors = getattr(linear.space, "vectors", None)
    if vectors is None:
        mend = "choose text.encoder: minilm, scratch or a folder, or leave the member out of fuse.members"
        raise TriadError("text.encoder has no vectors that could be tuned", where=f"member {name}", mend=mend)
    return vectors


def _called(bench: Bench, task: str) -> dict[int, str]:
    """Answer → what it is called, in plain form; "none" is not called anything."""
    label, names = LABELS[bench.params.tasks[task].label], bench.data.meta.classes[task]
    called = {place: plain(masked(label.called(name))) for place, name in enumerate(names) if place}
    return {place: text for place, text in called.items() if text}


def _said(data: Dataset, task: str, rows: Ints) -> Sequence[str]:
    texts: Sequence[str] = getattr(data.units[data.unit_of(task)], TEXT)[np.asarray(rows)].tolist()
    return texts


def _odds(near: Floats, far: Floats, strange: float) -> tuple[float, float, float]:
    """Of a logistic regression that tells near from far, of which the share `strange` is far."""
    if not len(near) or not len(far):
        return 0.0, 0.0, 20.0
    is_near: Bools = np.arange(len(near) + len(far)) < len(near)
    weight = np.where(is_near, (1 - strange) / len(near), strange / len(far)) * len(is_near)
    model = LogisticRegression(C=10.0).fit(np.concatenate([near, far]), is_near, sample_weight=weight)
    first, second = model.coef_[0]
    return float(first), float(second), float(model.intercept_[0])
