"""How demand moves with price, and the best price within bounds: against known truths, and with too little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from triad.advice.best import advise
from triad.advice.commands import advise as command
from triad.advice.elasticity import WHOLE, Elasticity, elasticities
from triad.advice.panel import Panel, read
from triad.advice.sheet import Advisor
from triad.advice.wish import Wish
from triad.artifacts import write_json
from triad.config.ingest import IngestParams
from triad.errors import TriadError
from triad.evaluation.elasticities import true_elasticities
from triad.sources.simulated import simulate
from triad.sources.simulated.funnel import elasticity as elasticity_of
from triad.sources.simulated.funnel import odds
from triad.sources.simulated.pages import shown_on
from triad.statistics.poisson import slopes
from triad.statistics.shrinkage import drawn
from triad.tables import connect, write_table

TRUE = {"a": -2.5, "b": -0.5}
DEAR = Wish(aim="margin", cost=0.7)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def panel_of(seed: int, items: int = 60, days: int = 60, spread: float = 0.12) -> Panel:
    """Of two categories of known elasticity, whose products and days differ by far more than prices do."""
    random = np.random.default_rng(seed)
    item, period = np.repeat(np.arange(items), days), np.tile(np.arange(days), items)
    category = np.array(["a", "b"])[np.arange(items) % 2]
    log_price = random.normal(7, 1, items)[item] + spread * random.normal(size=items * days)
    promoted = (random.random(items * days) < 0.1).astype(float)
    slope = np.array([TRUE[name] for name in category])[item]
    level = random.normal(0, 1, items)[item] + 0.5 * random.normal(size=days)[period]
    moved = log_price - np.bincount(item, log_price)[item] / days
    units = random.poisson(np.exp(level + slope * moved + 0.7 * promoted)).astype(float)
    ids = [f"i{number:03}" for number in range(items)]
    cents = np.rint(np.exp(np.bincount(item, log_price) / days))
    return Panel(item, period, log_price, promoted, units, 1, ids, ids, category.tolist(), cents)


def test_slopes_are_those_of_the_counts_however_products_and_days_differ() -> None:
    found, half = [], []
    for seed in range(8):
        panel = panel_of(seed)
        columns = np.column_stack([panel.log_price * (panel.item % 2 == part) for part in (0, 1)] + [panel.promoted])
        slope, variance = slopes(panel.units, columns, (panel.item, panel.period), panel.item)
        found.append(slope)
        half.append(1.96 * np.sqrt(np.diag(variance)))
    truth, held = np.array([-2.5, -0.5, 0.7]), np.abs(np.array(found) - [-2.5, -0.5, 0.7]) < np.array(half)
    np.testing.assert_allclose(np.mean(found, axis=0), truth, atol=0.1)
    assert held.mean() > 0.8 and np.max(half) < 0.5


def test_a_column_that_does_not_move_and_products_never_sold_tell_nothing() -> None:
    panel = panel_of(1)
    columns = np.column_stack([panel.log_price, np.full(len(panel.item), 3.0), panel.item.astype(float)])
    slope, variance = slopes(panel.units, columns, (panel.item, panel.period), panel.item)
    assert np.isfinite(slope[0]) and np.isnan(slope[1:]).all() and np.isnan(variance[1]).all()
    assert np.isnan(slopes(np.zeros(len(panel.item)), columns, (panel.item,), panel.item)[0]).all()


def test_noisy_groups_are_drawn_to_the_whole_and_sure_ones_are_not() -> None:
    estimate, noise = np.array([-3.0, -1.0, -0.9, -1.1, np.nan]), np.array([2.0, 0.1, 0.1, 0.1, np.nan])
    found = drawn(estimate, noise)
    assert found is not None and abs(found.mean[0] + 1) < 0.1 and abs(found.mean[2] + 1) < 0.1
    assert found.mean[4] == pytest.approx(found.whole) and found.deviation[4] >= found.deviation[1]
    apart = drawn(np.array([-3.0, -1.0]), np.array([0.05, 0.05]))
    assert apart is not None and apart.between > 1 and abs(apart.mean[0] + 3) < 0.05
    assert drawn(np.array([np.nan]), np.array([np.nan])) is None


def test_categories_have_elasticities_of_their_own_within_their_intervals() -> None:
    known = elasticities(panel_of(3))
    for name, truth in TRUE.items():
        low, high = known[name].interval(0.99)
        assert low < truth < high and known[name].products == 30
    assert known[WHOLE].deviation > known["a"].deviation
    with pytest.raises(TriadError, match="no price moved"):
        elasticities(panel_of(3, spread=0.0))


@pytest.mark.parametrize(("moved", "still"), [(1, 0), (2, 0), (4, 0), (4, 4)])
def test_prices_of_few_products_are_no_evidence(moved: int, still: int) -> None:
    with pytest.raises(TriadError, match=f"only {moved} of the products sold had a price that moved"):
        elasticities(cut(panel_of(3), moved, still))


def test_a_category_needs_several_products_whose_price_moved() -> None:
    panel = panel_of(3)
    still = (panel.item % 2 == 0) & (panel.item > 0)  # in the category "a" only one product's price moves
    known = elasticities(replace(panel, log_price=np.where(still, 7.0, panel.log_price)))
    assert "a" not in known and known["b"].products == 30


def test_one_product_of_no_category_does_not_speak_for_the_shop() -> None:
    for seed in range(6):
        panel = panel_of(seed)
        usual = np.bincount(panel.item, panel.log_price)[panel.item] / 60
        units = np.random.default_rng(seed).poisson(np.exp(1 - (panel.log_price - usual))).astype(float)
        alike = replace(panel, units=units)
        apart = replace(alike, category=["", *panel.category[1:]])
        whole, other = elasticities(alike)[WHOLE], elasticities(apart)[WHOLE]
        assert abs(whole.mean - other.mean) < 0.03 and 0.8 < other.deviation / whole.deviation < 1.25


def cut(panel: Panel, items: int, still: int) -> Panel:
    """The first products, and as many whose price never moved."""
    kept = panel.item < items + still
    price = np.where(panel.item < items, panel.log_price, 7.0)
    rows = {name: getattr(panel, name)[kept] for name in ("item", "period", "promoted", "units")}
    told = {name: getattr(panel, name)[: items + still] for name in ("item_id", "title", "category", "cents")}
    return replace(panel, log_price=price[kept], **rows, **told)


def elasticity(mean: float, deviation: float, tried: tuple[float, float] = (-1.0, 1.0)) -> Elasticity:
    return Elasticity(mean, deviation, 20, tried)


def test_the_best_price_is_the_one_of_the_formula_and_stays_within_bounds() -> None:
    margin = advise(elasticity(-3.0, 1e-6), Wish(0.5, 2.0, "margin", cost=0.8))  # c · ε / (1 + ε)
    assert margin.price == pytest.approx(1.2, abs=0.02) and margin.verdict == "raise" and margin.gain[1] > 0
    lower = advise(elasticity(-2.5, 0.2), Wish())
    assert lower.verdict == "lower" and lower.price == pytest.approx(0.8) and lower.best[0] == pytest.approx(0.8)
    assert advise(elasticity(-0.3, 0.1), Wish()).price == pytest.approx(1.2)
    tried = advise(elasticity(-0.3, 0.1, (-0.05, 0.05)), Wish())
    assert tried.price == pytest.approx(np.exp(0.05))  # nobody knows what lies beyond
    assert advise(elasticity(-0.3, 0.1), Wish(1.0, 1.0)).verdict == "keep"


def test_where_the_interval_holds_both_ways_there_is_no_price_but_what_is_known_is_told() -> None:
    unsure = advise(elasticity(-1.0, 0.4), Wish())
    assert unsure.verdict == "not enough evidence" and unsure.price is None
    assert unsure.best == (pytest.approx(0.8), pytest.approx(1.2)) and unsure.gain[1] <= 0 < unsure.gain[2]


def test_what_was_never_tried_and_what_is_hardly_known_is_no_advice() -> None:
    untried = advise(elasticity(-0.3, 0.1, (0.0, 0.001)), Wish())
    assert untried.verdict == "not enough evidence" and untried.price is None
    for mean, deviation in ((-1.0, 1e6), (1e9, 1.0), (-1.0, 300.0)):
        told = advise(elasticity(mean, deviation), Wish())
        assert np.isfinite([*told.best, *told.gain]).all()


@pytest.mark.parametrize("cents", [1, 2, 3, 4, 7, 98, 100, 101, 12_345])
@pytest.mark.parametrize(("mean", "wish"), [(-3.0, Wish()), (-3.0, Wish(lowest=0.4)), (-0.3, Wish()), (-3.0, DEAR)])
def test_whole_cents_stay_within_the_bounds(cents: int, mean: float, wish: Wish) -> None:
    panel = replace(cut(panel_of(3), 1, 0), cents=np.array([float(cents)]), category=[""])
    (row,) = Advisor(panel, {WHOLE: elasticity(mean, 0.01)}).rows(["i000"], wish)
    told = [row[name] for name in ("best_low_cents", "advised_cents", "best_high_cents")]
    near = 1e-6
    assert all(cents * wish.lowest - near <= each <= cents * wish.highest + near for each in told)
    assert all(each > cents * wish.cost for each in told) and told == sorted(told)
    verdict = "keep" if told[1] == cents else "raise" if told[1] > cents else "lower"
    assert row["verdict"] == verdict and (row["gain"] > 0) == (verdict != "keep")


@pytest.mark.parametrize(
    "wish",
    [
        {"lowest": 1.1},
        {"lowest": 0.0},
        {"highest": 0.9},
        {"cost": 1.0, "aim": "margin"},
        {"aim": "margin"},
        {"cost": 0.5},
        {"level": 1.0},
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(wish: dict) -> None:
    with pytest.raises(TriadError):
        Wish(**wish)


def tables_of(panel: Panel, *, prices: bool) -> dict[str, pa.Table]:
    """The contract's tables that say what the panel says."""
    sold = np.flatnonzero(panel.units)
    ids = np.array(panel.item_id)
    when = [FIRST + timedelta(days=int(day), hours=12) for day in panel.period]
    cents = np.maximum(np.rint(np.exp(panel.log_price)), 1).astype(int)
    tables = {
        "users": pa.table({"user_id": ["u"], "signed_up_at": [FIRST]}),
        "items": pa.table(
            {
                "item_id": ids,
                "title": panel.title,
                "category": panel.category,
                "price_cents": panel.cents.astype(int),
                "available_from": [FIRST] * len(ids),
            }
        ),
        "events": pa.table(
            {
                "event_id": [f"e{row}" for row in sold],
                "user_id": ["u"] * len(sold),
                "item_id": ids[panel.item[sold]],
                "occurred_at": [when[row] for row in sold],
                "kind": ["purchase"] * len(sold),
                "price_cents": cents[sold],
                "quantity": panel.units[sold].astype(int),
            }
        ),
    }
    if prices:
        tables["prices"] = pa.table(
            {
                "item_id": ids[panel.item],
                "day": [each.date() for each in when],
                "price_cents": cents,
                "is_promoted": panel.promoted > 0,
            }
        )
    return tables


def test_a_panel_is_read_from_prices_or_from_purchases() -> None:
    made = panel_of(5, items=12, days=20)
    with connect(tables_of(made, prices=True)) as session:
        told = read(session)
    np.testing.assert_array_equal(told.units, made.units)
    np.testing.assert_allclose(told.log_price, made.log_price, atol=0.02)
    assert told.category == made.category and told.days == 1
    with connect(tables_of(made, prices=False)) as session:
        bought = read(session)
    assert bought.units.sum() == made.units.sum() and len(bought.item) <= len(made.item)
    empty = tables_of(made, prices=True)
    empty["events"] = empty["events"].slice(0, 0)
    with connect(empty) as session, pytest.raises(TriadError, match="nothing was sold"):
        read(session)


def test_the_command_tells_elasticities_prices_and_the_truth_of_a_simulated_shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tables = tables_of(panel_of(7), prices=True)
    for folder in ("validate", "ingest"):
        for name, rows in tables.items():
            write_table(Path("artifacts") / folder / "tables", name, rows)
    Path("artifacts/ingest/oracle").mkdir()
    write_json(Path("artifacts/ingest/oracle/oracle.json"), {"known": False})
    assert true_elasticities(Path("artifacts/ingest/oracle"), Path("artifacts/validate/tables")) == {}
    ran = CliRunner().invoke(command, ["--lowest", "0.9"], catch_exceptions=False)
    assert ran.exit_code == 0 and "raise: 30 products" in ran.output and "lower: 30 products" in ran.output
    first = Path("artifacts/advise/prices.csv").read_text().splitlines()
    assert first[0].startswith('"item_id","title"') and len(first) == 61
    with connect(tables) as session:
        advisor = Advisor.of(session)
    asked: Sequence[str] = ["i001", "i000"]
    rows = advisor.rows(asked, Wish())
    assert [row["item_id"] for row in rows] == asked
    assert all(row["best_low_cents"] <= row["advised_cents"] <= row["best_high_cents"] for row in rows)
    with pytest.raises(TriadError, match="no price is known of 1"):
        advisor.rows(["i001", "nobody"], Wish())


def test_the_simulated_shops_elasticity_is_how_its_chances_move_with_price(tmp_path: Path) -> None:
    shop = IngestParams.model_validate(
        {"source": "simulated", "as_of": date(2026, 3, 1), "window_days": 3, "simulated": {"size": "tiny", "seed": 1}}
    )
    made = simulate(shop)
    world, day, step = made.world, made.last, 1e-4
    shown = shown_on(world, day)
    dearer = replace(world, prices=replace(world.prices, cents=world.prices.cents * (1 + step)))
    before, after = (odds(each, shown, day) for each in (world, dearer))
    moved = np.log(after.click * after.cart * after.buy) - np.log(before.click * before.cart * before.buy)
    np.testing.assert_allclose(elasticity_of(world, shown, before), moved / np.log1p(step), atol=1e-3)

    tables, oracle = made.whole()
    for name in ("events", "items"):
        write_table(tmp_path / "tables", name, tables[name])
    write_json(tmp_path / "oracle.json", {"known": True})
    pq.write_table(oracle["exposures"], tmp_path / "exposures.parquet")
    told, exposures = true_elasticities(tmp_path, tmp_path / "tables"), oracle["exposures"].to_pandas()
    assert told[WHOLE] == pytest.approx(np.average(exposures["elasticity"], weights=exposures["p_purchase"]))
    assert set(told) - {WHOLE} <= set(tables["items"]["category"].to_pylist()) and -3 < told[WHOLE] < 0
    pq.write_table(oracle["exposures"].drop_columns(["elasticity"]), tmp_path / "exposures.parquet")
    assert true_elasticities(tmp_path, tmp_path / "tables") == {}
