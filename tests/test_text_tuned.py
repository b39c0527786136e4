"""What is added to a pretrained encoder for a shop's own messages, and the member that answers with it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from make_encoder import make_encoder
from safetensors.numpy import load_file, save_file
from sklearn.metrics import log_loss

from triad.config.tasks import TaskParams
from triad.config.text import TextParams, TuningParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset, nobody
from triad.examples.messages import Messages
from triad.features.dataset import SPLITS, Meta
from triad.members.bench import Bench
from triad.members.registry import load_member, make_member
from triad.members.text_tuned import SHARPNESS, Lie
from triad.tasks import LABELS
from triad.text.bert import Bert
from triad.text.tuning import tuned
from triad.texts import Texts

SAID = [f"{first} {second}".strip() for first in ("red", "shoe", "鞋", "shoes") for second in ("", "red", "shoe", "鞋")]
ANSWER = np.array([1 + ("red" in text) + 2 * ("鞋" in text) for text in SAID])
TASK = {"intent": TaskParams(kind="choice", label="message_intent")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def apart(bert: Bert) -> float:
    """Cosine of texts with one answer, over that of texts with different ones."""
    vectors = bert.encode(SAID)
    same = (ANSWER[:, None] == ANSWER) & ~np.eye(len(SAID), dtype=bool)
    cosine = vectors @ vectors.T
    return float(cosine[same].mean() - cosine[ANSWER[:, None] != ANSWER].mean())


@pytest.mark.parametrize("transfer", ["frozen", "delta", "full"])
def test_what_may_change_changes_and_texts_with_one_answer_come_together(
    folder: Path, tmp_path: Path, transfer: Any
) -> None:
    theta = Bert.load(folder)
    phi = tuned(theta, [(SAID, ANSWER)], TuningParams(transfer=transfer, rank=2, epochs=40, steps=20))
    moved = {name for name, value in phi.weights.items() if not np.array_equal(value, theta.weights[name])}
    layers = {name for name, value in theta.weights.items() if value.ndim == 2 and ".layer." in name}
    if transfer == "frozen":
        assert phi is theta
        return
    if transfer == "delta":
        assert moved == layers
        difference = (
            phi.weights["encoder.layer.0.intermediate.dense.weight"]
            - theta.weights[next(iter(name for name in layers if "layer.0.intermediate" in name))]
        )
        assert np.linalg.matrix_rank(difference, tol=1e-5) <= 2
    else:
        assert layers < moved and "embeddings.word_embeddings.weight" not in moved
    assert apart(phi) > apart(theta)
    phi.save(tmp_path)
    np.testing.assert_allclose(Bert.load(tmp_path).encode(SAID), phi.encode(SAID), atol=1e-5)


def test_texts_that_all_have_one_answer_teach_nothing(folder: Path) -> None:
    theta = Bert.load(folder)
    assert tuned(theta, [(SAID, np.ones(len(SAID), int)), ([], np.zeros(0, int))], TuningParams()) is theta


def night(split: Any) -> Dataset:
    text = Texts.of([*SAID, *SAID, "zzz"])
    held = Messages(
        message_id=Texts.of([f"m{number}" for number in range(len(text))]),
        text=text,
        message=text.codes()[1],
        tokens=np.zeros((len(text), 1), np.int64),
        split=np.asarray(split, np.int8),
        labels=np.array([*ANSWER, *ANSWER, 0], np.float32)[:, None],
    )
    names = {"intent": ("out_of_scope", "-", "--", "---", "----")}  # which say nothing
    meta = Meta({"messages": ("intent",)}, names, (), (), (), {}, 3, dict.fromkeys(SPLITS, (0, 0)), False, 0.0)
    return nobody(meta, {"messages": held})


def bench(data: Dataset, encoder: str, transfer: Any = "delta") -> Bench:
    text = TextParams(encoder=encoder, tuning=TuningParams(transfer=transfer, epochs=40, steps=10))
    return Bench(data, SimpleNamespace(tasks=TASK, text=text), vectors=lambda: np.zeros((0, 0)))  # type: ignore[arg-type]


def test_a_member_answers_from_the_tuned_space_and_doubts_what_is_far(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = night([*[0] * len(SAID), *[1] * len(SAID), 3])
    made: Any = make_member("text_tuned", bench(data, str(folder)))
    rows = np.arange(len(data.units["messages"].split))
    scores = made.predict(data, rows)["intent"]
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (1 + scores[:-1, 1:].argmax(axis=1) == [*ANSWER, *ANSWER]).mean() > 0.9
    assert scores[-1, 0] > scores[:-1, 0].mean()  # it met no such word
    made.save(tmp_path / "member")
    np.testing.assert_allclose(
        load_member("text_tuned", tmp_path / "member").predict(data, rows)["intent"], scores, atol=1e-3
    )
    whole = night([0] * len(rows))
    again: Any = made.refit(bench(whole, str(folder)), "text_tuned")
    now, then = again.known["intent"], made.known["intent"]
    assert len(now.tuned.label) == len(rows)
    assert (now.tuned.sharpness, now.odds) == (then.tuned.sharpness, then.odds)


def test_what_an_intent_is_called_is_known_too_but_does_not_make_a_message_near(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    data = night([*[0] * len(SAID), *[1] * len(SAID), 3])
    data.meta.classes["intent"] = ("red_shoes", "RED_SHOE", "-", "--", "__")
    known = make_member("text_tuned", bench(data, str(folder), "frozen")).known["intent"]  # type: ignore[attr-defined]
    near = known.tuned
    assert near.label.tolist() == [*ANSWER, 1], "neither 'none' nor what has no word is called anything"
    vectors = Bert.load(folder).encode(["red shoe"])
    np.testing.assert_allclose(near.own[len(ANSWER)], vectors[0], atol=1e-5)
    without = replace(known, tuned=replace(near, label=known.of_messages, own=near.own[: len(ANSWER)]))
    lie = Lie(vectors, vectors)
    assert known.chances(lie)[0, 1] > without.chances(lie)[0, 1]
    np.testing.assert_array_equal(known.nearness(lie), without.nearness(lie))
    assert LABELS["message_reply"].called("r0123456789a") == "", "a reply's class is a code"


def test_the_nearest_by_a_second_encoder_have_a_quarter_of_the_answer(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    weights = load_file(other / "model.safetensors")
    save_file({name: value[::-1].copy() for name, value in weights.items()}, other / "model.safetensors")
    data = night([*[0] * len(SAID), *[1] * len(SAID), 3])
    with_it = bench(data, str(folder), "frozen")
    with_it.params.text = with_it.params.text.model_copy(update={"beside": str(other)})  # type: ignore[misc]
    both: Any = make_member("text_tuned", with_it)
    rows, known, beside = np.arange(len(SAID) + 1), both.known["intent"], both.linear.space.beside
    lie = Lie(Bert.load(folder).encode(SAID), Bert.load(folder).encode(SAID), beside.of(SAID))
    weight = np.exp(known.beside.sharpness * (lie.beside @ lie.beside.T - 1))  # type: ignore[operator, union-attr]
    shares = 0.98 * (weight @ np.eye(5)[ANSWER]) / weight.sum(axis=1, keepdims=True) + 0.02 / 5
    np.testing.assert_allclose(known.chances(lie), (known.tuned.chances(lie.own) + shares) / 2, atol=1e-5)
    losses = [
        log_loss(ANSWER, replace(known.beside, sharpness=each).chances(lie.beside), labels=range(5))
        for each in SHARPNESS
    ]
    assert known.beside.sharpness == SHARPNESS[int(np.argmin(losses))]
    whole = bench(night([0] * (2 * len(SAID) + 1)), str(folder), "frozen")
    whole.params.text = with_it.params.text  # type: ignore[misc]
    again = both.refit(whole, "text_tuned").known["intent"]
    assert again.beside.sharpness == known.beside.sharpness and len(again.beside.own) == len(again.tuned.own)
    both.save(tmp_path / "member")
    loaded: Any = load_member("text_tuned", tmp_path / "member")
    expected = both.predict(data, rows)["intent"]
    np.testing.assert_allclose(loaded.predict(data, rows)["intent"], expected, atol=1e-3)


def test_an_encoder_is_asked_for() -> None:
    with pytest.raises(TriadError, match="no vectors that could be tuned"):
        make_member("text_tuned", bench(night([*[0] * len(SAID), *[1] * len(SAID), 3]), "words"))
