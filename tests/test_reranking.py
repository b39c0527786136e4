"""Learned order of lists: which candidates, what is known of them and when, what is learned, and when it serves."""

from dataclasses import replace

import numpy as np
import pytest
from fusion_data import TASKS, make_vectors
from make_dataset import DAY, START, make_dataset

from triad.config.fuse import FuseParams
from triad.config.similarity import SimilarityParams
from triad.fusion import company
from triad.fusion.candidates import Candidates, Queries, Storefront, lists_of, propose
from triad.fusion.company import FADES, SHRINK, Company
from triad.fusion.contributions import of_order
from triad.fusion.fitting import fit_fusion
from triad.fusion.fused import Fused
from triad.fusion.leaning import PRIOR, Groups
from triad.fusion.reranker import Reranker, table
from triad.fusion.signals import ITSELF, LIKE, SHOP, UNTOLD, Reading, grounds, intervals, names, signals
from triad.fusion.steps import Steps
from triad.fusion.takings import Takings
from triad.members import pairs
from triad.members.chances import Dense
from triad.members.item_similarity import Similarity
from triad.members.listwise import Listwise
from triad.members.popularity import Popularity
from triad.ranking import ndcg

PARAMS = FuseParams(bootstrap=50, candidates=20, trees=(100,), network=(0.0,))


@pytest.fixture(scope="module")
def data():
    return make_dataset(150, 48, 0)


def tables(scores):
    return {name: Dense(values) for name, values in scores.items()}


def of_one_user(data, steps: list[tuple[float, int, int]]):
    """`data` with one user, whose interactions are (day, item, kind)."""
    day, item, kind = (np.array(column) for column in zip(*steps, strict=True))
    time = START + (day * DAY).astype(np.int64)
    streams = replace(
        data.streams,
        offsets=np.array([0, len(steps)]),
        item=item,
        kind=kind,
        time=time,
        split=np.zeros(len(steps), int),
    )
    return replace(data, streams=streams)


def test_takings_of_an_item_are_counted_up_to_the_day_before(data) -> None:
    takings = Takings.of(data)
    kind = data.meta.target_kind
    random = np.random.default_rng(0)
    item, moment = random.integers(48, size=300), START + random.integers(0, 31 * DAY, size=300)
    for over in (1, 7, 28):
        found = takings.taken(item, takings.day(moment), over)
        for i, m, count in zip(item, moment, found, strict=True):
            day = m // DAY
            inside = (data.streams.time // DAY < day) & (data.streams.time // DAY >= day - over)
            assert count == (inside & (data.streams.item == i) & (data.streams.kind == kind)).sum()


def test_what_came_of_late_is_a_candidate_though_no_member_names_it_and_nobody_took_it(data) -> None:
    day = np.full(48, -400)
    day[[3, 4, 5, 6]] = 9, 10, 23, 24  # to a list of day 24: too long ago, new, new, not there yet
    data = replace(data, items=replace(data.items, available_from=START + day * DAY))
    queries = Queries(np.array([0]), np.array([0]), np.array([START + 24 * DAY + DAY // 2]))
    chance = np.full((1, 48), 1e-9)
    chance[0, 40:] = 0.1
    takings = Takings.of(data)
    front, day = Storefront.of(data, takings), takings.day(queries.moment)
    assert set(front.newest(int(day[0]), 48)) == {4, 5}
    busy = set(front.busiest(int(day[0]), 8))
    found = propose(data, front, queries, tables({"one": chance}), each=8)[0].item
    assert set(found) == {*range(40, 48), *busy, 4, 5}
    few = front.newest(int(day[0]), 1)
    taken = takings.taken(np.array([4, 5]), np.repeat(day, 2), 7)
    assert few == [4 if taken[0] >= taken[1] else 5]


def test_candidates_are_the_best_of_each_member_the_own_and_what_sells(data) -> None:
    queries = lists_of(data, np.arange(5))
    random = np.random.default_rng(1)
    scores = {name: random.dirichlet(np.ones(48), 5) for name in ("one", "other")}
    front = Storefront.of(data, Takings.of(data))
    found, given = propose(data, front, queries, tables(scores), each=4)
    assert given["one"] == pytest.approx(scores["one"][found.query, found.item])
    for q in range(5):
        items = set(found.item[found.query == q].tolist())
        best = {int(i) for values in scores.values() for i in np.argsort(-values[q])[:4]}
        end = data.streams.offsets[queries.users[q]] + queries.history[q]
        mine = set(data.streams.item[max(end - 4, end - queries.history[q]) : end].tolist())
        busy = set(front.busiest(int(front.takings.day(queries.moment[q : q + 1])[0]), 4).tolist())
        assert items == best | mine | busy
    scores = {name: np.where(np.arange(48) == 7, 0.0, values) for name, values in scores.items()}
    assert 7 not in propose(data, front, queries, tables(scores), each=47)[0].item


def test_signals_are_those_of_the_moment(data) -> None:
    one = of_one_user(data, [(1, 5, 1), (1.1, 6, 3), (4, 5, 1), (9, 5, 3), (9.5, 8, 1)])
    queries = Queries(np.array([0]), np.array([4]), np.array([START + int(9.5 * DAY)]))
    candidates = Candidates(np.zeros(3, int), np.array([5, 6, 8]), 1)
    chance = np.array([0.01, 0.2, 0.01])
    found = signals(Reading.of(one), queries, candidates, {"m": chance})
    column = dict(zip(names(["m"]), found.T, strict=True))
    assert column["log_m"] == pytest.approx(np.log([0.01, 0.2, 0.01])) and column["place_m"].tolist() == [2, 1, 3]
    assert np.expm1(column["own_times"]) == pytest.approx([3, 1, 0])  # the fifth interaction is yet to come
    assert column["own_days_since"][:2] == pytest.approx([0.5, 8.4]) and np.isnan(column["own_days_since"][2])
    assert column["own_share_of_visits"] == pytest.approx([1, 1 / 3, 0])
    assert column["own_days_over_interval"][0] == pytest.approx(0.5 / 4)  # on days 1, 4 and 9
    assert column["own_last_kind"].tolist() == [3, 3, 0]
    assert column["own_fading_14d"][1] == pytest.approx(0.5 ** (8.4 / 14))
    assert column["user_days_since"] == pytest.approx([0.5] * 3) and column["user_items"].tolist() == [2] * 3
    category = np.asarray(data.items.category)[:, -1]
    own = np.array([5, 6, 5, 5])
    expected = [(category[own] == category[item]).mean() for item in (5, 6, 8)]
    assert column["own_share_of_category"] == pytest.approx(expected)
    assert column["own_visits_since"][:2].tolist() == [0, 2] and np.isnan(column["own_visits_since"][2])
    assert column["own_late_visits"].tolist() == [3, 1, 0]
    assert np.expm1(column["user_visits"]) == pytest.approx([3] * 3)
    assert column["user_visit_items"] == pytest.approx([4 / 3] * 3)
    assert column["user_new_share"] == pytest.approx([2 / 4] * 3)
    assert column["user_days_over_interval"] == pytest.approx([0.5 / 4] * 3)  # on days 1, 4 and 9
    assert column["best_place"].tolist() == [2, 1, 3]
    assert column["log_under_best"] == pytest.approx(np.log([0.05, 1, 0.05]))


def test_the_first_takings_of_users_are_counted_apart(data) -> None:
    kind = data.meta.target_kind
    one = of_one_user(data, [(1, 5, kind), (2, 6, 0), (3, 5, kind), (4, 6, kind)])
    takings = Takings.of(one)
    day = takings.day(np.full(2, START + 9 * DAY))
    assert takings.taken(np.array([5, 6]), day, 28).tolist() == [2, 1]
    assert Takings.of(one, firsts=True).taken(np.array([5, 6]), day, 28).tolist() == [1, 1]
    assert takings.grouped(np.zeros(48, int)).taken(np.array([0, 0]), day, 28).tolist() == [3, 3]


def test_takings_of_many_pairs_of_one_day_are_those_of_each(data) -> None:
    takings = Takings.of(data)
    for day in (0, 12, takings.days - 1):
        for over in (1, 28):
            found = takings.taken(np.arange(48), np.full(48, day), over)
            each = [takings.taken(np.array([item]), np.array([day]), over)[0] for item in range(48)]
            assert found.dtype == np.int64 and found.tolist() == each
    assert len(takings.kept) == 6, "all items were counted, once a day and span"


def test_what_is_kept_of_takings_follows_items_and_days_and_not_customers(data) -> None:
    streams, times = data.streams, 5
    offsets = np.r_[0, np.cumsum(np.tile(np.diff(streams.offsets), times))]
    of_each = {name: np.tile(getattr(streams, name), times) for name in ("item", "kind", "time", "split")}
    many = replace(data, streams=replace(streams, offsets=offsets, **of_each))
    item, day = np.arange(48), np.full(48, 20)
    for firsts in (False, True):
        few, all_of_them = Takings.of(data, firsts=firsts), Takings.of(many, firsts=firsts)
        np.testing.assert_array_equal(few.key, all_of_them.key)
        np.testing.assert_array_equal(times * few.taken(item, day, 28), all_of_them.taken(item, day, 28))


def test_a_log_that_is_read_in_pieces_is_read_as_the_whole(data, monkeypatch) -> None:
    week = int(data.streams.time.max()) // DAY // 7 + 1
    whole = Reading.of(data)
    near = whole.company.near(week)
    monkeypatch.setattr(pairs, "PAIRS", 40)
    pieces = Reading.of(data)
    assert len(list(pairs.whole_users(data))) > 20
    for name in ("takings", "firsts"):
        for part in ("key", "until"):
            np.testing.assert_array_equal(getattr(getattr(whole, name), part), getattr(getattr(pieces, name), part))
    np.testing.assert_array_equal(whole.interval, pieces.interval)
    assert (near != pieces.company.near(week)).nnz == 0 < near.nnz


def test_what_a_customer_leans_to_is_their_share_over_that_of_all(data) -> None:
    kind, category = data.meta.target_kind, np.asarray(data.items.category)[:, -1]
    item, other = 5, int(np.flatnonzero(category != category[5])[0])
    one = of_one_user(data, [(1, item, kind), (2, item, kind), (3, other, kind)])
    queries = Queries(np.array([0]), np.array([3]), np.array([START + 9 * DAY]))
    candidates = Candidates(np.zeros(1, int), np.array([item]), 1)
    shares, fits = Groups(one, Takings.of(one)).of(Steps(one, queries), queries, candidates)
    groups = int(category.max()) + 1
    usual = (2 + 1) / (3 + groups)
    assert shares[0] == pytest.approx(np.log(2.5 / 3))
    assert fits[0] == pytest.approx(np.log((2 + PRIOR * usual) / ((3 + PRIOR) * usual)))
    assert fits[2] == pytest.approx(np.log(2.5) + fits[0] + fits[1])


def test_company_is_that_of_visits_before_the_week(data) -> None:
    begin = (START // DAY // 7 + 1) * 7 - START // DAY  # days from the start to the next week
    early, late = begin + 1, begin + 8
    steps = [(early, 5, 1), (early + 0.1, 6, 1), (early + 1, 5, 1), (late, 5, 1), (late + 0.1, 7, 1)]
    one = of_one_user(data, steps)
    queries = Queries(np.array([0]), np.array([3]), np.array([START + int((late - 0.5) * DAY)]))
    candidates = Candidates(np.zeros(3, int), np.array([5, 6, 7]), 1)
    last, all_of_them = Company(one).of(Steps(one, queries), queries, candidates)
    near = 1 / (np.sqrt(2 * 1) + SHRINK)  # of two visits with 5, one with 6; that with 7 is yet to come
    assert last == pytest.approx([0, near, 0])
    ages = np.array([6.5, 5.5])  # 6 itself is company of 5
    assert all_of_them[1] == pytest.approx(near * np.exp2(-ages / FADES).sum())
    assert all_of_them[0] == pytest.approx(near * np.exp2(-6.4 / FADES)) and all_of_them[2] == 0


def test_of_much_company_the_nearest_is_kept(data, monkeypatch) -> None:
    week = int(data.streams.time.max()) // DAY // 7 + 1
    whole = Company(data).near(week).toarray()
    for most in (3, 12):
        monkeypatch.setattr(company, "NEIGHBOURS", most)
        kept = Company(data).near(week).toarray()
        assert (whole > 0).sum(axis=1).min() < 12 < (whole > 0).sum(axis=1).max()  # some rows are not cut, some are
        assert ((kept == whole) | (kept == 0)).all()
        assert np.array_equal(np.sort(kept)[:, -most:], np.sort(whole)[:, -most:])
        assert ((kept > 0).sum(axis=1) == np.minimum((whole > 0).sum(axis=1), most)).all()


def test_what_comes_later_changes_no_signal(data) -> None:
    rows = data.rows("fusion", "lists")
    queries = lists_of(data, rows)
    early = int(np.argmin(queries.moment))
    now, queries = int(queries.moment[early]), queries[np.array([early])]
    later = data.streams.time // DAY >= now // DAY  # what happened on the day itself is the user's own alone
    end = data.streams.offsets[queries.users[0]] + queries.history[0]
    later[data.streams.offsets[queries.users[0]] : end] = False
    other = replace(data, streams=replace(data.streams, item=np.where(later, 0, data.streams.item)))
    scores = {"m": np.random.default_rng(2).dirichlet(np.ones(48), 1)}
    found = []
    for each in (data, other):
        reading = Reading.of(each)
        found.append(table(reading, queries, tables(scores), 10)[1])
    np.testing.assert_array_equal(*found)


def test_the_usual_interval_of_an_item_is_the_median_of_its_users_and_of_train_alone(data) -> None:
    days = [0, 2, 5, 9, 14, 20, 40]
    one = of_one_user(data, [(day, 3, 1) for day in days] + [(41, 4, 1), (42, 4, 1)])
    assert intervals(one)[3] == np.median(np.diff(days)) and np.isnan(intervals(one)[4])
    late = replace(one, streams=replace(one.streams, split=np.full(9, 3)))
    assert np.isnan(intervals(late)).all()


@pytest.fixture(scope="module")
def members(data):
    return {
        "similarity": Similarity.fit(data, make_vectors(data), TASKS, SimilarityParams()),
        "popularity": Popularity.fit(data, TASKS, half_life_days=14),
    }


@pytest.fixture(scope="module")
def planted(data):
    """The lists' targets are what the user took longest ago: no member says so, the signals do."""
    lists, streams = data.lists, data.streams
    first = streams.item[streams.offsets[lists.user]]
    return data.replaced(lists=replace(lists, target=first, offsets=np.arange(len(first) + 1)))


def test_an_order_that_members_lack_is_learned_serves_and_is_kept(planted, members, tmp_path) -> None:
    tasks = {"next": TASKS["next"]}
    fused = fit_fusion(planted, members, tasks, PARAMS)
    record = fused.record["next"]["reranked"]
    assert record["serves"] and record["gain"]["low"] > 0.1 and record["trees"] == 100
    assert sum(record["shares"].values()) == pytest.approx(1)
    assert sum(share for name, share in record["shares"].items() if name.startswith("own_")) > 0.5
    rows = planted.rows("test", "lists")
    queries, ranker = lists_of(planted, rows), fused.ranker(planted)
    lists = ranker.rank(queries)
    alone = {name: of.table() for name, of in ranker.open(queries)(slice(None)).items()}
    assert lists.sum(axis=1) == pytest.approx(1) and (lists >= 0).all()
    target = np.asarray(planted.lists.target)[rows]
    worth = {
        name: ndcg(scores, np.arange(len(rows)), target, 10).mean()
        for name, scores in (alone | {"fused": lists}).items()
    }
    assert worth["fused"] > max(worth["similarity"], worth["popularity"]) + 0.1
    assert fused.needed(["next"]) == ["similarity", "popularity"]
    fused.save(tmp_path)
    np.testing.assert_array_equal(Fused.load(tmp_path).ranker(planted).rank(queries), lists)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".joblib")]


def test_lists_of_the_fusion_window_alone_are_enough_to_learn_of(planted, members) -> None:
    lists = planted.lists
    late = planted.replaced(lists=replace(lists, split=np.where(lists.split == 1, -1, lists.split)))
    fused = fit_fusion(late, members, {"next": TASKS["next"]}, PARAMS)
    assert fused.record["next"]["reranked"]["serves"]


def test_what_brought_an_item_among_the_first_sums_to_its_score(planted, members) -> None:
    fused = fit_fusion(planted, members, {"next": TASKS["next"]}, PARAMS)
    ranker, queries = fused.ranker(planted), lists_of(planted, planted.rows("test", "lists")[:1])
    chances = ranker.open(queries)(slice(None))
    told = {name: chances[name] for name in fused.reranker.members}
    candidates, columns = table(ranker.reading, queries, told, fused.reranker.each)
    scores = fused.reranker.scores(columns)
    others = np.setdiff1d(np.arange(48), candidates.item)
    parts = of_order(ranker, queries, chances, np.concatenate([candidates.item, others]))
    assert [sum(part.value for part in each) for each in parts[: len(scores)]] == pytest.approx(scores, abs=1e-6)
    assert not any(parts[len(scores) :]) and len(scores) > 10
    assert {part.name for each in parts for part in each} <= {
        "base",
        "own",
        "item",
        "customer",
        "fit",
        "members",
        *told,
    }


def test_of_several_forests_the_mean_counts(planted, members, tmp_path) -> None:
    tasks = {"next": TASKS["next"]}
    one, three = (
        fit_fusion(planted, members, tasks, PARAMS.model_copy(update={"fits": fits})).reranker for fits in (1, 3)
    )
    assert len(set(three.texts)) == 3 and len(one.texts) == 1
    assert sum(three.shares.values()) == pytest.approx(1) and three.shares != one.shares
    columns = np.random.default_rng(5).normal(size=(2000, len(three.columns))).astype(np.float32)
    alone = [replace(three, texts=(text,)) for text in three.texts]
    mean = np.mean([each.scores(columns) for each in alone], axis=0)
    assert three.scores(columns) == pytest.approx(mean) and three.scores(columns[:9]) == pytest.approx(mean[:9])
    half, whole = three.scores_by(columns, [(50, 0.0), (100, 0.0)])
    assert whole == pytest.approx(mean)
    assert half == pytest.approx(np.mean([each.scores_by(columns, [(50, 0.0)])[0] for each in alone], axis=0))
    assert three.contributions(columns[:9]).sum(axis=1) == pytest.approx(mean[:9])
    three.save(tmp_path)
    np.testing.assert_array_equal(type(three).load(tmp_path).scores(columns), three.scores(columns))


def test_a_network_beside_the_trees_serves_is_kept_and_says_what_it_rests_on(planted, members, tmp_path) -> None:
    params = PARAMS.model_copy(update={"network": (0.25,)})
    fused = fit_fusion(planted, members, {"next": TASKS["next"]}, params)
    record, both = fused.record["next"]["reranked"], fused.reranker
    assert record["serves"] and record["network"] == both.weight == 0.25
    columns = np.random.default_rng(5).normal(size=(3000, len(both.columns))).astype(np.float32)
    columns[::7, 3] = np.nan
    trees, network = replace(both, network=None).scores(columns), both.network.scores(columns)
    assert both.scores(columns) == pytest.approx(0.75 * trees + 0.25 * network)
    few, none = both.scores_by(columns, [(50, 0.25), (100, 0.0)])
    assert none == pytest.approx(trees) and np.corrcoef(few, network)[0, 1] > 0.5
    assert both.contributions(columns[:99]).sum(axis=1) == pytest.approx(both.scores(columns[:99]), abs=1e-4)
    both.save(tmp_path)
    np.testing.assert_array_equal(type(both).load(tmp_path).scores(columns), both.scores(columns))


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_what_carries_an_item_is_what_moves_its_score_most(weight: float) -> None:
    members = ("pretrain", "popularity")
    of, told = names(members), grounds(members)
    assert told[of.index("log_pretrain")] == told[of.index("leaning")] == LIKE
    assert told[of.index("place_popularity")] == told[of.index("item_trend")] == SHOP
    assert told[of.index("own_times")] == ITSELF and told[of.index("user_visits")] == told[of.index("places")] == UNTOLD
    read = [of.index(name) for name in ("own_times", "log_pretrain", "item_times_7d", "user_visits")]
    random, lists, each = np.random.default_rng(0), 600, 10
    columns = np.zeros((lists * each, len(of)), np.float32)
    columns[:, read] = random.normal(size=(lists * each, 4))
    high = columns[:, read[:3]].sum(axis=1).reshape(lists, each)
    taken = (high == high.max(axis=1, keepdims=True)).ravel()
    sizes = np.full(lists, each)
    learned = Reranker.fit((columns, taken.astype(np.int32), sizes), members, 10, seed=1, num_iterations=100)
    if weight:
        network = Listwise.fit(columns, taken, np.arange(lists + 1) * each, np.arange(lists), 1)
        learned = replace(learned, network=network, weight=weight)
    for place, ground in zip(read, (ITSELF, LIKE, SHOP), strict=False):
        clear = np.zeros((50, len(of)), np.float32)
        clear[:, read[3]], clear[:, place] = 3, 2
        assert (learned.grounds(clear) == ground).all()
    assert (learned.grounds(np.tile(clear, (40, 1))) == SHOP).all()


def lesson_of(seed: int, lists: int = 400, each: int = 20):
    """Of each list the candidate is taken whose first two columns sum highest; the third is unknown."""
    columns = np.random.default_rng(seed).normal(size=(lists * each, 4)).astype(np.float32)
    columns[::3, 3], columns[:, 2] = np.nan, np.nan
    high = (columns[:, 0] + columns[:, 1]).reshape(lists, each)
    taken = (high == high.max(axis=1, keepdims=True)).ravel()
    return columns, taken, np.arange(lists + 1) * each, np.arange(lists)


def test_a_network_learns_an_order_of_two_columns_together_the_same_each_time() -> None:
    columns, taken, start, lists = lesson_of(1)
    learned, again = (Listwise.fit(columns, taken, start, lists, 3) for _ in range(2))
    later, hit, *_ = lesson_of(2)
    scores = learned.scores(later)
    np.testing.assert_array_equal(again.scores(later), scores)
    assert hit.reshape(-1, 20)[np.arange(400), scores.reshape(-1, 20).argmax(axis=1)].mean() > 0.5  # by chance 0.05
    shares = np.abs(learned.contributions(later)[:, :-1]).mean(axis=0)
    assert shares[2] == 0 and shares[:2].min() > 2 * shares[3]
    other = Listwise.fit(columns, taken, start, lists[:200], 3)  # what it is not told to learn of plays no part
    is_told = np.arange(len(columns)) < start[200]
    spoilt = np.where(is_told[:, None], columns, 7 * columns + 1), np.where(is_told, taken, ~taken)
    np.testing.assert_array_equal(Listwise.fit(*spoilt, start, lists[:200], 3).scores(later), other.scores(later))


def test_candidates_come_first_and_the_others_keep_their_order(planted, members) -> None:
    fused = fit_fusion(planted, members, {"next": TASKS["next"]}, replace_candidates(5))
    queries = lists_of(planted, planted.rows("test", "lists")[:40])
    ranker = fused.ranker(planted)
    lists, base = ranker.rank(queries), replace(ranker, reranker=None).rank(queries)
    reading = Reading.of(planted)
    candidates, _ = propose(planted, reading.front, queries, ranker.open(queries)(slice(None)), 5)
    for q, (found, before) in enumerate(zip(lists, base, strict=True)):
        mine = np.isin(np.arange(48), candidates.item[candidates.query == q])
        assert found[mine].min() > found[~mine].max()
        np.testing.assert_array_equal(np.argsort(found[~mine]), np.argsort(before[~mine]))
    exact, near = (
        each.first(queries, each.open(queries, each.needed)(slice(None)))
        for each in (ranker, fused.ranker(planted, index=True))  # of so few items the index finds all
    )
    np.testing.assert_array_equal(near.candidates.query, exact.candidates.query)
    np.testing.assert_array_equal(near.candidates.item, exact.candidates.item)
    assert near.among == pytest.approx(exact.among, rel=1e-4)


def replace_candidates(each: int) -> FuseParams:
    return PARAMS.model_copy(update={"candidates": each})


def test_an_order_that_cannot_be_learned_does_not_serve(data, members) -> None:
    target = np.random.default_rng(3).integers(48, size=len(data.lists.user))
    noise = data.replaced(lists=replace(data.lists, target=target, offsets=np.arange(len(target) + 1)))
    fused = fit_fusion(noise, members, {"next": TASKS["next"]}, PARAMS)
    assert not fused.record["next"]["reranked"]["serves"] and fused.reranker is None
    assert sum(fused.weights["next"].values()) == pytest.approx(1)


def test_nobody_is_judged_by_trees_that_saw_them(planted, members) -> None:
    """Users whose own lists alone say what they take next gain nothing by them."""
    random = np.random.default_rng(4)
    secret = random.integers(48, size=len(planted.users.user_id))[planted.lists.user]  # a user's, the same in all lists
    lists = replace(planted.lists, target=secret, offsets=np.arange(len(secret) + 1))
    fused = fit_fusion(planted.replaced(lists=lists), members, {"next": TASKS["next"]}, PARAMS)
    assert not fused.record["next"]["reranked"]["serves"]
