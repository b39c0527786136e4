"""The preset for UCI Online Retail, on the file itself."""

import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import yaml

from triad.config.params import Params, merge, parse
from triad.sources.files import read_files

ROOT = Path(__file__).parents[1]
FILE = Path(os.environ.get("TRIAD_DATASETS", "nowhere")) / "online_retail" / "online_retail.csv.gz"

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="TRIAD_DATASETS names no folder with online_retail/")


def preset(**files: object) -> Params:
    base, overlay = (yaml.safe_load((ROOT / p).read_text()) for p in ("params.yaml", "configs/online_retail.yaml"))
    overlay["ingest"]["files"] |= files
    return parse(merge(base, overlay), "configs/online_retail.yaml")


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return read_files(preset().ingest)


@pytest.fixture
def ask(tables: dict[str, pa.Table]):
    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'")
        for name, table in tables.items():
            session.register(name, table)
        yield lambda query: session.execute(query).fetchall()


def test_the_counts_are_those_of_a_plain_reading(ask) -> None:
    """Against a reading that shares no code with the mapping: the kept lines less those that were taken back."""
    ask(f"CREATE TABLE raw AS SELECT * FROM read_csv('{FILE}', all_varchar = true)")
    kept = ask(
        r"""SELECT count(*), count(DISTINCT upper(StockCode)) FROM raw
        WHERE InvoiceNo NOT LIKE 'C%' AND CustomerID IS NOT NULL AND Quantity::DOUBLE > 0 AND UnitPrice::DOUBLE > 0
        AND regexp_matches(StockCode, '^\d{5}')"""
    )[0]
    events, items = ask("SELECT count(*), count(DISTINCT item_id) FROM events")[0]
    lines = ask("SELECT count(*) FROM raw WHERE InvoiceNo LIKE 'C%' AND CustomerID IS NOT NULL")[0][0]
    assert kept[0] == 396337 and 0.2 * lines < kept[0] - events < lines
    assert events == 393502 and kept[1] - 30 < items <= kept[1]


def test_what_the_preset_promises(ask) -> None:
    assert ask("SELECT DISTINCT kind FROM events") == [("purchase",)]
    assert ask("SELECT min(price_cents) > 0, min(quantity) > 0 FROM events") == [(True, True)]
    assert not ask("SELECT item_id FROM items WHERE item_id IN ('POST', 'M', 'D', 'DOT', 'C2', 'BANK CHARGES', 'PADS')")
    assert not ask("SELECT user_id FROM users WHERE NOT regexp_matches(user_id, '^[0-9]{5}$')")
    assert ask("SELECT count(*) FROM items WHERE title IS NULL OR title <> trim(title)") == [(0,)]
    # 12346 bought 74,215 pieces and gave them back 16 minutes later; 17850 is the file's first customer
    assert ask("SELECT user_id FROM users WHERE user_id IN ('12346', '17850')") == [("17850",)]
    line = "item_id = '85123A' AND session_id = '536365'"
    assert ask(f"SELECT epoch(occurred_at)::BIGINT, price_cents, quantity FROM events WHERE {line}") == [
        (1291191960, 255, 6)  # 2010-12-01 08:26 in London, 2.55 pounds
    ]
    first = "SELECT strftime(min(occurred_at), '%H:%M') FROM events WHERE occurred_at::DATE = '2011-07-04'"
    assert ask(first) == [("09:20",)]  # 10:20 in London's summer


def test_every_table_refers_to_rows_that_are_there(ask) -> None:
    assert not ask("SELECT 1 FROM events ANTI JOIN users USING (user_id)")
    assert not ask("SELECT 1 FROM events ANTI JOIN items USING (item_id)")
    assert not ask("SELECT 1 FROM items ANTI JOIN prices USING (item_id)")
    last = "SELECT item_id, price_cents FROM prices WHERE day = '2011-12-09'"
    assert ask(f"SELECT count(*) FROM items JOIN ({last}) USING (item_id, price_cents)") == ask(
        "SELECT count(*) FROM items"
    )
    assert ask("SELECT count(*) FROM prices GROUP BY item_id, day HAVING count(*) > 1") == []


def test_the_profile_label_has_customers_to_learn_from(ask) -> None:
    groups = dict(ask("SELECT country_group, count(*) FROM users GROUP BY 1"))
    assert set(groups) == {"united_kingdom", "german_speaking", "france_benelux", "elsewhere"}
    assert min(groups.values()) > 100


def test_a_sample_of_users_is_a_small_shop(tables: dict[str, pa.Table]) -> None:
    small = read_files(preset(sample_users=0.05).ingest)
    users = set(small["users"]["user_id"].to_pylist())
    assert users < set(tables["users"]["user_id"].to_pylist())
    assert 0.03 < len(users) / tables["users"].num_rows < 0.07
    assert set(small["events"]["user_id"].to_pylist()) == users
