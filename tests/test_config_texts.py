"""Where a text is meant, what YAML has made of an unquoted word is refused, with its place and how to quote it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from triad.ablations.files import load as load_study
from triad.config.ingest import IngestParams
from triad.config.params import load, merge, parse
from triad.errors import TriadError

FILES = """
ingest:
  source: files
  as_of: "2026-01-08"
  files:
    events:
      path: log.csv
      {table}
      columns:
        event_id: {{row_number: true}}
        user_id: who
        item_id: sku
        occurred_at: at
        kind: {kind}
        price_cents: {{column: amount, unit: major}}
        {column}
tasks:
  buy: {{kind: binary, label: purchased}}
{section}
"""


def said(tmp_path: Path, *, table: str = "", column: str = "", kind: str = "what", section: str = "") -> str:
    path = tmp_path / "params.yaml"
    path.write_text(FILES.format(table=table, column=column, kind=kind, section=section))
    with pytest.raises(TriadError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("table", "place", "quoted", "read_as"),
    [
        ("drop: [{column: sku, equals: 007}]", "drop.0.equals", "equals: '007'", "number 7"),
        ("drop: [{column: sku, equals: 010}]", "drop.0.equals", "equals: '010'", "number 8"),
        ("drop: [{column: sku, equals: 0x1F}]", "drop.0.equals", "equals: '0x1F'", "number 31"),
        ("drop: [{column: sku, equals: 1_000}]", "drop.0.equals", "equals: '1_000'", "number 1000"),
        ("drop: [{column: sku, equals: 12:30}]", "drop.0.equals", "equals: '12:30'", "number 750"),
        ("drop: [{column: sku, equals: 1.0e+3}]", "drop.0.equals", "equals: '1.0e+3'", "number 1000.0"),
        ("drop: [{column: sku, equals: yes}]", "drop.0.equals", "equals: 'yes'", "truth value true"),
        ("drop: [{column: sku, equals: Off}]", "drop.0.equals", "equals: 'Off'", "truth value false"),
        ("where: [{column: sku, one_of: [A, 1, B]}]", "where.0.one_of.1", "quote it: '1'", "number 1"),
        ("where: [{column: sku, starts_with: 4}]", "where.0.starts_with", "starts_with: '4'", "number 4"),
        ("where: [{column: sku, matches: 99}]", "where.0.matches", "matches: '99'", "number 99"),
        ("where: [{column: 2026, present: true}]", "where.0.column", "column: '2026'", "number 2026"),
        ("cancelled: {column: n, equals: no}", "cancelled.equals", "equals: 'no'", "truth value false"),
        ("null_values: [NA, null]", "null_values.1", "quote it: 'null'", "nothing"),
        ("null_values: [NA, ~]", "null_values.1", "quote it: '~'", "nothing"),
        ("null_values: [0]", "null_values.0", "quote it: '0'", "number 0"),
        ("zones: {IST: +5:30}", "zones.IST", "IST: '+5:30'", "number 330"),
        ("encoding: 1252", "encoding", "encoding: '1252'", "number 1252"),
        ("thousands: 0", "thousands", "thousands: '0'", "number 0"),
    ],
)
def test_a_table_of_files(tmp_path: Path, table: str, place: str, quoted: str, read_as: str) -> None:
    text = said(tmp_path, table=table)
    assert f"ingest.files.events.{place}: a text is meant, and YAML reads" in text
    assert f"YAML reads the {read_as}" in text or f"YAML reads {read_as}" in text
    assert quoted in text.partition("to fix it")[2]


@pytest.mark.parametrize(
    ("kind", "quoted"),
    [
        ("{column: what, map: {1: click}}", "'1': …"),
        ("{column: what, map: {v: click, no: cart}}", "'no': …"),
        ("{column: what, map: {null: click}}", "'null': …"),
        ("{column: what, map: {v: 1}}", "v: '1'"),
        ("{column: what, map: {v: click}, default: off}", "default: 'off'"),
        ("{column: what, remove: [x, 0]}", "quote it: '0'"),
        ("{column: what, remove_suffix: 0.0}", "remove_suffix: '0.0'"),
        ("{column: what, case: no}", "case: 'no'"),
        ("{column: on}", "column: 'on'"),
        ("{constant: 1.0e+3}", "quote it"),
        ("{constant: no}", "quote it"),
        ("{constant: null}", "quote it"),
        ("{key: [a, 7]}", "quote it: '7'"),
        ("7", "column: '7'"),
    ],
)
def test_a_column(tmp_path: Path, kind: str, quoted: str) -> None:
    text = said(tmp_path, kind=kind)
    assert "ingest.files" in text and "YAML reads" in text and quoted in text


@pytest.mark.parametrize(
    ("section", "quoted"),
    [
        ("features: {user_attributes: [country, no]}", "'no'"),
        ("fuse: {members: [on]}", "'on'"),
        ("publish: {model: 2026}", "model: '2026'"),
        ("recommend: {order_by: off}", "order_by: 'off'"),
        ("evaluate: {market: no}", "market: 'no'"),
        ("runtime: {xla: on}", "xla: 'on'"),
        ("champion: {market: {model: 1}}", "model: '1'"),
        ("champion: {market: {apart: [1]}}", "'1'"),
        ("no: {}", "'no': …"),
    ],
)
def test_other_sections(tmp_path: Path, section: str, quoted: str) -> None:
    text = said(tmp_path, section=section)
    assert "a text is meant, and YAML reads" in text and quoted in text.partition("to fix it")[2]


def test_tasks_and_their_columns(tmp_path: Path) -> None:
    for tasks, quoted in (
        ("on: {kind: binary, label: clicked}", "'on': …"),
        ("p: {kind: multiclass, label: user_attribute, column: 5}", "column: '5'"),
        ("c: {kind: binary, label: purchased, given: yes}", "given: 'yes'"),
    ):
        path = tmp_path / "params.yaml"
        path.write_text(f'ingest: {{as_of: "2026-03-01"}}\ntasks:\n  {tasks}\n')
        with pytest.raises(TriadError, match="a text is meant, and YAML reads") as caught:
            load(path)
        assert quoted in caught.value.mend


@pytest.mark.parametrize("key", ["equals", "starts_with", "matches", "above", "present"])
def test_a_condition_on_nothing_is_none(tmp_path: Path, key: str) -> None:
    assert "null" in said(tmp_path, table=f"drop: [{{column: sku, {key}: null}}]")


def test_a_truth_value_is_no_number(tmp_path: Path) -> None:
    text = said(tmp_path, section="features: {min_count: yes}")
    assert "features: " in text and "min_count: a number is meant, and YAML reads true" in text
    assert "a number is meant" in said(tmp_path, table="where: [{column: amount, above: no}]")


def test_a_constant_may_be_a_number_where_the_column_is_one() -> None:
    columns: dict[str, Any] = {
        "event_id": {"row_number": True},
        "user_id": "who",
        "item_id": "sku",
        "occurred_at": "at",
        "kind": {"constant": "purchase"},
        "price_cents": {"constant": 4.99, "unit": "major"},
        "quantity": {"constant": 1},
    }
    ingest = {"source": "files", "as_of": "2026-01-08", "files": {"events": {"path": "x.csv", "columns": columns}}}
    assert IngestParams.model_validate(ingest).files is not None
    columns["quantity"] = {"constant": True}
    with pytest.raises(ValueError, match=r"quantity.constant: a text is meant, and YAML reads the truth value true"):
        IngestParams.model_validate(ingest)


def test_a_word_without_its_file_is_named_as_yaml_reads_it() -> None:
    values = yaml.safe_load(
        FILES.format(table="drop: [{column: sku, equals: 007}]", column="", kind="what", section="")
    )
    with pytest.raises(TriadError, match=r"drop.0.equals: .*the number 7\n.*equals: '7', as it stands in your data"):
        parse(values, "no file")


def test_a_study(tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "s.yaml").write_text(
        "about: a question\n"
        "data: {form: tabular, files: [{path: a.csv, missing: ['?', 99]}], labels: {l: {column: c, kind: binary}}}\n"
        "variants: {all: {}}\nreference: all\n"
    )
    with pytest.raises(TriadError, match=r"data.files.0.missing.1: a text is meant.* number 99\n.*quote it: '99'"):
        load_study(folder / "s.yaml")
    text = (folder / "s.yaml").read_text().replace("99", "NA").replace("kind: binary", "kind: binary, positive: 1")
    (folder / "s.yaml").write_text(text)
    with pytest.raises(TriadError, match=r"data.labels.l.positive: a text is meant.* number 1\n.*positive: '1'"):
        load_study(folder / "s.yaml")


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[1].glob("configs/*.yaml")), ids=str)
def test_no_shipped_mapping_holds_such_a_word(path: Path) -> None:
    overlay = yaml.safe_load(path.read_text())
    base = yaml.safe_load((path.parents[1] / "params.yaml").read_text())
    assert parse(merge(base, overlay), str(path))
