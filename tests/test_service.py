"""Customer service: messages are learned masked, answered with what was answered before, or refused; never a crash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from triad.config.params import parse
from triad.config.refit import HealthLimits
from triad.errors import TriadError
from triad.evaluation.refit_health import Side, _agreement, figures
from triad.examples.dataset import save
from triad.features.build import fit, transform
from triad.features.state import State
from triad.fusion.fitting import fit_fusion
from triad.fusion.fused import Fused
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.registry import load_member, make_member
from triad.serving import by_words
from triad.sources.simulated import simulate
from triad.sources.simulated.messages import conversations
from triad.statistics.bootstrap import draw
from triad.statistics.choices import choice, threshold_of
from triad.tables import connect
from triad.tasks.reply import code
from triad.texts import Texts
from triad.tracking.asked import answer

SECRETS = ("zzyzx@mail.example", "4111 1111 1111 1111", "+49 170 5550199", "QX-998877", "Quetzalcoatlus")
TASKS = {
    "click": {"kind": "binary", "label": "clicked"},
    "intent": {"kind": "choice", "label": "message_intent"},
    "reply": {"kind": "choice", "label": "message_reply"},
}
MEMBERS = ["popularity", "text_linear", "nearest_text", "bag_of_words"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A tiny shop with many messages, one of them full of what is personal; its fusion, saved and loaded."""
    ingest = {"source": "simulated", "as_of": "2026-03-01", "window_days": 40, "simulated": {"size": "tiny"}}
    sections = {"fuse": {"members": MEMBERS, "bootstrap": 50}, "recommend": {"order_by": "click"}}
    params = parse({"ingest": ingest, "tasks": TASKS, **sections}, "a test")
    end = params.ingest.as_of
    shop = simulate(params.ingest)
    tables = shop.whole()[0]
    talk = conversations(1, 20.0, shop.first, shop.last)[0].to_pylist()
    secret = {"message_id": "secret", "intent": "complaint", "message": f"Broken. {' and '.join(SECRETS)}"}
    rows = [*talk, {**secret, "reply": f"Dear {SECRETS[-1]}, we write to {SECRETS[0]}"}]
    tables["conversations"] = pa.Table.from_pylist(rows, schema=tables["conversations"].schema)
    with connect(tables) as session:
        data, state = fit(session, params.features, params.tasks, (end - timedelta(days=40), end))
    members = {name: make_member(name, Bench(data, params, vectors=None)) for name in MEMBERS}
    fused = fit_fusion(data, members, params.tasks, params.fuse)
    folder = tmp_path_factory.mktemp("service")
    save(data, folder / "features")
    fused.save(folder / "fuse")
    state.save(folder / "state")
    model = SimpleNamespace(state=State.load(folder / "state"), fused=Fused.load(folder / "fuse"))
    yield SimpleNamespace(params=params, data=data, state=state, fused=fused, folder=folder, model=model, tables=tables)


def ask(made: SimpleNamespace, *said: Any) -> pd.DataFrame:
    rows = [{"message_id": f"q{place}", "message": text} for place, text in enumerate(said)]
    return answer(made.model, {"conversations": rows}, {"mode": "answer", "k": 0})


def test_it_is_right_far_more_often_than_the_commonest_answer_and_more_often_where_it_is_sure(made: Any) -> None:
    for task, least in (("intent", 0.75), ("reply", 0.55)):
        rows = made.data.rows("test", "messages")
        label = made.data.labels(task)[rows]
        rows, label = rows[~np.isnan(label)], label[~np.isnan(label)].astype(int)
        scores = made.fused.predict(made.data, rows, [task], "messages")[task]
        right = scores.argmax(axis=1) == label
        sure = scores[:, 1:].max(axis=1) >= made.fused.thresholds[task]
        assert right.mean() > max(least, np.bincount(label).max() / len(label) + 0.3)
        assert 0.1 < sure.mean() < 1 and right[sure].mean() > right.mean()


def test_a_message_is_answered_with_what_was_said_before_and_the_message_it_rests_on(made: Any) -> None:
    given = dict(
        zip(*(made.tables["conversations"][name].to_pylist() for name in ("message_id", "reply")), strict=True)
    )
    said = "does the desk lamp come with a warranty? my mail is anna@mail.example"
    found = ask(made, said, "who won the match yesterday?", "Tell me about quarks").to_dict("records")
    assert list(found[0]) == [
        *("message_id", "intent", "intent_score", "reply", "reply_score", "reply_source"),
    ]
    assert found[0]["intent"] == "product_question" and found[0]["intent_score"] > made.fused.thresholds["intent"]
    assert found[0]["reply"] == "It comes with two years of warranty." == given[found[0]["reply_source"]]
    assert found[1]["intent"] is None and found[1]["intent_score"] < 0.5


def test_the_words_that_carry_an_answer_are_named_and_sum_to_its_confidence(made: Any) -> None:
    said = "Hello, where is my parcel now?"
    (row,) = ask(made, said).to_dict("records")
    night: Any = SimpleNamespace(model=made.model)
    found = by_words.of_answers(night, said, ["intent", "reply"])
    for task, words in found.items():
        assert sum(word.value for word in words) == pytest.approx(row[f"{task}_score"], abs=1e-6)
    assert row["intent"] == "order_status" and found["intent"][0].text in ("parcel", "where")
    assert {word.text for word in by_words.of_answers(night, "", ["intent"])["intent"]} == {""}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "🙂🙂",
        "12345",
        "\x00\x07\u202e",
        "красные туфли 红鞋 ありがとう",
        "a" * 10_000,
        "? " * 5_000,
        "wo ist das?",
    ],
)
def test_whatever_is_sent_is_answered_or_refused(made: Any, text: str) -> None:
    found = ask(made, text)
    assert len(found) == 1 and 0 <= found["intent_score"][0] <= 1 and 0 <= found["reply_score"][0] <= 1


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"conversations": []}, "missing"),
        ({"conversations": [{"message_id": "a"}]}, "missing"),
        ({"conversations": [{"message_id": "a", "message": None}]}, "no text"),
        ({"conversations": [{"message_id": "a", "message": 3}]}, "no text"),
        ({"conversations": [{"message_id": "a", "message": "half a \ud800"}]}, "no plain values"),
        ({"users": []}, "holds no messages"),
        ("/etc", "allows no tables"),
    ],
)
def test_what_is_no_message_is_refused_without_quoting_it(made: Any, asked: Any, what: str) -> None:
    with pytest.raises(TriadError, match=what) as raised:
        answer(made.model, asked, {"mode": "answer", "k": 0})
    assert "half" not in str(raised.value)


def test_a_model_without_messages_says_so(made: Any) -> None:
    bare = SimpleNamespace(state=made.state, fused=replace(made.fused, thresholds={}))
    with pytest.raises(TriadError, match="answers no messages"):
        answer(bare, {"conversations": [{"message_id": "a", "message": "b"}]}, {"mode": "answer", "k": 0})


def test_nothing_personal_is_in_a_models_files_nor_any_message(made: Any, caplog: pytest.LogCaptureFixture) -> None:
    ask(made, *SECRETS)
    files = [file for part in ("fuse", "state") for file in (made.folder / part).rglob("*") if file.is_file()]
    assert len(files) > 15
    held = b"".join(file.read_bytes() for file in files) + caplog.text.encode()
    said = made.tables["conversations"]["message"].to_pylist()[:40]
    for word in (*SECRETS, *[each for each in said if len(each) > 12], "Quetzal", "zzyzx", "998877", "newsletter?"):
        assert word.encode() not in held and word.lower().encode() not in held
    features = b"".join(file.read_bytes() for file in (made.folder / "features").rglob("*") if file.is_file())
    for masked in SECRETS[:-1]:  # a name has no form to be known by, and stays in the night's own files
        assert masked.lower().encode() not in features
    assert all(code(text) == name for name, text in made.state.learned["messages"]["texts"].items())


def test_a_night_is_served_with_or_without_its_messages(made: Any) -> None:
    with connect(made.tables) as session:
        again = transform(session, made.model.state)
    ours, theirs = made.data.units["messages"], again.units["messages"]
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    assert ours.text.tolist() == theirs.text.tolist()
    with connect({name: table for name, table in made.tables.items() if name != "conversations"}) as session:
        assert len(transform(session, made.model.state).units["messages"].text) == 0


@pytest.mark.parametrize("name", ["text_linear", "nearest_text", "bag_of_words"])
def test_a_member_is_the_same_when_loaded(made: Any, name: str) -> None:
    rows = made.data.rows("test", "messages")
    before = made.fused.members[name].predict(made.data, rows)
    after = load_member(name, made.folder / "fuse" / "members" / name).predict(made.data, rows)
    for task, scores in before.items():
        np.testing.assert_allclose(scores.sum(axis=1), 1)
        np.testing.assert_allclose(after[task], scores, atol=1e-4)


@pytest.mark.parametrize("name", ["text_linear", "nearest_text", "bag_of_words"])
def test_a_member_learns_of_all_days_what_it_chose_before(made: Any, name: str) -> None:
    member, unit = made.fused.members[name], made.data.units["messages"]
    whole = made.data.replaced(messages=replace(unit, split=np.zeros(len(unit.split), np.int8)))
    again = member.refit(Bench(whole, made.params, vectors=None), name)
    if name == "nearest_text":
        assert {task: known.sharpness for task, known in again.known.items()} == {
            task: known.sharpness for task, known in member.known.items()
        }
    else:
        assert again.chosen == member.chosen
    rows = made.data.rows("test", "messages")
    label = made.data.labels("intent")[rows].astype(int)
    right = [(each.predict(made.data, rows)["intent"].argmax(axis=1) == label).mean() for each in (member, again)]
    assert right[1] > max(right[0], 0.95)  # it has seen them


def test_metrics_of_a_choice_by_hand() -> None:
    scores = np.array([[0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.6, 0.3, 0.1], [0.1, 0.5, 0.4]])
    labels, cluster = np.array([1.0, 2, 0, 2]), np.arange(4)
    found = {name: value[0] for name, value in choice(labels, scores, cluster, draw(4, 5, 0), threshold=0.7).items()}
    assert (found["accuracy"], found["coverage"], found["answered"], found["precision"]) == (0.75, 0.5, 0.5, 1.0)
    assert found["refusal_auc"] == 1.0
    assert found["macro_recall"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert threshold_of(labels, scores) == 0.7
    assert threshold_of(np.zeros(4), scores) == 2.0


def test_recall_of_the_first_ten_counts_ties_against_it() -> None:
    scores = np.full((2, 13), 1 / 13)
    scores[1] = np.linspace(0, 1, 13)
    found = choice(np.array([3.0, 4.0]), scores, np.arange(2), draw(2, 2, 0))
    assert found["recall_first"][0] == 0.5


def test_answers_given_once_are_nobodys_but_theirs() -> None:
    from triad.tasks.reply import LABEL, NONE

    replies = ["yes", "yes", "only you", "", "no", "no", "no"]
    classes = LABEL.classes(parse_task(), lambda column: replies)
    assert classes == (NONE, *sorted([code("yes"), code("no")]))
    labels = LABEL.make("reply", {}, {"reply": ["yes", "only you", "", "new"]}, classes)
    np.testing.assert_array_equal(labels, [classes.index(code("yes")), 0, np.nan, 0])


def parse_task() -> Any:
    return SimpleNamespace(label="message_reply", kind="choice")


def test_an_answer_that_train_lacks_is_no_drift_and_a_common_one_that_goes_is() -> None:
    before, labels = np.tile([0.6 - 1e-9, 0.4, 1e-9], (50, 1)), np.zeros(50)
    for moved, is_drift in ((0.005, False), (0.2, True)):
        after = np.tile([0.6 - moved / 2, 0.4 - moved / 2, moved], (50, 1))
        assert (_agreement(KINDS["choice"], labels, before, after)["drift"] > 0.1) == is_drift


def test_a_model_with_other_answers_is_compared_by_their_names(made: Any) -> None:
    names = made.data.meta.classes["reply"]
    fewer = {**made.data.meta.classes, "reply": names[:1] + names[2:]}
    tasks = {name: made.params.tasks[name] for name in ("intent", "reply")}
    later = made.data.replaced(meta=replace(made.data.meta, classes=fewer))
    members = {"nearest_text": make_member("nearest_text", Bench(_without(later, names[1]), made.params, vectors=None))}
    sides = [
        Side(replace(made.fused, members=each), data, Texts.of([]))
        for each, data in ((made.fused.members, made.data), (members, later))
    ]
    taught = replace(made.fused, weights={task: {"nearest_text": 1.0} for task in tasks}, blends={})
    sides = [replace(side, fused=replace(taught, members=side.fused.members)) for side in sides]
    assert figures(*sides, tasks, HealthLimits(), 1)["reply"]["drift"] < 0.3


def _without(data: Any, name: str) -> Any:
    """`data` whose rows of the class `name` have no label; later classes have moved up."""
    unit = data.units["messages"]
    place, column = 1, data.meta.tasks["messages"].index("reply")
    labels = np.array(unit.labels)
    gone = labels[:, column] == place
    labels[:, column] = np.where(gone, np.nan, labels[:, column] - (labels[:, column] > place))
    return data.replaced(messages=replace(unit, labels=labels))


def test_the_files_of_a_night_name_no_message(made: Any, tmp_path: Path) -> None:
    save(made.data, tmp_path)
    assert b"message_reply" not in (tmp_path / "meta.json").read_bytes()
    assert "It comes with" not in (tmp_path / "meta.json").read_text()
