"""The simulated shop: the same days for the same seed, a funnel without gaps, a truth that its outcomes bear out."""

import hashlib
from collections.abc import Mapping
from datetime import date, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.metrics import roc_auc_score

from triad.config.ingest import IngestParams, SimulatedParams
from triad.errors import TriadError
from triad.schema import TABLES
from triad.sources.simulated import Shop, simulate
from triad.sources.simulated.chance import OPENING
from triad.sources.simulated.messages import INTENTS, REPLIES
from triad.sources.simulated.people import SEGMENTS
from triad.sources.simulated.trends import PEAK, life
from triad.sources.simulated.wanted import OTHER_WORDS, WRONG
from triad.tables import conform
from triad.tasks.reply import code
from triad.text.masking import masked

AS_OF = date(2026, 3, 1)
Tables = Mapping[str, pa.Table]


def shop(as_of: date = AS_OF, days: int = 56, size: str = "tiny", seed: int = 1, trends: float = 1) -> Shop:
    of = SimulatedParams.model_validate({"size": size, "seed": seed, "trends": trends})
    return simulate(IngestParams(as_of=as_of, window_days=days, simulated=of))


def ask(tables: Tables, query: str) -> dict[str, np.ndarray]:
    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'; SET threads = 2")
        for name, data in tables.items():
            session.register(name, data)
        return session.sql(query).fetchnumpy()


@pytest.fixture(scope="module")
def tiny() -> tuple[Tables, Tables]:
    return shop().whole()


@pytest.fixture(scope="module")
def small() -> tuple[Tables, Tables]:
    return shop(size="small").whole()


@pytest.fixture(scope="module")
def still() -> tuple[Tables, Tables]:
    """`small` without trends."""
    return shop(size="small", trends=0).whole()


@pytest.fixture(scope="module")
def outcomes(small: tuple[Tables, Tables]) -> dict[str, np.ndarray]:
    """Each impression of `small` with what became of it, as labels are made: same visit, same product."""
    return ask(
        {"events": small[0]["events"], "exposures": small[1]["exposures"]},
        """
        WITH reached AS (
            SELECT session_id, user_id, item_id, count(*) FILTER (kind = 'impression') AS impressions,
                bool_or(kind = 'click') AS clicked, bool_or(kind = 'cart') AS carted,
                bool_or(kind = 'purchase') AS purchased
            FROM events GROUP BY ALL
        )
        SELECT impressions, clicked, carted, purchased, p_click, p_cart, p_purchase, position, surface
        FROM events JOIN reached USING (session_id, user_id, item_id) JOIN exposures USING (event_id)
        WHERE kind = 'impression' ORDER BY event_id
        """,
    )


def between(tables: Tables, name: str, first: date, end: date) -> pa.Table:
    """Rows of the days [first, end), in the order they were made."""
    column = tables[name]["occurred_at" if name == "events" else "day"].cast(pa.date32())
    return tables[name].filter(pc.and_(pc.greater_equal(column, pa.scalar(first)), pc.less(column, pa.scalar(end))))


def test_the_same_seed_gives_the_same_shop(tiny: tuple[Tables, Tables]) -> None:
    tables, oracle = shop().whole()
    assert all(tables[name].equals(data) for name, data in tiny[0].items())
    assert all(oracle[name].equals(data) for name, data in tiny[1].items())


def test_another_seed_gives_another_shop(tiny: tuple[Tables, Tables]) -> None:
    assert not shop(seed=2).whole()[0]["events"].equals(tiny[0]["events"])


@pytest.mark.parametrize("days", [57, 56], ids=["window grows", "window slides"])
def test_tomorrow_gives_the_same_days_and_one_more(tiny: tuple[Tables, Tables], days: int) -> None:
    tomorrow, truth = shop(AS_OF + timedelta(days=1), days).whole()
    start = AS_OF + timedelta(days=1 - days)
    overlap = max(start, AS_OF - timedelta(days=56))
    for name in ("events", "prices"):
        assert between(tomorrow, name, overlap, AS_OF).equals(between(tiny[0], name, overlap, AS_OF))
        assert between(tomorrow, name, AS_OF, AS_OF + timedelta(days=1)).num_rows > 0
    shared = truth["exposures"].num_rows - tiny[1]["exposures"].num_rows
    assert days == 56 or truth["exposures"].slice(0, len(tiny[1]["exposures"])).equals(tiny[1]["exposures"])
    assert days == 56 or shared > 0
    for name, key in (("users", "user_id"), ("items", "item_id")):
        known = ask({"a": tiny[0][name], "b": tomorrow[name]}, f"SELECT count(*) AS n FROM a JOIN b USING ({key})")[
            "n"
        ][0]
        same = ask({"a": tiny[0][name], "b": tomorrow[name]}, "SELECT count(*) AS n FROM (FROM a INTERSECT FROM b)")[
            "n"
        ][0]
        assert same == known
        assert days == 56 or known == tiny[0][name].num_rows


def test_tables_fit_the_contract(tiny: tuple[Tables, Tables]) -> None:
    assert set(tiny[0]) == set(TABLES)
    for name, data in tiny[0].items():
        held = conform(name, data)
        for column in TABLES[name].columns:
            assert column.nullable or held[column.name].null_count == 0, f"{name}.{column.name}"
        key = held.select(list(TABLES[name].key))
        assert key.group_by(key.column_names).aggregate([]).num_rows == held.num_rows
    events = tiny[0]["events"]
    searched = pc.equal(events["surface"], "search")
    assert pc.is_valid(events["query"]).equals(searched)
    assert all(
        events[name].null_count == 0 for name in ("session_id", "position", "surface", "price_cents", "quantity")
    )


def test_references_hold_and_nothing_happens_before_its_time(tiny: tuple[Tables, Tables]) -> None:
    found = ask(
        tiny[0],
        """
        SELECT count(*) AS events, count(u.user_id) AS users, count(i.item_id) AS items, count(p.price_cents) AS prices,
            count(*) FILTER (u.signed_up_at >= e.occurred_at) AS early_users,
            count(*) FILTER (i.available_from > e.occurred_at) AS early_items,
            count(*) FILTER (p.price_cents != e.price_cents) AS other_prices
        FROM events e LEFT JOIN users u USING (user_id) LEFT JOIN items i USING (item_id)
            LEFT JOIN prices p ON p.item_id = e.item_id AND p.day = e.occurred_at::DATE
        """,
    )
    assert found["users"][0] == found["items"][0] == found["prices"][0] == found["events"][0]
    assert found["early_users"][0] == found["early_items"][0] == found["other_prices"][0] == 0


def test_each_step_has_the_one_before_it(small: tuple[Tables, Tables]) -> None:
    found = ask(
        small[0],
        """
        WITH steps AS (
            SELECT session_id, user_id, item_id, count(*) AS n, count(DISTINCT kind) AS kinds,
                min(occurred_at) FILTER (kind = 'impression') AS shown,
                min(occurred_at) FILTER (kind = 'click') AS clicked,
                min(occurred_at) FILTER (kind = 'cart') AS carted,
                min(occurred_at) FILTER (kind = 'purchase') AS bought,
                min(occurred_at)::DATE AS first_day, max(occurred_at)::DATE AS last_day
            FROM events GROUP BY ALL
        )
        SELECT count(*) FILTER (n != kinds) AS repeated,
            count(*) FILTER (shown IS NULL OR (carted IS NOT NULL AND clicked IS NULL)
                OR (bought IS NOT NULL AND carted IS NULL)) AS orphans,
            count(*) FILTER (clicked <= shown OR carted <= clicked OR bought <= carted) AS disordered,
            count(*) FILTER (first_day != last_day) AS late, count(bought) AS bought
        FROM steps
        """,
    )
    assert found["bought"][0] > 4_000
    assert [int(found[name][0]) for name in ("repeated", "orphans", "disordered", "late")] == [0, 0, 0, 0]


def test_a_visit_is_one_customer_on_one_surface_in_page_order(tiny: tuple[Tables, Tables]) -> None:
    found = ask(
        tiny[0],
        """
        SELECT count(DISTINCT user_id) AS users, count(DISTINCT surface) AS surfaces, max(position) AS deepest,
            count(*) AS shown, list(position ORDER BY occurred_at) = range(1, count(*) + 1) AS in_order
        FROM events WHERE kind = 'impression' GROUP BY session_id
        """,
    )
    assert (found["users"] == 1).all()
    assert (found["surfaces"] == 1).all()
    assert (found["deepest"] == found["shown"]).all()
    assert found["in_order"].all()


@pytest.mark.parametrize(
    ("label", "chance"), [("clicked", "p_click"), ("carted", "p_cart"), ("purchased", "p_purchase")]
)
def test_true_probabilities_are_borne_out_in_every_tenth(
    outcomes: dict[str, np.ndarray], label: str, chance: str
) -> None:
    happened, chances = outcomes[label].astype(float), outcomes[chance]
    for rows in np.array_split(np.argsort(chances, kind="stable"), 10):
        deviation = happened[rows].sum() - chances[rows].sum()
        assert abs(deviation) < 4 * np.sqrt((chances[rows] * (1 - chances[rows])).sum())


def test_the_shop_is_neither_obvious_nor_noise(outcomes: dict[str, np.ndarray]) -> None:
    assert 0.10 < outcomes["clicked"].mean() < 0.14
    assert 0.13 < outcomes["purchased"].sum() / outcomes["clicked"].sum() < 0.20
    assert 0.72 < roc_auc_score(outcomes["clicked"], outcomes["p_click"]) < 0.78
    assert 0.80 < roc_auc_score(outcomes["purchased"], outcomes["p_purchase"]) < 0.86


def test_higher_places_and_searches_draw_more_clicks(outcomes: dict[str, np.ndarray]) -> None:
    rates = [outcomes["clicked"][outcomes["position"] == place].mean() for place in (1, 3, 9)]
    assert rates[0] > 1.25 * rates[1] > 1.25**2 * rates[2]
    by_surface = {
        name: outcomes["clicked"][outcomes["surface"] == name].mean() for name in ("home", "search", "category")
    }
    assert by_surface["search"] > 1.2 * by_surface["home"]


def test_prices_move_and_their_truth_beats_no_change(small: tuple[Tables, Tables]) -> None:
    moves = ask(
        {"prices": small[0]["prices"], "truth": small[1]["prices"]},
        """
        SELECT ln(b.price_cents / a.price_cents) AS move, price_move_7d AS expected
        FROM prices a JOIN prices b ON a.item_id = b.item_id AND b.day = a.day + 7
            JOIN truth t ON t.item_id = a.item_id AND t.day = a.day
        """,
    )
    error, no_change = np.abs(moves["move"] - moves["expected"]).mean(), np.abs(moves["move"]).mean()
    assert no_change > 0.05
    assert error < 0.75 * no_change
    assert 0.45 < (moves["move"] > moves["expected"]).mean() < 0.55
    promoted = ask(small[0], "SELECT avg(is_promoted::INT) AS share FROM prices")["share"][0]
    assert 0.05 < promoted < 0.25


def test_segments_can_be_told_from_tastes_but_not_always(small: tuple[Tables, Tables]) -> None:
    users = small[1]["users"]
    chances = np.column_stack([users[f"p_{name}"].to_numpy() for name in SEGMENTS])
    right = np.array(SEGMENTS)[chances.argmax(axis=1)] == users["segment"].to_numpy(zero_copy_only=False)
    assert np.allclose(chances.sum(axis=1), 1)
    assert 0.8 < right.mean() < 0.93
    assert abs(chances.max(axis=1).mean() - right.mean()) < 0.02
    declared = small[0]["users"]["segment"]
    assert 0.55 < 1 - declared.null_count / len(declared) < 0.65
    agrees = pc.equal(declared, users["segment"])
    assert pc.all(agrees).as_py()


def test_the_ranking_truth_beats_popularity(small: tuple[Tables, Tables]) -> None:
    users, items = small[1]["users"], small[1]["items"]
    clicks = ask(
        small[0],
        "SELECT user_id, item_id FROM events WHERE kind = 'click' AND occurred_at >= '2026-02-26' ORDER BY ALL",
    )
    rows = {name: row for row, name in enumerate(users["user_id"].to_pylist())}
    places = {name: place for place, name in enumerate(items["item_id"].to_pylist())}
    user = np.array([rows[name] for name in clicks["user_id"]])
    item = np.array([places[name] for name in clicks["item_id"]])
    scores = (
        np.array(users["vector"].to_pylist())[user] @ np.array(items["vector"].to_pylist()).T + items["bias"].to_numpy()
    )
    counts = np.bincount(item, minlength=len(places))  # popularity that even knows the clicks it is asked for
    hits = [
        (s > s[np.arange(len(s)), item][:, None]).sum(axis=1) < 10 for s in (scores, np.tile(counts, (len(item), 1)))
    ]
    assert hits[0].mean() > 1.5 * hits[1].mean()


def test_newcomers_and_new_products_keep_coming(small: tuple[Tables, Tables]) -> None:
    joined = ask(
        small[0],
        """
        SELECT (SELECT count(DISTINCT signed_up_at::DATE) FROM users WHERE signed_up_at >= '2026-01-04') AS user_days,
            (SELECT count(DISTINCT available_from::DATE) FROM items WHERE available_from >= '2026-01-04') AS item_days,
            (SELECT count(*) FROM users u WHERE signed_up_at >= '2026-01-04'
                AND u.user_id NOT IN (SELECT user_id FROM events)) AS silent,
            (SELECT count(*) FROM items
                WHERE item_id NOT IN (SELECT item_id FROM prices WHERE day = '2026-02-28')) AS gone
        """,
    )
    assert joined["user_days"][0] == 56
    assert joined["item_days"][0] > 40
    assert joined["silent"][0] == 0
    assert joined["gone"][0] > 20


def test_without_trends_the_shop_is_the_one_that_it_was_before_there_were_any() -> None:
    events = shop(trends=0).whole()[0]["events"]
    rows = zip(*(events[name].to_pylist() for name in ("user_id", "item_id", "kind")), strict=True)
    made = hashlib.sha256("\n".join(map("".join, rows)).encode()).hexdigest()
    assert made == "0880db0df1c11c9d760d5f4a77391551618ccc896b71c6198bd10f83e3dfe95e"


def test_without_trends_products_and_customers_are_one_every_day() -> None:
    world = shop(days=2, trends=0).world
    assert world.on(OPENING).goods is world.on(OPENING + 400).goods
    assert world.on(OPENING).people is world.on(OPENING + 400).people


def test_a_product_rises_after_its_launch_and_fades() -> None:
    ages = np.arange(-5, 200)
    assert (life(ages[ages <= 0]) == 0).all()
    assert ages[life(ages).argmax()] == PEAK and life(np.array([PEAK])) == 1
    assert (np.diff(life(ages[ages >= PEAK])) < 0).all() and life(np.array([180.0])) < 0.001


def test_trends_move_what_is_sought_and_leave_who_customers_are() -> None:
    world = shop(days=2, size="small").world
    days = [world.on(world.prices.first - back) for back in (0, 7, 60)]
    near, far = (np.corrcoef(days[0].goods.quality, then.goods.quality)[0, 1] for then in days[1:])
    assert 1 > near > 0.93 and near > far + 0.1
    for then in days:
        assert np.allclose(then.people.interest.sum(axis=1), 1)
        assert np.allclose(then.people.broad_interest.sum(axis=1), 1)
        assert then.people.latent is world.people.latent and then.goods.words is world.goods.words
    assert not np.allclose(days[0].people.interest, days[2].people.interest, rtol=0.2)


def best_old_and_fresh(tables: Tables) -> list[float]:
    """Share of the last nine days' clicks on the 50 products that had most in the first 30 days, and in all before."""
    counts = ask(
        tables,
        """
        SELECT count(*) FILTER (occurred_at < '2026-02-03') AS old,
            count(*) FILTER (occurred_at < '2026-02-20') AS fresh, count(*) FILTER (occurred_at >= '2026-02-20') AS late
        FROM events WHERE kind = 'click' GROUP BY item_id ORDER BY item_id
        """,
    )
    best = [np.argsort(-counts[name], kind="stable")[:50] for name in ("old", "fresh")]
    return [counts["late"][places].sum() / counts["late"].sum() for places in best]


def test_with_trends_who_knows_only_the_first_days_loses(
    small: tuple[Tables, Tables], still: tuple[Tables, Tables]
) -> None:
    old, fresh = best_old_and_fresh(small[0])
    assert fresh > 1.15 * old
    old, fresh = best_old_and_fresh(still[0])
    assert fresh < 1.08 * old


def test_new_products_are_shown_and_bought_as_others_are(small: tuple[Tables, Tables]) -> None:
    found = ask(
        small[0],
        """
        WITH seen AS (SELECT item_id, min(occurred_at) AS first FROM events GROUP BY ALL)
        SELECT kind, avg((first >= '2026-02-03')::INT) AS share FROM events JOIN seen USING (item_id)
        WHERE occurred_at >= '2026-02-20' GROUP BY kind
        UNION ALL
        SELECT 'shelf', avg((coalesce(first, '2026-02-28'::TIMESTAMPTZ) >= '2026-02-03')::INT)
        FROM prices LEFT JOIN seen USING (item_id) WHERE day = '2026-02-28'
        """,
    )
    share = dict(zip(found["kind"], found["share"], strict=True))
    assert 0.03 < share["shelf"] < 0.1
    assert all(share["shelf"] < share[kind] < 2 * share["shelf"] for kind in ("impression", "click", "purchase"))


@pytest.mark.parametrize(
    ("size", "bounds"),
    [
        ("tiny", {"users": (250, 400), "items": (120, 170), "exposures": (18_000, 32_000)}),
        ("small", {"users": (2_700, 3_700), "items": (900, 1_100), "exposures": (260_000, 340_000)}),
    ],
)
def test_sizes(size: str, bounds: dict[str, tuple[int, int]], request: pytest.FixtureRequest) -> None:
    tables, oracle = request.getfixturevalue(size)
    for name, (least, most) in bounds.items():
        assert least < len({**oracle, **tables}[name]) < most, name


@pytest.mark.proof
def test_a_large_shop_is_some_twenty_times_a_small_one() -> None:
    one = next(shop(days=2, size="large").days())
    other = next(shop(days=2, size="small").days())
    assert 15 < len(one.events) / len(other.events) < 25


def test_searches_are_graded_by_what_was_asked(tiny: tuple[Tables, Tables]) -> None:
    graded = ask(tiny[0], "SELECT query, relevance, category FROM searches JOIN items USING (item_id)")
    assert set(graded["relevance"]) == {0, 1, 2, 3}
    texts = [*OTHER_WORDS["lamp"], "lamp"]
    lamps = np.array([query in texts for query in graded["query"]])
    assert set(graded["category"][lamps & (graded["relevance"] >= 2)]) <= {"home/lighting"}
    truth = ask(
        {**tiny[0], "truth": tiny[1]["searches"]},
        """
        SELECT abs(t.relevance - s.relevance) AS off FROM searches s JOIN truth t USING (query, item_id)""",
    )["off"]
    assert len(truth) == len(graded["query"]) and truth.max() == 1 and 0 < truth.mean() < WRONG


def test_what_is_searched_for_is_put_in_other_words_than_the_catalogue_s(tiny: tuple[Tables, Tables]) -> None:
    said = " ".join(text.lower() for name in ("title", "description") for text in tiny[0]["items"][name].to_pylist())
    other = {word for words in OTHER_WORDS.values() for word in words}
    assert sum(f" {word} " in f" {said} " for word in other) < 0.1 * len(other)  # a bag, of a rucksack and of the gym
    queries = set(tiny[0]["searches"]["query"].to_pylist())
    assert 0.2 < np.mean([any(word in query for word in other) for query in queries]) < 0.9


def test_messages_have_intents_and_mostly_replies(small: tuple[Tables, Tables]) -> None:
    talk = small[0]["conversations"]
    said = [text for name in ("message", "reply") for text in talk[name].drop_null().to_pylist()]
    assert len(set(talk["intent"].to_pylist())) == 7
    assert 0.7 < 1 - talk["reply"].null_count / len(talk) < 0.9
    assert not [text for text in said if set("{}[]|") & set(text)]
    assert len(set(talk["message"].to_pylist())) > 0.9 * len(talk)


def test_the_truth_of_messages_is_far_above_the_commonest_intent(small: tuple[Tables, Tables]) -> None:
    tables, oracle = small
    talk, truth = tables["conversations"], oracle["messages"]
    assert talk["message_id"].equals(truth["message_id"])
    for names, said in ((INTENTS, talk["intent"].to_pylist()), (REPLIES, talk["reply"].to_pylist())):
        chances = np.stack([truth[f"p_{name}"].to_numpy() for name in names], axis=1)
        np.testing.assert_allclose(chances.sum(axis=1), 1)
        codes = said if names is INTENTS else [text and code(masked(text)) for text in said]
        named = np.array([names.index(each) if each in names else 0 for each in codes])
        answered = np.array([each is not None for each in codes])
        right = (chances.argmax(axis=1) == named)[answered].mean()
        assert 0.8 < right < 0.97 and right > 0.5 + np.bincount(named[answered]).max() / answered.sum()


def test_texts_read_like_texts(tiny: tuple[Tables, Tables]) -> None:
    items = tiny[0]["items"]
    for title, description, brand in zip(
        *(items[name].to_pylist() for name in ("title", "description", "brand")), strict=True
    ):
        assert brand in title
        assert title[0].isupper()
        assert description.endswith(".")
        assert "{" not in title + description
    assert len(set(items["title"].to_pylist())) > 0.9 * len(items)


def test_a_window_before_the_opening_is_refused() -> None:
    with pytest.raises(TriadError, match="the simulated shop opened on 2025-01-01") as raised:
        shop(date(2025, 2, 1), 56)
    assert "ingest.as_of" in raised.value.where
    assert shop(date(2025, 2, 1), 31).first == shop(date(2025, 1, 5), 4).first
