"""Customer service: simulated shops, HINT3's intents with refusal, and Amazon's questions with the answers they got.

    python benchmarks/service.py shop --seeds 5
    python benchmarks/service.py hint3 --encoder FOLDER --seeds 3
    python benchmarks/service.py amazon_qa --encoder FOLDER

FOLDER holds a BERT-like encoder (`text.encoder`); the data lies below the folder that TRIAD_DATASETS names. Weights and
strengths are chosen on train (HINT3: three folds) and validation (Amazon: a fifth of the products). Intervals are 95 %,
from a bootstrap of messages; of Amazon of products.

HINT3, three models. `words`: logistic regression on words. `linear`: on words, letters and vectors, as the member
`text_linear`. `tuned`: the mean of `linear` and of the nearest messages in a space that the shop's own messages tuned
(supervised contrastive loss, Khosla et al. 2020, arXiv:2004.11362), whose confidence also counts the cosines to the
nearest message in both spaces.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy.sparse import csr_array, hstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss, recall_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from triad.config.text import TextParams
from triad.datasets.base import folder
from triad.statistics.choices import PRECISION
from triad.text.bags import Bag
from triad.text.encoder import encoder_of
from triad.text.masking import masked
from triad.text.terms import plain, terms
from triad.text.vectors import STORE, Vectors

SHOPS = ("curekart", "powerplay11", "sofmattress")
NOTHING = "NO_NODES_DETECTED"
WEIGHTS = (1.0, 1.5)  # of the vector beside words and letters
EPOCHS, RATE, HEAT, BATCH, OF_CLASS = 10, 5e-5, 0.1, 64, 4
SHARPNESS = 20.0  # of the nearest messages, as the member `nearest_text` chooses
RESAMPLES = 1000


def main() -> None:
    """Print figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("shop", "hint3", "amazon_qa"))
    parser.add_argument("--encoder", default="words")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shops", nargs="*", default=SHOPS)
    chosen = parser.parse_args()
    with threadpool_limits(1, "blas"):
        if chosen.what == "shop":
            for seed in range(1, chosen.seeds + 1):
                simulated(seed, chosen.encoder)
        elif chosen.what == "hint3":
            for shop in chosen.shops:
                hint3(shop, chosen.encoder, chosen.seeds)
        else:
            amazon_qa(chosen.encoder)


def simulated(seed: int, encoder: str) -> None:
    """A line a task and model: a simulated shop with as many messages as the default one has."""
    from triad.config.params import parse
    from triad.evaluation.assess import NAIVE, ORACLE, assess
    from triad.evaluation.oracle import oracle
    from triad.evaluation.scoring import score_members, score_naive, thresholds
    from triad.evaluation.window import window
    from triad.features.build import fit
    from triad.fusion.fitting import fit_fusion
    from triad.members.bench import Bench
    from triad.members.registry import make_member
    from triad.sources.simulated import simulate
    from triad.sources.simulated.messages import conversations
    from triad.sources.simulated.sizes import SIZES
    from triad.tables import connect

    names = ("popularity", "bag_of_words", "nearest_text", "text_linear")
    tasks = {"click": {"kind": "binary", "label": "clicked"}}
    tasks |= {name: {"kind": "choice", "label": f"message_{name}"} for name in ("intent", "reply")}
    ingest = {"source": "simulated", "as_of": "2026-03-01", "simulated": {"size": "tiny", "seed": seed}}
    beside = {"text": {"encoder": encoder}, "recommend": {"order_by": "click"}, "fuse": {"members": names}}
    params = parse({"ingest": {**ingest, "window_days": 56}, "tasks": tasks, **beside}, "benchmark")
    made = simulate(params.ingest)
    tables = made.whole()[0]
    tables["conversations"], truth = conversations(seed, SIZES["small"].messages, made.first, made.last)
    end = params.ingest.as_of
    with connect(tables) as session:
        data, _ = fit(session, params.features, params.tasks, (end - timedelta(days=56), end))
    members = {name: make_member(name, Bench(data, params, vectors=lambda: np.zeros((0, 0)))) for name in names}
    fused = fit_fusion(data, members, params.tasks, params.fuse)
    asked = window(data, "test", 100, 0)
    models = score_members(fused, data, asked) | {NAIVE: score_naive(fused, data, params.tasks, asked)}
    with TemporaryDirectory() as place:
        pq.write_table(truth, Path(place) / "messages.parquet")
        (Path(place) / "oracle.json").write_text('{"known": true}')
        best = oracle(Path(place), data, params.tasks, asked)
    assert best is not None
    cuts = thresholds(fused, data, params.tasks)
    how = {"parts": [], "thresholds": cuts, "params": params.evaluate}
    for task, result in assess(data, params.tasks, asked, models | {ORACLE: best}, **how).items():
        for name, figures in result.models.items() if task != "click" else ():
            print(f"| {seed} | {task} | {name} |", " ".join(f"{key} {value[0]:.3f}" for key, value in figures.items()))


def hint3(shop: str, encoder: str, seeds: int) -> None:
    """A line a model and seed."""
    (said, intent), (later, truth) = (_messages(shop, part) for part in ("train", "test"))
    frozen = Vectors(_encoder(encoder), STORE)
    vectors = frozen.of(said), frozen.of(later)
    classes, label = np.unique(intent, return_inverse=True)
    inside = truth != NOTHING
    right = np.searchsorted(classes, np.where(inside, truth, classes[0]))
    print(
        f"\n{shop}: {len(said)} train messages, {len(classes)} intents; "
        f"test: {inside.sum()} in scope, {(~inside).sum()} not"
    )
    words, bag = Bag.fit(said, ("words",)), Bag.fit(said)
    counts = bag.matrix(said), bag.matrix(later)
    scores = _logistic([words.matrix(said)], [words.matrix(later)], label, [0.0])
    _show("words", scores, scores.max(axis=1), right, inside)
    spaces, ends = (
        [csr_array(hstack([side, w * own], format="csr")) for w in WEIGHTS]
        for side, own in zip(counts, vectors, strict=True)
    )
    linear = _logistic(spaces, ends, label, WEIGHTS)
    _show("linear", linear, linear.max(axis=1), right, inside)
    cosine = (vectors[1] @ vectors[0].T).max(axis=1)
    together: list[tuple[Any, Any]] = []
    for seed in range(1, seeds + 1):
        known, asked = _tuned(encoder, said, later, label, seed)
        together.append((_nearest(known, asked, label), (asked @ known.T).max(axis=1)))
        _show_tuned(f"tuned, seed {seed}", linear, *together[-1], cosine, right=right, inside=inside)
    near, close = (np.mean(parts, axis=0) for parts in zip(*together, strict=True))
    _show_tuned(f"tuned, {seeds} seeds together", linear, near, close, cosine, right=right, inside=inside)


def _show_tuned(name: str, linear: Any, near: Any, *cosines: Any, right: Any, inside: Any) -> None:
    scores = (linear + near) / 2
    _show(name, scores, scores.max(axis=1) + sum(cosines), right, inside)


def _nearest(known: Any, asked: Any, label: Any) -> Any:
    """(n, classes) shares of weight e^(sharpness · cosine)."""
    weight = np.exp(SHARPNESS * (asked @ known.T))
    return weight @ np.eye(int(label.max()) + 1)[label] / weight.sum(axis=1, keepdims=True)


def _logistic(spaces: Sequence[Any], ends: Sequence[Any], label: Any, weights: Sequence[float]) -> Any:
    """(n, classes) by the space and strength of least log loss in three folds of train, where all hold an intent."""
    folds, often = StratifiedKFold(3, shuffle=True, random_state=0), np.bincount(label)[label] >= 3
    best, found = np.inf, None
    for place in range(len(weights)):
        for strength in (3.0, 10.0, 30.0):
            model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
            held = cross_val_predict(model, spaces[place], label, cv=folds, method="predict_proba")
            if (loss := log_loss(label[often], held[often], labels=range(held.shape[1]))) < best:
                best, found = loss, (place, strength)
    assert found is not None
    model = LogisticRegression(C=found[1], max_iter=500, tol=1e-3).fit(spaces[found[0]], label)
    return model.predict_proba(ends[found[0]])


def _tuned(encoder: str, said: Sequence[str], later: Sequence[str], label: Any, seed: int) -> tuple[Any, Any]:
    """Vectors of both by an encoder whose layers learned that messages of one intent lie together."""
    import tensorflow as tf

    bert = _encoder(encoder)
    began = time.monotonic()
    bert._weights = {name: tf.Variable(value) for name, value in bert._weights.items()}
    taught = [value for name, value in bert._weights.items() if "word_embeddings" not in name]
    first, second = ([tf.Variable(tf.zeros_like(each)) for each in taught] for _ in range(2))
    count = tf.Variable(0.0)

    @tf.function
    def step(ids: Any, real: Any, of: Any, rate: Any) -> Any:
        with tf.GradientTape() as tape:
            luck = tf.random.stateless_uniform(tf.shape(real), [seed, tf.cast(count, tf.int32)])
            kept = tf.cast((luck > 0.1) | (tf.range(real.shape[1])[None] == 0), tf.float32)  # some words are not seen
            vector = bert._forward(ids, real * kept)
            apart = 1 - tf.eye(ids.shape[0])
            same = tf.cast(of[:, None] == of[None], tf.float32) * apart
            chance = tf.nn.log_softmax(tf.matmul(vector, vector, transpose_b=True) / HEAT - (1 - apart) * 1e9, axis=1)
            fellows = tf.reduce_sum(same, axis=1)
            losses = -tf.reduce_sum(tf.where(same > 0, chance, 0.0), axis=1) / tf.maximum(fellows, 1)
            loss = tf.reduce_sum(losses) / tf.maximum(tf.reduce_sum(tf.cast(fellows > 0, tf.float32)), 1)
        gradients, _ = tf.clip_by_global_norm([tf.convert_to_tensor(g) for g in tape.gradient(loss, taught)], 1.0)
        count.assign_add(1.0)
        for value, gradient, mean, square in zip(taught, gradients, first, second, strict=True):
            mean.assign(0.9 * mean + 0.1 * gradient)
            square.assign(0.999 * square + 0.001 * gradient**2)
            move = (mean / (1 - 0.9**count)) / (tf.sqrt(square / (1 - 0.999**count)) + 1e-8)
            value.assign_sub(rate * (move + 0.01 * value))  # AdamW
        return loss

    random, tokens = np.random.default_rng(seed), [each.ids[:32] for each in bert.tokenizer.encode_batch(list(said))]
    of_class = [np.flatnonzero(label == each) for each in range(int(label.max()) + 1)]
    steps = EPOCHS * max(1, len(said) // BATCH)
    for number in range(steps):
        some = random.permutation(len(of_class))[: BATCH // OF_CLASS]
        rows = np.concatenate([random.choice(of_class[c], OF_CLASS, replace=len(of_class[c]) < OF_CLASS) for c in some])
        width = 8 * -(-max(len(tokens[row]) for row in rows) // 8)
        ids, real = np.zeros((len(rows), width), np.int32), np.zeros((len(rows), width), np.float32)
        for place, row in enumerate(rows):
            ids[place, : len(tokens[row])], real[place, : len(tokens[row])] = tokens[row], 1
        rate = RATE * min(1, (number + 1) / (0.1 * steps)) * (steps - number) / steps
        step(tf.constant(ids), tf.constant(real), tf.constant(label[rows]), tf.constant(rate, tf.float32))
    print(f"tuned in {time.monotonic() - began:.0f} s, {steps} steps", file=sys.stderr, flush=True)
    return bert.encode(said), bert.encode(later)


def _show(name: str, p: Any, confidence: Any, right: Any, inside: Any) -> None:
    random, hit, named = np.random.default_rng(0), p.argmax(axis=1) == right, p.argmax(axis=1)
    order = np.argsort(-confidence)
    good = np.cumsum((hit & inside)[order]) / np.arange(1, len(order) + 1) >= PRECISION
    rows = [random.integers(0, len(p), len(p)) for _ in range(RESAMPLES)]
    spread = np.array([(hit[r][inside[r]].mean(), roc_auc_score(inside[r], confidence[r])) for r in rows])
    low, high = np.quantile(spread, [0.025, 0.975], axis=0)
    f1 = f1_score(right[inside], named[inside], average="macro", zero_division=0)
    recall = recall_score(right[inside], named[inside], average="macro", zero_division=0)
    print(
        f"| {name} | {hit[inside].mean():.3f} [{low[0]:.3f}, {high[0]:.3f}] | {recall:.3f} | {f1:.3f} | "
        f"{roc_auc_score(inside, confidence):.3f} [{low[1]:.3f}, {high[1]:.3f}] | "
        f"{(np.flatnonzero(good)[-1] + 1) / len(p) if good.any() else 0:.3f} |",
        flush=True,
    )


def amazon_qa(encoder: str) -> None:
    """Recall of each question's own answer among all answers, by product."""
    with gzip.open(folder() / "amazon_qa" / "qa_appliances.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    question, answer = ([plain(masked(str(row[name]))) for row in rows] for name in ("question", "answer"))
    product = np.array([str(row["asin"]) for row in rows])
    part = np.array([int(hashlib.md5(each.encode()).hexdigest(), 16) % 5 for each in product])
    choices, place = np.unique(answer, return_inverse=True)
    vectors = Vectors(_encoder(encoder), STORE)
    features = _pairs(question, choices.tolist(), vectors)
    later, test = np.flatnonzero(part == 3), np.flatnonzero(part == 4)
    print(
        f"{len(rows):,} questions, {len(choices):,} different answers; {len(later):,} to choose on, "
        f"{len(test):,} of test"
    )
    grid = [(1 - w, w, v) for w in (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0) for v in (0.0, 0.1, 0.2, 0.4)]
    chosen = grid[int(np.argmax([(ranks <= 10).mean() for ranks in _ranks(features, later, place, grid)]))]
    ways = {"BM25": (1.0, 0.0, 0.0), "vectors": (0.0, 1.0, 0.0), "letters": (0.0, 0.0, 1.0)}
    ways["together, " + " : ".join(f"{weight:g}" for weight in chosen)] = chosen
    found = dict(zip(ways, _ranks(features, test, place, list(ways.values())), strict=True))
    groups, of = np.unique(product[test], return_inverse=True)
    random = np.random.default_rng(0)
    drawn = random.poisson(1.0, (RESAMPLES, len(groups)))[:, of]
    for name, values in found.items():
        texts = []
        for k in (1, 10):
            hit = (values <= k).astype(float)
            gain = hit - (found["BM25"] <= k)
            for figure in (hit, gain):
                spread = (drawn @ figure) / drawn.sum(axis=1)
                low, high = np.quantile(spread, [0.025, 0.975])
                texts.append(f"{figure.mean():+.4f} [{low:+.4f}, {high:+.4f}]")
        print(f"| {name} | {' | '.join(texts)} |", flush=True)


def _pairs(question: Sequence[str], answer: Sequence[str], vectors: Vectors) -> Any:
    """Question rows → three (n, answers) scores: BM25, cosine of vectors, cosine of letters, each of a question's own
    scale (largest 1)."""
    import bm25s

    index = bm25s.BM25()
    index.index([terms(text) for text in answer], show_progress=False)
    bag = Bag.fit([*question, *answer], ("letters",))
    asked, given = bag.matrix(question), bag.matrix(answer)
    of_question, of_answer = vectors.of(question), vectors.of(answer)

    def scores(rows: Any) -> list[Any]:
        lexical = np.stack([index.get_scores(terms(question[row]) or [""]) for row in rows])
        parts = [lexical, of_question[rows] @ of_answer.T, (asked[rows] @ given.T).toarray()]
        return [part / np.maximum(part.max(axis=1, keepdims=True), 1e-9) for part in parts]

    return scores


def _ranks(scores: Any, rows: Any, place: Any, mixtures: Sequence[tuple[float, ...]]) -> list[Any]:
    """For each of the mixtures (rows,) rank of each row's own answer, ties against it."""
    ranks: list[list[Any]] = [[] for _ in mixtures]
    for start in range(0, len(rows), 200):
        part = rows[start : start + 200]
        values = scores(part)
        for weights, kept in zip(mixtures, ranks, strict=True):
            total = sum(weight * each for weight, each in zip(weights, values, strict=True) if weight)
            kept.append((total >= total[np.arange(len(part)), place[part]][:, None]).sum(axis=1))
    return [np.concatenate(kept) for kept in ranks]


def _messages(shop: str, part: str) -> tuple[list[str], Any]:
    names = [path for path in sorted((folder() / "hint3" / part).glob("*.csv*")) if path.name.lower().startswith(shop)]
    table = pd.read_csv(next(path for path in names if "subset" not in path.name.lower()))
    return [plain(masked(str(text))) for text in table["sentence"]], table["label"].to_numpy(str)


def _encoder(name: str) -> Any:
    encoder = encoder_of(TextParams(encoder=name))
    assert encoder is not None, "name an encoder with vectors"
    return encoder


if __name__ == "__main__":
    main()
