"""Files as real exports have them that are neither good nor broken: what each odd id, file or time leads to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from test_files import EVENTS, read, said, write

HEADER = EVENTS.splitlines()[0]


def rows(*cells: tuple[str, str]) -> str:
    """Events by (user, time)."""
    lines = [f'1,A,"{who}",{at},2.50,1,buy,DE,Lamp' for who, at in cells]
    return "\n".join([HEADER, *lines, ""])


def users(tmp_path: Path, *ids: str) -> Path:
    return write(tmp_path, rows(*((each, "2026-01-02 10:00:00") for each in ids)))


@pytest.mark.parametrize("word", ["N/A", "#N/A", "\\N", "(null)", "none", "None ", "NIL", "#REF!", "[object Object]"])
def test_what_programs_write_for_missing_is_nobody(word: str, tmp_path: Path) -> None:
    assert "a program's word for missing in 1 row" in said(users(tmp_path, word, "anna"))
    assert read(users(tmp_path, word, "anna"), null_values=["", word])["users"]["user_id"].to_pylist() == ["anna"]


@pytest.mark.parametrize("number", ["1.23457E+11", "1,23457e+11", "1E+11"])
def test_a_number_that_a_spreadsheet_shortened_is_no_id(number: str, tmp_path: Path) -> None:
    assert "a number that lost its last digits in 1 row: row 1" in said(users(tmp_path, number, "123456789012"))


def test_a_hash_with_an_e_is_an_id(tmp_path: Path) -> None:
    assert read(users(tmp_path, "12345e67", "1e5"))["users"].num_rows == 2


def test_control_characters_are_in_no_id_and_strip_takes_blanks_of_all_kinds(tmp_path: Path) -> None:
    assert "control characters in an id" in said(users(tmp_path, "12\x01", "anna"))
    stripped: dict[str, Any] = {"columns": {"user_id": {"column": "who", "strip": True}}}
    assert read(users(tmp_path, "12\t", "\u00a012\u3000"), **stripped)["users"]["user_id"].to_pylist() == ["12"]


@pytest.mark.parametrize(
    "pair",
    [
        ("6F9619FF-8B86-D011-B42D-00CF4FC964FF", "6f9619ff8b86d011b42d00cf4fc964ff"),
        ("{6F9619FF-8B86-D011-B42D-00CF4FC964FF}", "6F9619FF-8B86-D011-B42D-00CF4FC964FF"),
        ("１２３", "123"),
        ("'123", "123"),
        ("+5", "5"),
        ("12,0", "12"),
    ],
)
def test_two_spellings_of_one_id_are_refused(pair: tuple[str, str], tmp_path: Path) -> None:
    assert "ids written in two ways: 1, such as" in said(users(tmp_path, *pair))


def test_leading_zeros_may_be_meant_and_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "triad.ingest"):
        assert read(users(tmp_path, "00123", "123"))["users"].num_rows == 2
    assert "ids that differ by leading zeros alone: 1, such as '99999' and '999'" in caplog.text


@pytest.mark.parametrize("kind", ["link to nothing", "pipe"])
def test_what_is_no_file_is_refused_and_never_waited_for(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    users(folder, "anna")
    if kind == "pipe":
        os.mkfifo(folder / "z.csv")
    else:
        (folder / "z.csv").symlink_to(folder / "gone.csv")
    assert "z.csv: is no regular file, or a link to nothing" in said(folder)


def test_times_in_two_units_are_refused_and_a_few_that_mean_none_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    epoch = {"columns": {"occurred_at": {"column": "at", "epoch": "seconds"}}}
    mixed = write(tmp_path, rows(("anna", "1767348000"), ("bert", "1767348000000")))
    assert "1 of 2 rows lie before 1980 or after 2100" in said(mixed, **epoch)
    few = write(tmp_path, rows(*[("anna", "1767348000")] * 100, ("bert", "0")))
    with caplog.at_level("INFO", "triad.ingest"):
        assert read(few, **epoch)["events"].num_rows == 100
    assert "1 rows outside of the window left out, 1 of them before 1980 or after 2100" in caplog.text
