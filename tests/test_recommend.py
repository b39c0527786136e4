"""Lists for every user: what may be shown, in which order, with reasons that are true."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_dataset import make_dataset
from make_night import inside, judge, make_night, make_params
from make_tables import DAY, ZERO, make_tables

from triad.artifacts import ARTIFACTS, read_json
from triad.config.recommend import RecommendParams
from triad.errors import TriadError
from triad.features import build
from triad.features.build import transform
from triad.features.signals import slots
from triad.fusion.candidates import Queries
from triad.fusion.signals import ITSELF, LIKE, SHOP, UNTOLD
from triad.stages.publish import publish
from triad.stages.recommend import recommend
from triad.tables import connect
from triad.tracking import recommending
from triad.tracking.recommending import Pairs
from triad.tracking.serving import ServingModel
from triad.tracking.shelf import Shelf
from triad.tracking.shown import first_on_page
from triad.tracking.stock import with_stock

AS_OF = ZERO + 30 * DAY
EVERYONE = RecommendParams(k=5, candidates=12, order_by="conversion")


def shop() -> dict[str, pa.Table]:
    """The random shop, with two users who did nothing yet and an item of tomorrow."""
    tables = make_tables()
    moment = pa.timestamp("us", tz="UTC")
    newcomers = {
        "user_id": ["new-1", "new-2"],
        "signed_up_at": pa.array([AS_OF - DAY] * 2, moment),
        "segment": ["loyal"] * 2,
        "country": ["DE"] * 2,
    }
    tomorrow = {
        "item_id": ["i-tomorrow"],
        "title": ["Red thing"],
        "category": ["c0/d0"],
        "brand": ["b0"],
        "price_cents": [900],
        "available_from": pa.array([AS_OF + DAY], moment),
    }
    tables["users"] = pa.concat_tables([tables["users"], pa.table(newcomers)])
    tables["items"] = pa.concat_tables([tables["items"], pa.table(tomorrow)])
    return tables


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield make_night(tmp_path_factory.mktemp("night"), tables=shop())


@pytest.fixture(scope="module")
def model(night: Path) -> ServingModel:
    return ServingModel.load(night / "artifacts/features/state", night / "artifacts/fuse", "1")


@pytest.fixture(scope="module")
def lists(night: Path, model: ServingModel) -> pa.Table:
    return model.recommend(night / "artifacts/validate/tables", EVERYONE, AS_OF)


def test_without_a_champion_it_says_so_then_serves_everyone(night: Path, caplog: pytest.LogCaptureFixture) -> None:
    with inside(night):
        judge("FAIL", None)
        publish(make_params())
        recommend(make_params())
        assert "no version of triad has passed yet" in caplog.text
        empty = pq.read_table(ARTIFACTS / "recommend" / "recommendations.parquet")
        assert (empty.num_rows, read_json(ARTIFACTS / "recommend" / "summary.json")["model_version"]) == (0, None)
        judge("PASS", None)
        publish(make_params())
        recommend(make_params())
        found = pq.read_table(ARTIFACTS / "recommend" / "recommendations.parquet")
        assert found.column_names == empty.column_names
        assert pc.unique(found["model_version"]).to_pylist() == ["1"]
        summary = read_json(ARTIFACTS / "recommend" / "summary.json")
        assert summary["users"] == 62 and summary["users_without_list"] == 0 and summary["rows"] == found.num_rows
        assert summary["share_with_history"] == pytest.approx(60 / 62)
        assert summary["coverage"] == pytest.approx(len(set(found["item_id"].to_pylist())) / 31)
        for name in ("similar_items", "bought_together"):
            page = pq.read_table(ARTIFACTS / "recommend" / f"{name}.parquet")
            assert page.column_names == ["item_id", "rank", "other_id", "score", "visits"] and page.num_rows > 100
            assert "i-tomorrow" not in page["other_id"].to_pylist()
        first = (ARTIFACTS / "recommend" / "recommendations.parquet").read_bytes()
        recommend(make_params())
        assert (ARTIFACTS / "recommend" / "recommendations.parquet").read_bytes() == first


def test_lists_are_whole_ordered_and_hold_only_what_may_be_shown(lists: pa.Table) -> None:
    rows = lists.to_pylist()
    assert len(rows) == 62 * 5
    bought = {
        (event["user_id"], event["item_id"]) for event in shop()["events"].to_pylist() if event["kind"] == "purchase"
    }
    assert len(bought) > 100
    for start in range(0, len(rows), 5):
        part = rows[start : start + 5]
        assert [row["rank"] for row in part] == [1, 2, 3, 4, 5]
        assert len({row["user_id"] for row in part}) == 1 and len({row["item_id"] for row in part}) == 5
        assert [(-row["score"], row["item_id"]) for row in part] == sorted((-r["score"], r["item_id"]) for r in part)
    assert not {(row["user_id"], row["item_id"]) for row in rows} & bought
    assert "i-tomorrow" not in lists["item_id"].to_pylist()


def test_bought_items_stay_if_so_asked(night: Path, model: ServingModel) -> None:
    asked = RecommendParams(k=31, candidates=31, order_by=None, bought="allow")
    found = model.recommend(night / "artifacts/validate/tables", asked, AS_OF)
    assert found.num_rows == 62 * 30
    with_tomorrow = model.recommend(night / "artifacts/validate/tables", asked, AS_OF + 2 * DAY)
    assert with_tomorrow.num_rows == 62 * 31 and "i-tomorrow" in with_tomorrow["item_id"].to_pylist()


def test_a_merchants_rules_hold_in_every_list(night: Path, model: ServingModel) -> None:
    tables = night / "artifacts/validate/tables"
    items = {row["item_id"]: row for row in shop()["items"].to_pylist()}
    caps = {"category": 2, "brand": 2}
    rules = RecommendParams(
        k=6, candidates=31, hide="brand = 'b1'", caps=caps, diversity=0.3, new_share=0.34, new_days=400
    )
    found = model.recommend(tables, rules, AS_OF)
    assert found.equals(model.recommend(tables, rules, AS_OF)), "the draw of a night is the night's"
    assert found["explored"].to_pylist() == found["score"].is_null().to_pylist()
    bought = {(e["user_id"], e["item_id"]) for e in shop()["events"].to_pylist() if e["kind"] == "purchase"}
    by_user: dict[str, list[dict]] = {}
    for row in found.to_pylist():
        by_user.setdefault(row["user_id"], []).append(row)
        assert items[row["item_id"]]["brand"] != "b1" and (row["user_id"], row["item_id"]) not in bought
    for rows in by_user.values():
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        assert len({row["item_id"] for row in rows}) == len(rows)
        assert sum(row["explored"] for row in rows) == 2
        for name, most in caps.items():
            shown = [items[row["item_id"]][name] for row in rows]
            of = [each.split("/")[0] for each in shown if each]
            assert not of or max(map(of.count, of)) <= most


def test_what_is_out_of_stock_is_left_out(night: Path, caplog: pytest.LogCaptureFixture) -> None:
    with inside(night):
        judge("PASS", None)
        publish(make_params())
        Path("stock.csv").write_text("pieces,item_id\n0,i0003\n0,it's gone\n")
        pq.write_table(pa.table({"item_id": ["i0003", "i0004", None]}), "stock.parquet")
        for name, gone in (("stock.csv", {"i0003"}), ("stock.parquet", {"i0003", "i0004"})):
            rules = {"k": 31, "candidates": 31, "order_by": None, "bought": "allow", "out_of_stock": name}
            recommend(make_params(recommend=rules))
            found = pq.read_table(ARTIFACTS / "recommend" / "recommendations.parquet")
            assert {f"i{n:04}" for n in range(30)} - set(found["item_id"].to_pylist()) == gone
        assert "recommend.out_of_stock: 1 of 2 ids are of no item" in caplog.text
        recommend(make_params(recommend={"hide": "true", "new_share": 0.5, "caps": {"brand": 1}, "diversity": 0.5}))
        assert read_json(ARTIFACTS / "recommend" / "summary.json")["rows"] == 0
        assert "all lists are empty" in caplog.text


def test_a_stock_file_that_cannot_be_read_is_named_without_its_words(tmp_path: Path) -> None:
    files = {
        "cells.csv": b"item_id,note\ni1,ask mr@example.org, he knows\n",
        "other.csv": b"sku\n",
        "twice.csv": b"item_id,item_id\ni1,i2\n",
        "latin.csv": "item_id,note\ni1,T\u00fcr\n".encode("latin-1"),
        "empty.csv": b"",
        "broken.parquet": b"i1",
        "broken.pq": b"i1",
        "BROKEN.PARQUET": b"i1",
    }
    pq.write_table(pa.table({"sku": ["i1"]}), tmp_path / "other.parquet")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for name in (*files, "other.parquet", "nowhere.csv"):
        with pytest.raises(TriadError, match=r"(?s)recommend\.out_of_stock.*column item_id") as error:
            with_stock(RecommendParams(out_of_stock=str(tmp_path / name)))
        assert "example.org" not in str(error.value)
    (tmp_path / "some.csv").write_bytes(b'\xef\xbb\xbfitem_id,n\r\n"a,1",0\r\n\r\nb"2,0\r\na\'3,0\r\n,0\r\n')
    rules = with_stock(RecommendParams(out_of_stock=str(tmp_path / "some.csv"), hide="brand = 'b1'"))
    assert rules.hide == """(brand = 'b1') OR item_id IN ('a,1', 'b"2', 'a''3')"""


def test_a_condition_that_is_none_is_named(night: Path, model: ServingModel) -> None:
    for condition in (
        "colour = 'red'",
        "brand = ",
        "true; DROP TABLE items",
        "'maybe'",
        "price_cents",
        "title",
        "NULL",
        "count(*) > 0",
        "unnest(['b1', 'b2']) = brand",
    ):
        with pytest.raises(TriadError, match=r"recommend\.hide"):
            model.recommend(night / "artifacts/validate/tables", RecommendParams(hide=condition), AS_OF)


def test_a_list_ends_where_there_is_nothing_more_to_show(night: Path, model: ServingModel) -> None:
    asked = RecommendParams(k=40, candidates=40, order_by=None)
    found = model.recommend(night / "artifacts/validate/tables", asked, AS_OF)
    counts = dict(zip(*np.unique(found["user_id"].to_pylist(), return_counts=True), strict=True))
    assert counts["new-1"] == counts["new-2"] == 30 and min(counts.values()) < 30
    bought = {(e["user_id"], e["item_id"]) for e in shop()["events"].to_pylist() if e["kind"] == "purchase"}
    for user, count in counts.items():
        assert count == 30 - len({item for who, item in bought if who == user})


def test_without_an_order_the_ranking_stands(night: Path, model: ServingModel) -> None:
    tables = night / "artifacts/validate/tables"
    found = model.recommend(tables, RecommendParams(k=3, candidates=12, order_by=None), AS_OF)
    data = model.dataset(tables)
    user = data.users.user_id.tolist().index("u0003")
    history = np.diff(data.streams.offsets)[user]
    query = Queries(np.array([user]), np.array([history]), np.array([AS_OF]))
    scores = model.fused.ranker(data).rank(query)[0]
    asked, nothing = RecommendParams(), np.zeros(len(data.items.item_id), bool)
    scores = np.where(Shelf.at(data, AS_OF, asked, nothing).allows(np.array([user]))[0], scores, -1)
    expected = data.items.item_id[np.lexsort((data.items.item_id.codes()[1], -scores))[:3]].tolist()
    rows = [row for row in found.to_pylist() if row["user_id"] == "u0003"]
    assert [row["item_id"] for row in rows] == expected
    given, whole = np.array([row["score"] for row in rows]), np.sort(scores)[::-1][:3]
    np.testing.assert_allclose(
        given / given[0], whole / whole[0], rtol=1e-5
    )  # a re-ranker's are of its candidates alone


def test_the_default_moment_is_the_midnight_after_the_newest_event(
    night: Path, model: ServingModel, lists: pa.Table
) -> None:
    assert model.recommend(night / "artifacts/validate/tables", EVERYONE).equals(lists)


def test_many_passes_give_what_one_gives(night: Path, model: ServingModel, lists: pa.Table, monkeypatch) -> None:
    from triad.tracking import choosing, retrieving, shown

    monkeypatch.setattr(shown, "BLOCK", 70)
    monkeypatch.setattr(choosing, "_SCORED_AT_ONCE", 150)
    monkeypatch.setattr(retrieving, "CELLS", 31 * 7)
    monkeypatch.setattr(retrieving, "SHARE", 23)
    again = model.recommend(night / "artifacts/validate/tables", EVERYONE, AS_OF)
    assert again.drop(["score"]).equals(lists.drop(["score"]))
    np.testing.assert_allclose(again["score"].to_numpy(), lists["score"].to_numpy(), rtol=1e-9)


def test_a_task_that_the_model_does_not_score_is_named(night: Path, model: ServingModel) -> None:
    with pytest.raises(TriadError, match=r"recommend\.order_by: spend.*click, conversion, profile"):
        model.recommend(night / "artifacts/validate/tables", RecommendParams(order_by="spend"), AS_OF)


def test_an_empty_log_is_named(model: ServingModel) -> None:
    tables = shop()
    tables["events"] = tables["events"].slice(0, 0)
    with pytest.raises(TriadError, match="table events"):
        model.recommend(tables, EVERYONE)


def test_a_candidate_reads_like_the_impression_it_stands_for(model: ServingModel) -> None:
    """An impression recorded at the moment, and the same one asked for, have the same context and state."""
    tables = shop()
    shown = {
        "event_id": "e-shown", "user_id": "u0001", "item_id": "i0004", "kind": "impression", "session_id": None,
        "position": 1, "surface": "home", "price_cents": None, "quantity": 1, "occurred_at": AS_OF,
    }  # fmt: skip
    moment = pa.timestamp("us", tz="UTC")
    row = pa.table(
        {name: pa.array([value], moment if name == "occurred_at" else None) for name, value in shown.items()}
    )
    with connect(
        {**tables, "events": pa.concat_tables([tables["events"], row], promote_options="permissive")}
    ) as session:
        recorded = transform(session, model.state)
    with connect(tables) as session:
        names = ("event_id", "user_id", "item_id", "occurred_at", "position", "surface")
        asked = transform(session, model.state, row.select(names))
    at = recorded.exposures.event_id.tolist().index("e-shown")
    assert asked.exposures.event_id.tolist() == ["e-shown"]
    known = recorded.exposures.context[at]
    np.testing.assert_array_equal(np.isnan(known), np.isnan(asked.exposures.context[0]))
    np.testing.assert_allclose(known, asked.exposures.context[0], rtol=1e-6)
    assert asked.exposures.history[0] == recorded.exposures.history[at] > 0
    assert np.isfinite(asked.exposures.context[0][asked.meta.context.index("price")])
    assert np.isnan(asked.exposures.labels).all() and asked.exposures.split[0] == -1
    with connect(tables) as session:
        data, context = build.standing(session, model.state, AS_OF // DAY)
        shown_at = first_on_page(data, context, AS_OF, "home", slots(session))
    user, item = data.users.user_id.tolist().index("u0001"), data.items.item_id.tolist().index("i0004")
    made = shown_at(np.array([user]), np.array([item])).exposures
    np.testing.assert_array_equal(made.context[0], asked.exposures.context[0])
    assert made.history[0] == asked.exposures.history[0]


def test_a_shop_that_records_purchases_only_gets_lists_too(tmp_path: Path) -> None:
    tables = make_tables(shown=12000)
    tables["events"] = tables["events"].filter(pc.equal(tables["events"]["kind"], "purchase"))
    tasks = {"buy": {"kind": "binary", "label": "purchased"}, "next": {"kind": "ranking", "label": "next_item"}}
    params = make_params(tasks=tasks, recommend={"k": 4, "candidates": 9, "order_by": "buy"})
    root = make_night(tmp_path, tables=tables, params=params)
    model = ServingModel.load(root / "artifacts/features/state", root / "artifacts/fuse")
    found = model.recommend(root / "artifacts/validate/tables", params.recommend, AS_OF)
    counts = np.unique(found["user_id"].to_pylist(), return_counts=True)[1]
    assert found.num_rows > 100 and counts.max() == 4
    assert ((found["score"].to_numpy() > 0) & (found["score"].to_numpy() < 1)).all()


@given(
    st.integers(1, 5).flatmap(
        lambda rows: st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=rows, max_size=rows)
    ),
    st.integers(1, 8),
    st.integers(0, 2**30 - 1),
)
@settings(max_examples=200, deadline=None)
def test_retrieval_is_a_full_sort_that_stops_early(scores: list[list[int]], count: int, bits: int) -> None:
    """Against sorting every row by score, then by the order given."""
    values = np.array(scores, float)
    mask = (bits >> np.arange(values.size) & 1).astype(bool).reshape(values.shape)
    order = np.random.default_rng(bits).permutation(6)
    row, column = recommending.retrieve(values, mask, order, count)
    place = np.argsort(order)
    for at in range(len(values)):
        expected = sorted(np.flatnonzero(mask[at]), key=lambda c: (-values[at, c], place[c]))[:count]
        assert set(column[row == at].tolist()) == {int(c) for c in expected}


def test_the_best_of_each_user_in_order() -> None:
    pairs = Pairs(np.array([1, 0, 0, 1, 0]), np.array([3, 2, 0, 1, 1]), np.array([0.5, 0.2, 0.2, 0.9, 0.1]))
    best, rank = recommending.top(pairs, np.arange(4), 2)
    assert best.user.tolist() == [0, 0, 1, 1] and best.item.tolist() == [0, 2, 1, 3] and rank.tolist() == [1, 2, 1, 2]
    none, rank = recommending.top(Pairs(*(np.empty(0, int),) * 3), np.arange(4), 2)
    assert len(none.user) == len(rank) == 0


def test_nearness_counts_shared_levels_brands_and_words() -> None:
    items, random = make_dataset(users=5, items=20).items, np.random.default_rng(1)
    item, others = random.integers(20, size=40), random.integers(-1, 20, size=(40, 7))
    for one, row, found in zip(item, others, recommending.nearness(items, item, others), strict=True):
        for other, near in zip(row, found, strict=True):
            levels = 0
            while levels < items.category.shape[1] and 0 < items.category[one, levels] == items.category[other, levels]:
                levels += 1
            brand = 0 < items.brand[one] == items.brand[other]
            words = sum(word > 0 and word in items.tokens[other] for word in items.tokens[one])
            alike = 4 * levels + 2 * brand + words / (items.tokens.shape[1] + 1)
            assert near == (0 if other < 0 else alike)


def test_a_reason_names_what_carried_the_item_into_the_list() -> None:
    data = make_dataset(users=30, items=20)
    user = int(np.argmax(np.diff(data.streams.offsets)))
    done = data.streams.item[data.streams.offsets[user] : data.streams.offsets[user + 1]][-50:]
    mine = np.unique(done)
    titles = np.array([f"T{n}." for n in range(20)], dtype=object)
    standing = [f"standing {n} in" for n in range(20)]
    told = {}
    for ground in (ITSELF, LIKE, SHOP, UNTOLD):
        pairs = Pairs(np.full(20, user), np.arange(20), np.zeros(20), np.full(20, ground))
        told[ground] = recommending.reasons(data, pairs, standing, titles, np.full(20, "C", object))
    assert told[SHOP] == [f"standing {n} in C" for n in range(20)]
    assert {n for n in range(20) if told[ITSELF][n].endswith("before")} == set(mine.tolist())
    assert all(told[ITSELF][n] == f"standing {n} in C" for n in range(20) if n not in mine)
    assert not any(text.endswith("before") or f" T{n}." in text for n, text in enumerate(told[LIKE]))
    assert any(text.startswith("because") for text in told[LIKE])
    nobody = Pairs(np.full(20, user), np.arange(20), np.zeros(20))
    assert recommending.reasons(data, nobody, standing, titles, np.full(20, "C", object)) == told[UNTOLD]


def test_reasons_are_true() -> None:
    data = make_dataset(users=30, items=20)
    users = np.arange(30)
    pairs = Pairs(np.repeat(users, 20), np.tile(np.arange(20), 30), np.zeros(600))
    titles = np.array([f"T{n}" for n in range(20)], dtype=object)
    categories = np.array([f"C{n % 4}" for n in range(20)], dtype=object)
    last = int(data.streams.time.max()) + DAY
    texts = recommending.reasons(data, pairs, recommending.standings(data, last), titles, categories)
    offsets, stream = data.streams.offsets, data.streams.item
    deeds = {1: "looked at", 2: "had", 3: "bought"}
    for user, item, text in zip(pairs.user, pairs.item, texts, strict=True):
        own = slice(offsets[user], offsets[user + 1])
        done = set(zip(stream[own].tolist(), data.streams.kind[own].tolist(), strict=True))
        if text.startswith("because you"):
            allowed = {f"because you {deeds[kind]} T{other}" for other, kind in done}
            allowed |= {f"because you {deeds[kind]} it before" for other, kind in done if other == item}
            assert text in allowed
        else:
            assert text.endswith(f" in C{item % 4}") or text.endswith(f"from C{item % 4}")
    assert any(text.startswith("because") for text in texts)
    nobody = np.flatnonzero(np.diff(offsets) == 0)
    for user in nobody:
        assert not any(text.startswith("because") for text in np.array(texts)[pairs.user == user])
