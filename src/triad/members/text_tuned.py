"""What was answered to the nearest messages, in a space that the shop's own messages tuned: `text_tuned`.

Half of its answer is `text_linear`'s. What an answer is called (`ORDER_STATUS`: "order status") is one known text more:
of a rare intent few messages are known. What is near to no message that it learned from is probably none of the known
answers. How near that is, it learns without one such message: where a message's own answer is taken out, the nearest
of all others is as far as a message's whose answer nobody knows.
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
from triad.text.masking import masked
from triad.text.terms import plain
from triad.text.tuning import tuned

MEMBERS = Recipe("text_tuned", "TextTuned", ("RowScorer",), reads=("tasks", "text"))
SHARPNESS = (8.0, 12.0, 20.0, 30.0)
"""A known text's weight is e^(sharpness · cosine): values tried on validation."""
STRANGE = 0.2
"""Share of messages that are taken to have no known answer, where those to learn from show fewer."""


@dataclass(frozen=True)
class Known:
    """(n,) labelled texts of a task, where they lie as pretrained and as tuned, and how to tell what is far from them.

    Behind them stand m more, what answers are called: nobody wrote them, so they do not tell how far a message is.

    Args:
        odds: weights of the two cosines, and the intercept, of the log odds that a text's answer is known.
    """

    label: Ints  # (n + m,)
    pretrained: Floats  # (n, dim)
    own: Floats  # (n + m, dim)
    classes: int
    sharpness: float
    odds: tuple[float, float, float]

    @property
    def of_messages(self) -> Ints:
        """(n,) labels."""
        return self.label[: len(self.pretrained)]

    def chances(self, own: Floats) -> Floats:
        """(q, classes) of texts that lie there as tuned."""
        weight = np.exp(self.sharpness * (own @ self.own.T - 1.0).astype(np.float64))
        shares = weight @ np.eye(self.classes)[self.label] / weight.sum(axis=1, keepdims=True)
        return (1 - FEW) * shares + FEW / self.classes

    def nearness(self, pretrained: Floats, own: Floats, without: Ints | None = None) -> Floats:
        """(q, 2) cosine of the nearest known text that has an answer, in either space.

        Args:
            without: (q,) an answer whose texts do not count.
        """
        parts, label = [], self.of_messages
        for vectors, known in ((pretrained, self.pretrained), (own, self.own[: len(label)])):
            cosine = vectors @ known.T
            cosine[:, label == 0] = -1
            if without is not None:
                cosine[without[:, None] == label[None, :]] = -1
            parts.append(cosine.max(axis=1))
        return np.stack(parts, axis=1)

    def is_known(self, pretrained: Floats, own: Floats) -> Floats:
        """(q,) the chance that a text's answer is one of those known."""
        return np.asarray(expit(self.nearness(pretrained, own) @ self.odds[:2] + self.odds[2]))

    def judged(self, pretrained: Floats, own: Floats, label: Ints) -> Known:
        """With the sharpness and the odds that texts (q,) of another split teach."""
        tried = [replace(self, sharpness=each) for each in SHARPNESS]
        losses = [log_loss(label, each.chances(own), labels=range(self.classes)) for each in tried]
        best = tried[int(np.argmin(losses))]
        has_answer = label > 0
        near = self.nearness(pretrained[has_answer], own[has_answer])
        apart = self.nearness(pretrained[has_answer], own[has_answer], label[has_answer])
        far = np.concatenate([apart, self.nearness(pretrained[~has_answer], own[~has_answer])])
        return replace(best, odds=_odds(near, far, max(STRANGE, float((self.of_messages == 0).mean()))))


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
        known = {
            task: replace(each, sharpness=self.known[task].sharpness, odds=self.known[task].odds)
            for task, each in made.known.items()
        }
        return replace(made, known=known)

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
            lie = frozen.of(said[task]), encoder.encode([*said[task], *called.values()])
            places = np.array([*label[task], *called], np.int64)
            known[task] = Known(places, *lie, classes, SHARPNESS[0], (0.0, 0.0, 20.0))
        return cls(linear, encoder, known)

    def _judged(self, data: Dataset, task: str, known: Known) -> Known:
        rows, label = labelled(data, task, "validation")
        return known.judged(*self._lie(data, task, rows), label.astype(np.int64))

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """(n, classes) probabilities of each task."""
        wanted = [task for task in self.known if tasks is None or task in tasks]
        linear, scores = self.linear.predict(data, rows, wanted), dict[str, Floats]()
        for task in wanted:
            known, lie = self.known[task], self._lie(data, task, rows)
            is_known = known.is_known(*lie)[:, None]
            scores[task] = (linear[task] + known.chances(lie[1])) / 2 * is_known
            scores[task][:, [0]] += 1 - is_known
        return scores

    def _lie(self, data: Dataset, task: str, rows: Ints) -> tuple[Floats, Floats]:
        said = _said(data, task, rows)
        return _vectors(self.linear, "text_tuned").of(said), self.encoder.encode(said)

    def save(self, folder: Path) -> None:
        """The linear half, the encoder, and where known texts lie. Texts are not kept."""
        self.linear.save(folder / "linear")
        self.encoder.save(folder / "encoder")
        for task, known in self.known.items():
            np.savez(folder / f"known_{task}.npz", label=known.label, pretrained=known.pretrained, own=known.own)
        told = {task: [known.classes, known.sharpness, known.odds] for task, known in self.known.items()}
        write_json(folder / "known.json", told)

    @classmethod
    def load(cls, folder: Path) -> TextTuned:
        """What `save` wrote."""
        known = {}
        for task, (classes, sharpness, odds) in read_json(folder / "known.json").items():
            with np.load(folder / f"known_{task}.npz", allow_pickle=False) as held:
                arrays = held["label"], held["pretrained"], held["own"]
            known[task] = Known(*arrays, classes, sharpness, tuple(odds))
        return cls(TextLinear.load(folder / "linear"), Bert.load(folder / "encoder"), known)


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
