"""Customer service: simulated shops, HINT3's intents with refusal, and Amazon's questions with the answers they got.

    python benchmarks/service.py shop --seeds 5
    python benchmarks/service.py hint3 --encoder FOLDER [--beside FOLDER] --seeds 3 [--transfers delta full]
    python benchmarks/service.py amazon_qa --encoder FOLDER

FOLDER holds a BERT-like encoder (`text.encoder`); the data lies below the folder that TRIAD_DATASETS names. HINT3: the
members that a night makes; a fold of train by md5 chooses, then all of train is learned of. Amazon: a fifth of the
products chooses. Intervals are 95 %, from a bootstrap of messages; of Amazon of products.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn.metrics import f1_score, recall_score, roc_auc_score
from threadpoolctl import threadpool_limits

from triad.config.tasks import TaskParams
from triad.config.text import TextParams, TuningParams
from triad.datasets.base import folder
from triad.examples.dataset import Dataset, nobody
from triad.examples.messages import Messages
from triad.features.dataset import SPLITS, Meta
from triad.features.splits import folds
from triad.members.bench import Bench
from triad.members.text_linear import BagOfWords, TextLinear
from triad.members.text_tuned import TextTuned
from triad.statistics.choices import PRECISION
from triad.tasks.intent import OUT_OF_SCOPE
from triad.text.bags import Bag
from triad.text.encoder import encoder_of
from triad.text.masking import masked
from triad.text.terms import plain, terms
from triad.text.vectors import STORE, Vectors
from triad.texts import Texts

SHOPS = ("curekart", "powerplay11", "sofmattress")
NOTHING = "NO_NODES_DETECTED"
RESAMPLES = 1000


def main() -> None:
    """Print figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("shop", "hint3", "amazon_qa"))
    parser.add_argument("--encoder", default="words")
    parser.add_argument("--beside")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--transfers", nargs="*", default=("delta", "full"))
    parser.add_argument("--shops", nargs="*", default=SHOPS)
    chosen = parser.parse_args()
    with threadpool_limits(1, "blas"):
        if chosen.what == "shop":
            for seed in range(1, chosen.seeds + 1):
                simulated(seed, chosen.encoder)
        elif chosen.what == "hint3":
            for shop in chosen.shops:
                hint3(shop, TextParams(encoder=chosen.encoder, beside=chosen.beside), chosen.seeds, chosen.transfers)
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


def hint3(shop: str, encoder: TextParams, seeds: int, transfers: Sequence[str]) -> None:
    """A line a model, of the members that a night makes; of `text_tuned` one a transfer and seed."""
    (said, intent), (later, truth) = (_messages(shop, part) for part in ("train", "test"))
    classes, label = np.unique(intent, return_inverse=True)
    inside = truth != NOTHING
    right = 1 + np.searchsorted(classes, np.where(inside, truth, classes[0]))
    data = _night([*said, *later], np.concatenate([1 + label, np.where(inside, right, 0)]), classes, len(said))
    print(
        f"\n{shop}: {len(said)} train messages, {len(classes)} intents; "
        f"test: {inside.sum()} in scope, {(~inside).sum()} not",
        flush=True,
    )
    shown = functools.partial(_show, right=right, inside=inside)
    shown("bag_of_words", _learned(BagOfWords, data, encoder))
    shown("text_linear", _learned(TextLinear, data, encoder))
    for name, scores in _tuned(data, encoder, transfer="frozen").items():
        shown(f"text_tuned, frozen{name}", scores)
    for transfer in transfers:
        began, each = time.process_time(), []
        for seed in range(1, seeds + 1):
            each.append(_tuned(data, encoder, transfer=transfer, seed=seed))
            for name, scores in each[-1].items():
                shown(f"text_tuned, {transfer}, seed {seed}{name}", scores)
        cost = (time.process_time() - began) / seeds
        print(f"{cost:.0f} s of processor time each, of which half chooses", file=sys.stderr, flush=True)
        for name in each[0] if seeds > 1 else ():
            scores = np.mean([scores[name] for scores in each], axis=0)
            shown(f"text_tuned, {transfer}, mean of {seeds} seeds' scores{name}", scores)


def _night(said: Sequence[str], label: Any, intents: Any, train: int) -> Dataset:
    """Messages whose first `train` teach, but for a fold by md5 that chooses; the others are test."""
    ids = [f"m{number}" for number in range(len(said))]
    split = np.where(folds(ids) == SPLITS.index("validation"), SPLITS.index("validation"), SPLITS.index("train"))
    split[train:] = SPLITS.index("test")
    text = Texts.of(said)
    held = Messages(
        message_id=Texts.of(ids),
        text=text,
        message=text.codes()[1],
        tokens=np.zeros((len(ids), 1), np.int64),
        split=split.astype(np.int8),
        labels=np.asarray(label, np.float32)[:, None],
    )
    names = {"intent": (OUT_OF_SCOPE, *intents.tolist())}
    meta = Meta({"messages": ("intent",)}, names, (), (), (), {}, 3, dict.fromkeys(SPLITS, (0, 0)), False, 0.0)
    return nobody(meta, {"messages": held})


def _learned(member: Any, data: Dataset, encoder: TextParams) -> Any:
    """(test messages, classes) by the member that `_served` makes."""
    return _asked(_served(member, data, encoder), data)


def _tuned(data: Dataset, encoder: TextParams, **tuning: Any) -> dict[str, Any]:
    """(test messages, classes) by `text_tuned`, and by the same one that does not know what intents are called."""
    served = _served(TextTuned, data, encoder, **tuning)
    known = served.known["intent"]
    messages = slice(len(known.of_messages))
    near = [
        each and replace(each, label=each.label[messages], own=each.own[messages])
        for each in (known.tuned, known.beside)
    ]
    unnamed = replace(served, known={"intent": replace(known, tuned=near[0], beside=near[1])})
    return {"": _asked(served, data), ", not knowing what intents are called": _asked(unnamed, data)}


def _asked(served: Any, data: Dataset) -> Any:
    return served.predict(data, np.flatnonzero(data.units["messages"].split == SPLITS.index("test")))["intent"]


def _served(member: Any, data: Dataset, encoder: TextParams, **tuning: Any) -> Any:
    """The member that chose on the fold and then learned all that is not test."""
    held, test = data.units["messages"], SPLITS.index("test")
    text = encoder.model_copy(update={"tuning": TuningParams(**tuning)})
    params: Any = SimpleNamespace(tasks={"intent": TaskParams(kind="choice", label="message_intent")}, text=text)
    made = member.make(Bench(data, params, vectors=lambda: np.zeros((0, 0))), "benchmark")
    whole = data.replaced(messages=replace(held, split=np.where(held.split == test, test, 0).astype(np.int8)))
    return made.refit(Bench(whole, params, vectors=lambda: np.zeros((0, 0))), "benchmark")


def _show(name: str, p: Any, *, right: Any, inside: Any) -> None:
    random, named, confidence = np.random.default_rng(0), 1 + p[:, 1:].argmax(axis=1), p[:, 1:].max(axis=1)
    hit = named == right
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
