"""Lists for a product's page: what shares visits, what is described alike, and the rule that fills what is left."""

from collections import Counter

import numpy as np
import pytest
from make_tables import DAY, ZERO, make_tables

from triad.tables import connect
from triad.tracking import product_pages
from triad.tracking.product_pages import FEWEST, SHRINK, Descriptions, described, filled, met, popular, visits
from triad.tracking.recommending import nearness

TABLES = make_tables()
EVERY = np.ones(30, bool)


@pytest.fixture(scope="module")
def session():
    with connect(TABLES) as session:
        yield session


@pytest.fixture(scope="module")
def seen(session):
    return visits(session, purchases=False)[0]


@pytest.fixture(scope="module")
def what(session) -> Descriptions:
    return Descriptions.of(session)


def pages(of) -> dict[int, list[int]]:
    assert of.rank.tolist() == [r + 1 for item in np.unique(of.item) for r in range((of.item == item).sum())]
    return {int(item): of.other[of.item == item].tolist() for item in np.unique(of.item)}


def days(*kinds: str) -> list[set[int]]:
    """The items of each customer's day, counted one by one."""
    found: dict[tuple, set[int]] = {}
    for event in TABLES["events"].to_pylist():
        if event["kind"] in kinds:
            found.setdefault((event["user_id"], event["occurred_at"].date()), set()).add(int(event["item_id"][1:]))
    return list(found.values())


def test_what_shares_visits_stands_first(seen) -> None:
    together, single = Counter(), Counter()
    for day in days("click", "cart", "purchase"):
        single.update(day)
        together.update((a, b) for a in day for b in day if a != b)
    score = {
        pair: both / np.sqrt(single[pair[0]] * single[pair[1]]) * both / (both + SHRINK)
        for pair, both in together.items()
        if both >= FEWEST
    }
    lists = met(seen, 5, EVERY)
    assert len(lists.item) > 50
    for item, other, rank, value, shared in zip(
        lists.item, lists.other, lists.rank, lists.score, lists.visits, strict=True
    ):
        np.testing.assert_allclose(value, score[item, other], rtol=1e-5)
        assert shared == together[item, other]
        better = [pair for pair, each in score.items() if pair[0] == item and each > value * (1 + 1e-5)]
        assert len(better) <= rank - 1
    assert pages(lists)


def test_purchases_alone_and_only_those_of_the_days_asked_for(session) -> None:
    bought, customers = visits(session, purchases=True)
    assert sorted(map(len, days("purchase"))) == sorted(np.diff(bought.indptr).tolist())
    assert len(customers) == bought.shape[0] and len(np.unique(customers)) == len(
        {e["user_id"] for e in TABLES["events"].to_pylist() if e["kind"] == "purchase"}
    )
    parts = [visits(session, purchases=True, days=(ZERO + a * DAY, ZERO + b * DAY))[0] for a, b in ((0, 9), (9, 99))]
    assert parts[0].sum() and parts[0].sum() + parts[1].sum() == bought.sum()
    none, _ = visits(session, purchases=False, days=(0, 1))
    assert none.shape == (0, 30) and len(met(none, 5, EVERY).item) == 0


def test_what_may_not_be_shown_is_in_no_list_and_no_item_is_its_own_neighbour(seen, what) -> None:
    may = EVERY.copy()
    may[[2, 3, 5]] = False
    for lists in (met(seen, 9, may), described(what, np.arange(30), 9, may), popular(what, seen, 9, may)):
        assert len(lists.item) and not np.isin(lists.other, [2, 3, 5]).any() and (lists.item != lists.other).all()
        pages(lists)


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("shown", [0.2, 0.8, 1.0])
def test_who_looks_in_narrow_groups_first_finds_the_nearest_of_the_broad_category(levels: int, shown: float) -> None:
    random = np.random.default_rng(levels)
    for count in (1, 3, 10):
        path = np.zeros((90, levels), int)
        path[:, 0] = random.integers(0, 4, 90)  # 0: of no category; and paths end anywhere
        for level in range(1, levels):
            goes_on = (path[:, level - 1] > 0) & (random.random(90) < 0.7)
            path[:, level] = np.where(goes_on, path[:, level - 1] * 5 + random.integers(0, 3, 90), 0)
        what = Descriptions(path, random.integers(0, 4, 90), random.integers(0, 9, (90, 3)))
        may, items = random.random(90) < shown, np.flatnonzero(random.random(90) < 0.7)
        wanted = {}
        for item in items.tolist():
            near = nearness(what, np.array([item]), np.arange(90)[None, :])[0]
            near[~may | (path[:, 0] != path[item, 0]) | (path[:, 0] == 0) | (np.arange(90) == item)] = 0
            best = np.argsort(-near, kind="stable")[:count]
            wanted[item] = best[near[best] > 0].tolist()
        assert pages(described(what, items, count, may)) == {item: best for item, best in wanted.items() if best}


def test_what_is_nearest_is_not_looked_for_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = []
    monkeypatch.setattr(product_pages, "nearness", lambda *asked: pairs.append(asked[2].size) or nearness(*asked))
    narrow = np.arange(1000) // 20 + 1  # fifty of twenty, all in one broad category
    what = Descriptions(np.stack([np.ones(1000, int), narrow], axis=1), np.zeros(1000, int), np.ones((1000, 1), int))
    described(what, np.arange(1000), 10, np.ones(1000, bool))
    assert sum(pairs) == 1000 * 20


def test_described_are_those_of_the_category_with_most_in_common() -> None:
    category = np.array([[1, 2], [1, 2], [1, 3], [1, 2], [4, 5], [0, 0]])
    what = Descriptions(category, np.array([7, 8, 7, 7, 7, 7]), np.zeros((6, 1), int))
    found = pages(described(what, np.arange(6), 2, np.ones(6, bool)))
    assert found[0] == [3, 1] and found[2] == [0, 3], "same shelf and brand, then same shelf, then same brand"
    assert 4 not in found and 5 not in found, "alone in its category, or in none that is known"


def test_a_path_is_read_level_by_level(what) -> None:
    paths = [row["category"] or "" for row in TABLES["items"].to_pylist()]
    assert what.category.shape == (30, 3) and what.tokens.shape[0] == 30
    for one in range(30):
        for other in range(30):
            for level in range(3):
                ours, theirs = (paths[item].split("/")[: level + 1] for item in (one, other))
                same = ours == theirs and len(ours) == level + 1 and ours != [""]
                assert (what.category[one, level] == what.category[other, level] != 0) == same


def test_lists_are_filled_without_repeats(seen, what) -> None:
    first, second = met(seen, 2, EVERY), popular(what, seen, 9, EVERY)
    both, ours, rule = pages(filled(first, second, 5)), pages(first), pages(second)
    for item, others in both.items():
        assert others == [*ours.get(item, []), *(o for o in rule.get(item, []) if o not in ours.get(item, []))][:5]
    assert set(both) == set(ours) | set(rule)
