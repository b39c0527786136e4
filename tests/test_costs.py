"""What a stage took is written beside its outputs, adds up, and has a price where prices are known."""

from pathlib import Path

import pytest

from triad import costs
from triad.config.retraining import PriceParams
from triad.costs import Cost, measured, metrics, table
from triad.errors import TriadError

FREE = PriceParams()
PRICED = PriceParams(processor_hour=3.6, gigabyte_hour=0.36, currency="USD")
TWO = [
    Cost("ingest", 10.0, 15.0, 2_000_000_000, 50_000_000, 1.0),
    Cost("features", 30.0, 20.0, 500_000_000, None, 2.0),
]


def test_what_a_process_took_is_written_at_its_end(tmp_path: Path) -> None:
    with measured("features", tmp_path):
        sum(range(100_000))
    (cost,) = costs.read(tmp_path)
    assert cost.stage == "features" and cost.processor_seconds > 0 and cost.seconds > 0
    assert cost.peak_bytes > 10_000_000, "a Python process is no smaller"
    assert cost.read_bytes is None or cost.read_bytes > 100_000, "it has read its own code"


def test_a_failure_leaves_what_is_known_of_the_last_run(tmp_path: Path) -> None:
    with measured("features", tmp_path):
        pass
    (before,) = costs.read(tmp_path)
    with pytest.raises(ValueError, match="no"), measured("features", tmp_path):
        raise ValueError("no")
    assert costs.read(tmp_path) == [before]


def test_money_is_processor_time_and_memory_held() -> None:
    assert TWO[0].money(FREE) is None
    assert TWO[0].money(PRICED) == pytest.approx(15 * 0.001 + 2 * 10 * 0.0001)
    assert TWO[0].money(PriceParams(processor_hour=3.6)) == pytest.approx(0.015)


def test_metrics_hold_each_stage_and_their_sum() -> None:
    found = metrics(TWO, PRICED)
    assert found["cost/ingest/read_bytes"] == 50_000_000 and "cost/features/read_bytes" not in found
    assert found["cost/all/seconds"] == 40 and found["cost/all/processor_seconds"] == 35
    assert found["cost/all/money"] == pytest.approx(found["cost/ingest/money"] + found["cost/features/money"])
    assert not [name for name in metrics(TWO, FREE) if "money" in name]
    assert metrics([], PRICED) == {}


def test_one_line_says_what_a_night_of_its_kind_cost() -> None:
    assert costs.total(TWO) == "this light night's stages took 35 processor-seconds: `triad costs` shows each"
    evaluated = Cost("evaluate", 3.0, 4.0, 1, None, 3.0)
    assert costs.total([*TWO, evaluated]).startswith("this full night's stages took 39 processor-seconds")


def test_a_table_of_nothing_says_what_to_run() -> None:
    with pytest.raises(TriadError, match="no stage has run"):
        table([], FREE)


def test_the_table_says_where_the_time_went() -> None:
    lines = table(TWO, PRICED).splitlines()
    assert lines[1].split() == [
        "ingest",
        "10.0",
        "s",
        "25%",
        "15.0",
        "s",
        "1.50",
        "2.00",
        "GB",
        "50.0",
        "MB",
        "0.0170",
        "USD",
    ]
    assert lines[2].split()[:4] == ["features", "30.0", "s", "75%"] and "–" in table(TWO, FREE).splitlines()[2]
    assert lines[3].split()[:2] == ["all", "40.0"]
