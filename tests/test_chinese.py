"""A shop that speaks Chinese, from tables to answers: the encoder `scratch` learns of its own texts, and keeps them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from make_chinese import chinese

from triad.config.params import parse
from triad.evaluation.retrieval import retrieval
from triad.evaluation.window import window
from triad.features.build import fit
from triad.fusion.fitting import fit_fusion
from triad.fusion.searching import search
from triad.kinds.graded import ORDER
from triad.members.bench import Bench
from triad.members.popularity import item_shares
from triad.members.registry import make_member
from triad.sources.simulated import simulate
from triad.sources.simulated.messages import conversations
from triad.tables import connect
from triad.text.bert import Bert
from triad.tracking.asked import answer
from triad.tracking.serving import ServingModel

pytestmark = pytest.mark.proof
TASKS = {
    "click": {"kind": "binary", "label": "clicked"},
    "intent": {"kind": "choice", "label": "message_intent"},
    "reply": {"kind": "choice", "label": "message_reply"},
    "search": {"kind": "graded", "label": "relevance"},
}
MEMBERS = ["popularity", "bag_of_words", "text_linear", "nearest_text", "search_text", "search_order"]
TEXT = {"encoder": "scratch", "scratch": {"dim": 32, "layers": 1, "subwords": 2_000, "steps": 150}}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The tiny shop, with many messages, in Chinese; what it encoded the first night, and the second."""
    ingest = {"source": "simulated", "as_of": "2026-03-01", "window_days": 40, "simulated": {"size": "tiny"}}
    beside = {"fuse": {"members": MEMBERS, "bootstrap": 50, "combine": "convex"}, "recommend": {"order_by": "click"}}
    params = parse({"ingest": ingest, "tasks": TASKS, "text": TEXT, **beside}, "a test")
    shop = simulate(params.ingest)
    english = shop.whole()[0]
    english["conversations"] = conversations(1, 20.0, shop.first, shop.last)[0]
    tables, speaker = chinese(english)
    asked: list[str] = []
    encode = Bert.encode
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("chinese"))
        patch.setattr(Bert, "encode", lambda self, texts: asked.extend(texts) or encode(self, texts))
        first = _fused(params, tables)
        before, asked[:] = len(asked), []
        more = dict(tables)
        new = {**tables["conversations"].to_pylist()[0], "message_id": "new", "message": "包裹何时到达新城"}
        rows = [*tables["conversations"].to_pylist(), new]
        more["conversations"] = pa.Table.from_pylist(rows, schema=tables["conversations"].schema)
        _fused(params, more)
        model = ServingModel(first.state, first.fused)
        yield SimpleNamespace(
            **vars(first), model=model, params=params, tables=tables, speaker=speaker, first=before, second=list(asked)
        )


def _fused(params: Any, tables: Any) -> SimpleNamespace:
    end = params.ingest.as_of
    with connect(tables) as session:
        data, state = fit(session, params.features, params.tasks, (end - timedelta(days=40), end))
    bench = Bench(data, params, vectors=lambda: np.zeros((len(data.items.item_id), 1)))
    fused = fit_fusion(data, {name: make_member(name, bench) for name in MEMBERS}, params.tasks, params.fuse)
    return SimpleNamespace(data=data, state=state, fused=fused)


def test_search_and_service_answer_far_better_than_without_learning(night: Any) -> None:
    assert not re.search("[A-Za-z]", "".join(night.tables["items"]["title"].to_pylist()))
    asked = window(night.data, "test", 100, 0)
    rows = asked.of("searches")
    held = night.data.units["searches"]
    grades, query, item = night.data.labels("search")[rows], np.asarray(held.query)[rows], np.asarray(held.item)[rows]
    served = night.fused.predict(night.data, rows, ["search"], "searches")
    own, popular = (
        ORDER.worth(scores, grades, query)[1].mean()
        for scores in (served["search"], night.fused.members["popularity"].predict(night.data, rows)["search"])
    )
    figures = retrieval(night.fused, night.data, asked, served, night.params.evaluate)
    assert own > popular + 0.1
    assert figures is not None and figures["recall_model"]["value"] > figures["recall_bm25"]["value"] - 0.02
    wanted = np.unique(query[grades >= 2])
    first = search(night.fused, night.data, [held.queries[int(q)] for q in wanted], 10)
    taken = np.argsort(-item_shares(night.data))[:10]
    good = [item[(query == q) & (grades >= 2)] for q in wanted]
    found, anyway = (
        np.mean([np.isin(each, shown).mean() for each, shown in zip(good, lists, strict=True)])
        for lists in ([each.items for each in first], [taken] * len(good))
    )
    assert found > 2 * anyway
    told = [f"search NDCG@10 {own:.3f}, popularity {popular:.3f}, recall@10 {found:.3f}, popularity {anyway:.3f}"]
    for task, gain in (("intent", 0.3), ("reply", 0.2)):
        rows = asked.of("messages")
        label = night.data.labels(task)[rows]
        rows, label = rows[~np.isnan(label)], label[~np.isnan(label)].astype(int)
        right = night.fused.predict(night.data, rows, [task], "messages")[task].argmax(axis=1) == label
        commonest = np.bincount(label).max() / len(label)
        told.append(f"{task} {right.mean():.3f}, commonest {commonest:.3f}")
        assert right.mean() > commonest + gain, told
    print(*told, sep="; ")


def test_what_is_asked_in_chinese_is_answered_in_chinese(night: Any) -> None:
    replies = {each for each in night.tables["conversations"]["reply"].to_pylist() if each}
    said = [night.speaker.text(text) for text in ("where is my parcel now", "does the desk lamp come with a warranty")]
    rows = [{"message_id": str(n), "message": text} for n, text in enumerate(said)]
    found = answer(night.model, {"conversations": rows}, {"mode": "answer", "k": 0}).to_dict("records")
    assert found[0]["intent"] in ("order_status", None) and found[1]["intent"] in ("product_question", None)
    assert all(each["reply"] is None or each["reply"] in replies for each in found)
    titles = night.data.units["searches"].title
    title = titles[0]
    (exact, part, mixed, odd) = search(night.fused, night.data, [title, title[:4], f"{title[:2]} lamp", "👍"], 10)
    assert title in titles[exact.items].tolist() and exact.match == "all words"
    assert any(title[:2] in other for other in titles[part.items].tolist())
    assert len(mixed.items) == len(odd.items) == 10 and odd.match == "popular"


def test_a_second_night_encodes_what_is_new_and_nothing_else(night: Any) -> None:
    assert night.first > 500 and night.second == ["包裹何时到达新城"]
