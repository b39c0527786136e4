"""Which recipe learns most of few messages: HINT3's train messages alone, judged by cross-validation.

    TRIAD_DATASETS=… python benchmarks/intents.py --encoder FOLDER [--test | --tuned | --beside FOLDER]

FOLDER holds a BERT-like encoder (`text.encoder`). Five folds twice: of messages at random, and of groups of messages
that say nearly the same (cosine of vectors, average linkage), so that none is judged beside its paraphrase; intents of
which a fold leaves no message to learn from are not judged. Figures are accuracies, the mean over folds. No test
message is read, but with `--test`: then two recipes learn of all of train, the one that `text_linear` is like and the
one that did best, and the gain in in-scope accuracy has a 95 % interval, of a bootstrap of messages. With
`--tuned` the encoder is tuned (`text.tuning.transfer: full`) on what the first fold of groups leaves, and that fold is
judged. With `--beside` only recipes with a second encoder (`text.beside`) are judged, and the same without it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import eigh
from scipy.special import softmax
from service import NOTHING, RESAMPLES, SHOPS, _encoder, _messages
from sklearn.cluster import AgglomerativeClustering
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from triad.arrays import Floats, Ints
from triad.config.text import TuningParams
from triad.text.bags import Bag
from triad.text.beside import Beside
from triad.text.terms import plain
from triad.text.tuning import tuned
from triad.text.vectors import STORE, Vectors

FOLDS, APART = 5, 0.25
"""Folds, and the cosine distance from which groups are apart."""
Answer = Callable[["Fold"], Floats]
"""(later messages, intents) scores."""


@dataclass(frozen=True)
class Fold:
    """Products of texts, of words and letters and of vectors: (n + k, n + k), the last k being what intents are
    called."""

    said: Floats
    meant: Floats
    label: Ints  # (n,)
    intents: int
    train: Ints
    later: Ints
    beside: Floats | None = None  # products of a second encoder's vectors

    def lesson(self, vector: float, *, words: bool, names: bool, beside: bool = False) -> tuple[Floats, Floats, Ints]:
        """Products of what is learned of with itself, of later messages with it, and its intents."""
        own = (self.said if words else 0.0) + vector**2 * self.meant
        if beside:
            assert self.beside is not None, "name a second encoder"
            own = own + self.beside
        called = len(self.label) + np.arange(self.intents if names else 0)
        rows = np.r_[self.train, called]
        answer = np.r_[self.label[self.train], np.arange(len(called))]
        return own[np.ix_(rows, rows)], own[np.ix_(self.later, rows)], answer


def logistic(
    fold: Fold,
    c: float,
    vector: float,
    *,
    words: bool = True,
    names: bool = False,
    rare: float = 0.0,
    beside: bool = False,
) -> Floats:
    """Logistic regression. `rare`: the power of an intent's messages by which each of them counts less."""
    own, later, label = fold.lesson(vector, words=words, names=names, beside=beside)
    values, basis = eigh(own)
    kept = values > 1e-6 * values[-1]
    basis = basis[:, kept] / np.sqrt(values[kept])
    weight = np.bincount(label, minlength=fold.intents)[label] ** -rare
    model = LogisticRegression(C=c, max_iter=400, tol=1e-3).fit(own @ basis, label, weight / weight.mean())
    scores = np.zeros((len(later), fold.intents))
    scores[:, model.classes_] = model.predict_proba(later @ basis)
    return scores


def ridge(fold: Fold, vector: float, *, names: bool = False, penalty: float = 0.1, sharpness: float = 8.0) -> Floats:
    """Least squares of whether a message has each intent."""
    own, later, label = fold.lesson(vector, words=True, names=names)
    long = 2 + vector**2
    weights = np.linalg.solve(own / long + penalty * np.eye(len(label)), np.eye(fold.intents)[label])
    return np.asarray(softmax(sharpness * later @ weights / long, axis=1))


def nearest(fold: Fold, *, sharpness: float = 20.0, names: bool = False) -> Floats:
    """Shares of what is near by vectors."""
    _, later, label = fold.lesson(1.0, words=False, names=names)
    weight = np.exp(sharpness * (later - 1))
    return np.asarray(weight @ np.eye(fold.intents)[label] / weight.sum(axis=1, keepdims=True))


def both(*parts: Answer) -> Answer:
    """Equal shares."""
    return lambda fold: np.asarray(np.mean([part(fold) for part in parts], axis=0))


OWN, NAMED = partial(logistic, c=5, vector=4), partial(logistic, c=5, vector=4, names=True)
AS_NOW, BEST = "vectors of length 1 beside them", "logistic and ridge, what intents are called"
RECIPES: dict[str, Answer] = {
    "words and letters": partial(logistic, c=10, vector=0),
    AS_NOW: partial(logistic, c=10, vector=1),
    "vectors of length 4": OWN,
    "vectors of length 4 alone": partial(logistic, c=5, vector=4, words=False),
    "the nearest": nearest,
    "vectors of length 4, and the nearest": both(OWN, nearest),
    "vectors of length 4, rare intents count as much": partial(logistic, c=5, vector=4, rare=1.0),
    "vectors of length 1, what intents are called": partial(logistic, c=10, vector=1, names=True),
    "vectors of length 4, what intents are called": NAMED,
    "the same, rare intents count more (square root)": partial(logistic, c=5, vector=4, names=True, rare=0.5),
    "ridge regression, what intents are called": partial(ridge, vector=4, names=True),
    BEST: both(NAMED, partial(ridge, vector=4, names=True)),
}
WITH_SECOND = partial(logistic, c=10, vector=1, beside=True)
SECOND: dict[str, Answer] = {
    AS_NOW: RECIPES[AS_NOW],
    "and a second encoder's": WITH_SECOND,
    "vectors of length 1, and the nearest, names known": both(RECIPES[AS_NOW], partial(nearest, names=True)),
    "the same, and a second encoder's": both(WITH_SECOND, partial(nearest, names=True)),
}


def folds(shop: str, vectors: Vectors, second: Vectors | None = None) -> dict[str, list[Fold]]:
    """Of either kind."""
    said, intent = _messages(shop, "train")
    classes, label = np.unique(intent, return_inverse=True)
    cluster = AgglomerativeClustering(n_clusters=None, distance_threshold=APART, metric="cosine", linkage="average")
    group = cluster.fit_predict(vectors.of(said))
    how = {"shuffle": True, "random_state": 0}
    kinds = {"random": StratifiedKFold(FOLDS, **how), "groups": StratifiedGroupKFold(FOLDS, **how)}
    made: dict[str, list[Fold]] = {name: [] for name in kinds}
    for name, kind in kinds.items():
        for train, rest in kind.split(label, label, group):
            later = rest[np.isin(label[rest], label[train])]
            made[name].append(_fold(said, classes, label, (train, later), vectors, second=second))
    return made


def _fold(
    said: Sequence[str],
    classes: Any,
    label: Ints,
    rows: tuple[Ints, Ints],
    vectors: Vectors,
    *,
    second: Vectors | None = None,
) -> Fold:
    texts = [*said, *_called(classes)]
    counts, means = Bag.fit([said[row] for row in rows[0]]).matrix(texts), vectors.of(texts)
    made = Fold((counts @ counts.T).toarray(), means @ means.T, label, len(classes), *rows)
    if second is None:
        return made
    apart = Beside(second, second.of([said[row] for row in rows[0]]).mean(axis=0)).of(texts)
    return replace(made, beside=apart @ apart.T)


def _called(classes: Any) -> list[str]:
    return [plain(re.sub(r"[\W_]+", " ", name)) for name in classes]


def beside_tuned(shop: str, vectors: Vectors) -> None:
    """Print what `text_tuned` and forms of it reach on the first fold of groups."""
    frozen, (said, intent) = folds(shop, vectors)["groups"][0], _messages(shop, "train")
    task = [said[row] for row in frozen.train], frozen.label[frozen.train]
    own = tuned(vectors.encoder, [task], TuningParams(transfer="full")).encode([*said, *_called(np.unique(intent))])
    moved, linear = replace(frozen, meant=own @ own.T), RECIPES[AS_NOW](frozen)
    forms = {
        "as text_linear": [linear],
        "and the nearest, frozen": [linear, nearest(frozen)],
        "and the nearest, tuned": [linear, nearest(moved)],
        "and a logistic regression of tuned vectors": [
            linear,
            nearest(moved),
            logistic(moved, c=5, vector=4, words=False),
        ],
        "and the nearest, tuned, of messages and names": [linear, nearest(moved, names=True)],
    }
    for name, parts in forms.items():
        right = np.mean(parts, axis=0).argmax(axis=1) == frozen.label[frozen.later]
        print(f"| {shop} | {name} | {right.mean():.3f} of {len(right)} |", flush=True)


def tested(shop: str, vectors: Vectors) -> None:
    """Print what the recipes reach on test messages in scope."""
    (said, intent), (later, truth) = (_messages(shop, part) for part in ("train", "test"))
    classes, inside = np.unique(intent), truth != NOTHING
    texts = [*said, *np.array(later, object)[inside]]
    label = np.searchsorted(classes, np.r_[intent, truth[inside]])
    rows = np.arange(len(texts))
    fold = _fold(texts, classes, label, (rows[: len(said)], rows[len(said) :]), vectors)
    hit = [(RECIPES[name](fold).argmax(axis=1) == label[len(said) :]).astype(float) for name in (AS_NOW, BEST)]
    draws = np.random.default_rng(0).poisson(1.0, (RESAMPLES, len(hit[0])))
    cells = []
    for values in (*hit, hit[1] - hit[0]):
        low, high = np.quantile(draws @ values / draws.sum(axis=1), [0.025, 0.975])
        cells.append(f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
    print(f"| {shop} | {' | '.join(cells)} |", flush=True)


def told(name: str, answer: Answer, shops: Sequence[dict[str, list[Fold]]]) -> None:
    """A Markdown row: random folds of each shop, groups of each shop, the mean of all."""
    cells = [
        np.mean([(answer(fold).argmax(axis=1) == fold.label[fold.later]).mean() for fold in shop[kind]])
        for kind in ("random", "groups")
        for shop in shops
    ]
    print(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} | {np.mean(cells):.3f} |", flush=True)


def main() -> None:
    """Print figures as Markdown rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--beside")
    parser.add_argument("--test", action="store_true")
    parser.add_argument("--tuned", action="store_true")
    chosen = parser.parse_args()
    vectors = Vectors(_encoder(chosen.encoder), STORE)
    with threadpool_limits(1, "blas"):
        if chosen.test or chosen.tuned:
            for shop in SHOPS:
                (tested if chosen.test else beside_tuned)(shop, vectors)
            return
        second = Vectors(_encoder(chosen.beside), STORE) if chosen.beside else None
        shops = [folds(shop, vectors, second) for shop in SHOPS]
        for name, answer in (SECOND if second else RECIPES).items():
            told(name, answer, shops)


if __name__ == "__main__":
    main()
