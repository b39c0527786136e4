"""Search: words of any text, what matches, what is learned of judgements and of clicks, what is shown for anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from make_dataset import make_dataset
from make_searches import KINDS, SAID, TASK, with_searches

from triad.arrays import Floats
from triad.artifacts import read_json, write_json
from triad.config.evaluate import EvaluateParams
from triad.config.fuse import FuseParams
from triad.config.text import TextParams
from triad.errors import TriadError
from triad.evaluation.retrieval import retrieval, sentences
from triad.evaluation.window import window
from triad.examples.searches import Searches, asked
from triad.features.positions import fit, grades_of
from triad.fusion.fitting import fit_fusion
from triad.fusion.searching import _searcher, search
from triad.kinds.graded import ORDER
from triad.members.bench import Bench
from triad.members.popularity import Popularity
from triad.members.registry import make_member
from triad.members.search_order import Lesson, SearchOrder
from triad.search import index
from triad.search.associations import FEWEST, Associations
from triad.search.lexical import FIELDS, Settings, words_of
from triad.search.meaning import MEANT, Meaning
from triad.search.retrieval import ALL, CORRECTED, NUMBER, POPULAR, SOME, chosen, hybrid, retrieve
from triad.search.spelling import corrected
from triad.search.words import query_words, words
from triad.serving import by_words
from triad.statistics.bootstrap import draw
from triad.statistics.orders import best_first, measure, ndcg
from triad.text.vectors import Vectors
from triad.texts import Texts

DATA = with_searches(make_dataset(60, 40, 0))
HELD: Searches = DATA.units["searches"]
BENCH = Bench(DATA, SimpleNamespace(tasks=TASK, text=TextParams()), lambda: np.zeros((40, 1)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("128GB", ["128gb"]),
        ("128 Gigabyte", ["128gb"]),
        ("1,5 l and 1.5l", ["1.5l", "and", "1.5l"]),
        ('27" monitors', ["27inch", "monitor"]),
        ("WH-1000XM4", ["wh1000xm4", "wh", "1000xm4"]),
        ("006R-90321", ["006r90321", "006r", "90321"]),
        ("Chef's Über-knives", ["chef", "uber", "knive"]),
        ("羽绒服 jacket", ["羽", "绒", "服", "羽绒", "绒服", "jacket"]),
        ("\x00la\x07mp\u200b", ["la", "mp"]),
        ("👍🏽", []),
        ("", []),
    ],
)
def test_a_text_is_read_as_words(text: str, read: list[str]) -> None:
    assert words(text) == read


def test_a_word_that_the_catalogue_lacks_is_spelled_as_the_nearest_that_it_has() -> None:
    known = {"lamp": 5, "lamb": 1, "keyboard": 3, "128gb": 2, "pan": 9}
    assert corrected(["lapm", "keybaord", "kyboard", "lamp"], known) == ["lamp", "keyboard"]
    assert corrected(["129gb", "xyzzy", "pin"], known) == [
        "129gb",
        "xyzzy",
        "pin",
    ]  # an amount, nothing near, too short
    assert corrected(["lam", "lame"], {"lamp": 5, "lamb": 1}) == ["lam", "lamp"]  # the commoner


def catalogue(*titles: str) -> dict[str, Texts]:
    return {name: Texts.of(titles if name == "title" else [""] * len(titles)) for name in FIELDS}


def test_what_matches_is_said_and_popular_products_stand_in_where_nothing_does() -> None:
    texts, taken = catalogue("copper pan", "navy lamp", "steel pan 1.5 l", ""), np.array([0.1, 0.2, 0.3, 0.4])

    def found(query: str) -> tuple[list[int], str]:
        (each,) = retrieve(texts, Settings(), [query], 2, popular=taken)
        return each.items.tolist(), each.match

    assert found("navy lamps") == ([1], ALL)
    assert found("coper pan")[1] == CORRECTED and 0 in found("coper pan")[0]
    assert found("1,5 l pan") == ([0, 2], ALL)
    assert found("navy pan")[1] == SOME
    for nothing in ("", "   ", "👍", "zzzzqq", "?!", "\x00\x1b[31m", "羽绒服", "5"):
        assert found(nothing) == ([3, 2], POPULAR), nothing
    assert found("pan " * 5_000)[1] == ALL
    empty = catalogue("", "")
    assert retrieve(empty, Settings(), ["pan", "羽"], 5, popular=np.array([0.5, 0.5]))[1].match == POPULAR


@pytest.mark.parametrize("query", ["navy lamp", "navy lapm", "lamp", "zzzzqq"])
def test_what_may_not_be_shown_takes_nobodys_place(query: str) -> None:
    titles = ["navy lamp", *["navy lamp lamp"] * 30, "old lamp", "pan"]
    allowed = np.array([True, *[False] * 30, True, True])
    taken = np.linspace(1, 0.5, len(titles)) * np.where(allowed, 0.1, 1)
    (found,) = retrieve(catalogue(*titles), Settings(), [query], 5, popular=taken, allowed=allowed)
    (alone,) = retrieve(catalogue("navy lamp", "old lamp", "pan"), Settings(), [query], 5, popular=taken[allowed])
    assert found.items.tolist() == np.flatnonzero(allowed)[alone.items].tolist() and found.match == alone.match


def test_that_some_product_holds_every_word_is_said_of_what_may_be_shown() -> None:
    texts, allowed = catalogue("navy lamp", "navy pan"), np.array([False, True])
    (found,) = retrieve(texts, Settings(), ["navy lamp"], 5, popular=np.ones(2), allowed=allowed)
    assert (found.items.tolist(), found.match) == ([1], SOME)


def test_rows_that_tie_share_their_places() -> None:
    grades, query = np.array([3.0, 0, 0, 1]), np.array([0, 0, 0, 1])
    best = ndcg(np.array([1.0, 0, 0, 0]), grades, query, 3, 10)
    assert best[:2] == pytest.approx([1, 1]) and np.isnan(best[2])
    tied = ndcg(np.zeros(4), grades, query, 2, 10)
    assert tied[0] == pytest.approx((1 + 1 / np.log2(3) + 0.5) / 3)
    two = ndcg(np.array([2.0, 1]), np.array([1.0, 2]), np.zeros(2, int), 1, 10)  # gains 1 and 3 by hand
    assert two[0] == pytest.approx((1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)))
    assert best_first(np.array([1.0, 1, 0]), np.array([3.0, 0, 3]), np.zeros(3, int), 1) == pytest.approx([0.5])
    figures = measure(np.array([1.0, 0, 0, 0]), grades, query, draw(2, 5, 0), 10)
    assert figures["graded_ndcg"][0] == pytest.approx(1) and figures["best_first"].shape == (6,)


def test_clicks_are_told_from_where_a_product_stood() -> None:
    random = np.random.default_rng(0)
    draws, looked = random.uniform(0.05, 0.6, 60), np.array([1.0, 0.6, 0.4, 0.25, 0.15])
    good = draws > 0.35
    pair = np.repeat(np.arange(60), 400)
    place = np.where(random.random(len(pair)) < 0.7, np.where(good[pair], 4, 0), random.integers(5, size=len(pair)))
    clicked = (random.random(len(pair)) < draws[pair] * looked[place]).astype(float)
    found, theta, pages = fit(pair, place + 1, clicked, 60)
    assert (pages == 400).all() and np.abs(theta - looked).max() < 0.12
    plain = np.bincount(pair, clicked) / 400
    assert np.corrcoef(found, draws)[0, 1] > 0.95
    assert np.corrcoef(plain, draws)[0, 1] < 0.5
    assert set(grades_of(found)) == {0, 1, 2, 3}
    assert len(fit(np.zeros(0, int), np.zeros(0, int), np.zeros(0), 0)[0]) == 0 and len(grades_of(np.zeros(0))) == 0


def test_words_that_mean_the_same_are_learned_of_judgements_and_no_query_is_kept() -> None:
    held, rows = words_of(HELD.texts), DATA.rows("train", "searches")
    pairs = np.asarray(HELD.query)[rows], np.asarray(HELD.item)[rows], np.asarray(DATA.labels("search"), float)[rows]
    typed = [query_words(text) for text in HELD.queries]
    learned = Associations.fit(typed, held.named, list(held.known), pairs)
    scores = learned.scores([["coat"], ["never", "typed"]], held.named, held.known)
    jackets = np.array(["jacket" in title for title in HELD.title])
    assert scores[0][jackets].min() > scores[0][~jackets].max() and not scores[1].any()
    assert not any(character.isdigit() for word in learned.asked for character in word)
    counts = {word: sum(word in words for n, words in enumerate(typed) if n in set(pairs[0])) for word in learned.asked}
    assert min(counts.values()) >= FEWEST


@pytest.fixture(scope="module")
def fused() -> Any:
    made = {name: make_member(name, BENCH) for name in ("search_text", "search_order")}
    made["popularity"] = Popularity.fit(DATA, TASK)
    return fit_fusion(DATA, made, TASK, FuseParams(members=tuple(made), bootstrap=50, combine="convex"))


def test_trees_that_learned_of_judgements_put_products_in_better_order_than_bm25(fused: Any) -> None:
    rows = DATA.rows("test", "searches")
    grades, query = DATA.labels("search")[rows], np.asarray(HELD.query)[rows]
    worth = {
        name: ORDER.worth(member.predict(DATA, rows)["search"], grades, query)[1].mean()
        for name, member in fused.members.items()
    }
    assert worth["search_order"] > worth["search_text"] + 0.05 > worth["popularity"] + 0.05
    assert fused.record["search"]["judged_by"] == "NDCG@10" and fused.weights["search"]["search_order"] > 0.5
    own = ORDER.worth(fused.predict(DATA, rows, unit="searches")["search"], grades, query)[1].mean()
    assert own > worth["search_order"] - 0.02


@pytest.mark.parametrize("first", ["search_text", "search_order"])
def test_the_member_of_most_weight_finds_the_products(fused: Any, first: str) -> None:
    weights = {"search_text": 0.3, "search_order": 0.3, "popularity": 0.3, first: 0.4}
    assert _searcher(replace(fused, weights={"search": weights}), DATA) == (fused.members[first], "search")


def test_anything_that_is_typed_has_an_answer(fused: Any) -> None:
    typed = [
        "navy coat",
        "",
        "x" * 10_000,
        "👍🏽",
        "\x00\x1b[31m",
        "羽绒服 lamp",
        "السماعات",
        "' OR x=x --",
        "lapm",
    ]
    shown = search(fused, DATA, typed, 5)
    assert [len(each.items) for each in shown] == [5] * len(typed)
    assert {HELD.title[int(item)].split()[0] for item in shown[0].items[:3]} == {"jacket"}
    assert [each.match == POPULAR for each in shown] == [number in (1, 2, 3, 4, 6, 7) for number in range(9)]
    assert all((np.diff(each.scores) <= 0).all() for each in shown)
    taken = Popularity.fit(DATA, TASK).share
    assert set(shown[1].items) == set(np.argsort(-taken, kind="stable")[:5])
    allowed = np.arange(40) != shown[0].items[0]
    assert shown[0].items[0] not in search(fused, DATA, typed[:1], 5, allowed)[0].items


def test_a_product_is_found_by_its_number(fused: Any) -> None:
    ids = [str(each) for each in DATA.items.item_id]
    typed = [ids[7], f" {ids[7].upper()}\n", ids[7][:-1] + "#", HELD.title[7]]
    numbered, shouted, none, named = search(fused, DATA, typed, 5)
    assert numbered.items.tolist() == shouted.items.tolist() == [7]
    assert numbered.match == shouted.match == NUMBER and not numbered.is_of_words
    assert none.match == POPULAR and named.match == ALL
    out = np.arange(40) != 7
    assert search(fused, DATA, typed[:1], 5, out)[0].match == POPULAR, "it may not be shown"


def test_words_that_are_also_a_number_are_words(fused: Any) -> None:
    title = HELD.title[3]
    renamed = Texts.of([title if row == 7 else each for row, each in enumerate(DATA.items.item_id)])
    data = replace(DATA, items=replace(DATA.items, item_id=renamed))
    (shown,) = search(fused, data, [title], 5)
    assert shown.match == ALL and 3 in shown.items and len(shown.items) == 5


def test_what_words_find_is_not_pushed_out_by_what_was_learned_of_other_products() -> None:
    scores, words = np.arange(10.0), np.array([9.0, 8, 7, 0, 0, 0, 0, 0, 0, 0])
    assert np.flatnonzero(chosen(scores, words, 4)).tolist() == [0, 1, 2, 9], "first by both orders"
    assert np.flatnonzero(chosen(scores, 0 * words, 4)).tolist() == [6, 7, 8, 9], "no word is met: one order is left"
    assert chosen(scores, words, 20).all()


def test_an_answer_holds_what_words_find_in_the_learned_order(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Any = make_member("search_order", BENCH)

    class Backwards:
        """Puts the catalogue's first product last."""

        members, weights = {"search_order": replace(made, beside=True)}, {"search": {}}
        of_unit = staticmethod(lambda data, unit: TASK)

        def predict(self, data: Any, rows: Any, tasks: Any, unit: str) -> Any:
            return {"search": np.asarray(data.units[unit].item)[rows].astype(float)}

    model: Any = Backwards()
    monkeypatch.setattr("triad.fusion.searching.DEEP", 2)
    monkeypatch.setattr("triad.search.retrieval.CONSTANT", 0.0)
    (shown,) = search(model, DATA, [HELD.title[0]], 2)
    assert shown.items.tolist() == [39, 0]
    model.members["search_order"] = replace(made, beside=False)
    assert 0 not in search(model, DATA, [HELD.title[0]], 2)[0].items


def test_few_and_many_trees_count_and_a_model_that_chose_one_number_keeps_it(tmp_path: Path) -> None:
    made: Any = make_member("search_order", BENCH)
    rows = np.arange(40)
    columns = made.columns(DATA, rows)
    staged = [[each.predict(columns, num_iteration=trees) for each in made.boosters] for trees in made.trees]
    assert made.predict(DATA, rows)["search"] == pytest.approx(np.mean(staged, axis=(0, 1)))
    made.save(tmp_path)
    told = read_json(tmp_path / "search.json")
    write_json(tmp_path / "search.json", told | {"trees": 50})
    assert SearchOrder.load(tmp_path).scores(columns) == pytest.approx(np.mean(staged[1], axis=0))


@pytest.mark.parametrize("knows", [True, False])
def test_words_have_a_say_where_validation_queries_gain(monkeypatch: pytest.MonkeyPatch, knows: bool) -> None:
    """Trees that know what is wanted need no words beside them; trees that put it last do."""
    wanted = {
        (HELD.queries[int(q)], int(i))
        for q, i, g in zip(HELD.query, HELD.item, HELD.labels[:, 0], strict=True)
        if g >= 2
    }

    def predict(self: Any, data: Any, rows: Any, tasks: Any = None) -> Any:
        held = data.units["searches"]
        pairs = zip(np.asarray(held.query)[rows], np.asarray(held.item)[rows], strict=True)
        is_wanted = np.array([(held.queries[int(query)], int(item)) in wanted for query, item in pairs], float)
        return {"search": is_wanted if knows else -is_wanted}

    made: Any = make_member("search_order", BENCH)
    monkeypatch.setattr(SearchOrder, "predict", predict)
    monkeypatch.setattr("triad.members.search_order.DEEP", 5)
    monkeypatch.setattr("triad.search.retrieval.CONSTANT", 0.0)
    served = replace(made, beside=False).beside_words(DATA)
    assert served.beside is not knows
    assert replace(served, beside=True).refit(BENCH, "search_order").beside


def test_the_words_that_carry_a_product_are_named_and_sum_to_its_score(fused: Any) -> None:
    night: Any = SimpleNamespace(data=DATA, model=SimpleNamespace(fused=fused))
    (shown,) = search(fused, DATA, ["navy coat please"], 12)
    told = by_words.of_products(night, "navy coat please", shown)
    assert len(told) == by_words.PRODUCTS
    for score, parts in zip(shown.scores, told, strict=False):
        assert {word.text for word in parts} == {"navy", "coat", "please", ""}
        assert sum(word.value for word in parts) == pytest.approx(score, abs=1e-6)
    best = {word.text: word.value for word in told[0]}
    assert best["coat"] > abs(best["navy"]) > abs(best["please"])
    (popular,) = search(fused, DATA, ["x" * 10], 5)
    assert by_words.of_products(night, "x" * 10, popular) == []
    (long,) = search(fused, DATA, ["coat " * 30 + "羽绒"], 5)
    assert None in {word.text for word in by_words.of_products(night, "coat " * 30 + "羽绒", long)[0]}


def test_the_whole_catalogue_is_searched_by_the_report(fused: Any) -> None:
    asked_of = window(DATA, "test", 10, 0)
    served = fused.predict(DATA, asked_of.of("searches"), unit="searches")
    figures = retrieval(fused, DATA, asked_of, served, EvaluateParams(bootstrap=50))
    assert figures is not None and 25 < figures["queries"] <= 30
    assert figures["recall_popularity"]["value"] == 1  # 40 products, 100 shown
    assert figures["recall_model"]["value"] > figures["recall_bm25"]["value"] + 0.1
    assert figures["without_a_match"] == 0
    gain, plain = figures["ndcg_gain_over_bm25"], figures["ndcg_bm25"]["value"]
    rows = DATA.rows("test", "searches")
    own = np.nanmean(ndcg(served["search"], DATA.labels("search")[rows], np.asarray(HELD.query)[rows], 120, 10))
    assert 0 < gain["lo"] <= gain["value"] <= gain["hi"] and gain["value"] == pytest.approx(own - plain)
    assert (
        "graded products" in sentences(figures)[0] and "clicks" in sentences({**figures, "learned_from_clicks": 1.0})[0]
    )
    nothing = make_dataset(60, 40, 0)
    assert (
        retrieval(fused, nothing, window(nothing, "test", 10, 0), {}, EvaluateParams()) is None
        and sentences(None) == []
    )


class Kinds:
    """An encoder that knows what each kind is called, and nothing else."""

    fingerprint, dim = "kinds", len(KINDS) + 1

    def encode(self, texts: Sequence[str]) -> Floats:
        rows = [[float(kind in text or said in text) for kind, said in zip(KINDS, SAID, strict=True)] for text in texts]
        vectors = np.hstack([np.array(rows), np.full((len(rows), 1), 0.1)]).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def test_an_encoder_finds_and_orders_what_no_word_meets() -> None:
    meaning = Meaning(Vectors(Kinds()))
    texts, popular = HELD.texts, np.full(40, 1 / 40)
    (found,) = retrieve(texts, Settings(), ["flask"], 10, popular=popular, meaning=meaning)
    bottles = {item for item, title in enumerate(HELD.title) if "bottle" in title}
    assert set(found.items.tolist()) == bottles and found.match == SOME
    (nothing,) = retrieve(texts, Settings(), ["zzzzqq"], 10, popular=popular, meaning=meaning)
    assert nothing.match == POPULAR
    first = hybrid(np.array([2.0, 2, 0, 1]), np.array([0.1, 0.9, 0.9, 0.0]))
    assert first.argmax() == 1 and first[0] > first[3] > first[2]
    table = meaning.columns(texts, ["flask", "light"], np.array([0, 0, 1]), np.array([2, 1, 0]))
    named = dict(zip(MEANT, table.T, strict=True))
    assert named["meant"][[0, 2]].min() > 0.9 and named["meant"][1] < 0.2
    assert named["meant_lack"][0] == 0 and named["meant_place"].tolist() == [0, np.float32(np.log1p(10)), 0]
    with_it = Lesson.of(DATA, "search", Settings(), meaning).taught()
    rows = DATA.rows("test", "searches")
    grades, query = DATA.labels("search")[rows], np.asarray(HELD.query)[rows]
    without = Lesson.of(DATA, "search", Settings(), None).taught()
    worth = [ORDER.worth(each.predict(DATA, rows)["search"], grades, query)[1].mean() for each in (with_it, without)]
    assert worth[0] > worth[1] - 0.01


def test_a_large_catalogue_is_searched_by_an_index_that_names_what_is_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    meaning, popular, query = Meaning(Vectors(Kinds())), np.full(40, 1 / 40), np.array([0, 0, 1])
    asked = HELD.texts, ["flask", "light"], query, np.array([2, 1, 0])
    exact = meaning.columns(*asked)
    (found,) = retrieve(HELD.texts, Settings(), ["flask"], 10, popular=popular, meaning=meaning)
    monkeypatch.setattr(index, "FROM", 40)
    np.testing.assert_allclose(meaning.columns(*asked), exact, atol=1e-6)
    (near,) = retrieve(HELD.texts, Settings(), ["flask"], 10, popular=popular, meaning=meaning)
    assert near.items.tolist() == found.items.tolist() and near.match == found.match
    random = np.random.default_rng(0)
    vectors, wanted = random.normal(size=(4_000, 16)), random.normal(size=(50, 16))
    best = np.argsort(-(wanted @ vectors.T), axis=1)[:, :10]
    named = index.Index.of(vectors).find(wanted)[0]
    assert named.shape == (50, index.FOUND)
    assert np.mean([np.isin(each, row).mean() for each, row in zip(best, named, strict=True)]) > 0.95
    few = index.Index.of(vectors[:5]).find(wanted[:1])
    assert sorted(few[0][0])[-6:] == [-1, 0, 1, 2, 3, 4] and few[1][0, -1] == 0


def test_who_learned_nothing_of_searches_says_so(fused: Any) -> None:
    with pytest.raises(TriadError, match="learned nothing of searches"):
        search(fused, make_dataset(60, 40, 0), ["lamp"], 5)


def test_pairs_that_are_asked_know_no_grade() -> None:
    pairs = asked(DATA, ["lamp"], np.array([0, 0]), np.array([1, 3])).units["searches"]
    assert np.isnan(pairs.labels).all() and pairs.queries.tolist() == ["lamp"] and (pairs.split == -1).all()
