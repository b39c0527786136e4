"""Texts of a shop take the memory of their lengths, sort by code point and come back as they were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from triad.texts import Texts, joined, joined_in

SAID = ["b", "a", "\U0001f600", "￿", "", "b", "é", "a\x00", "Ünïcode"]


@pytest.mark.parametrize(
    "values", [SAID, np.array(SAID, object), pa.array(SAID), pa.chunked_array([SAID[:3], SAID[3:]])]
)
def test_they_are_what_they_were_made_of(values) -> None:
    texts = Texts.of(values)
    assert texts.tolist() == list(texts) == np.asarray(texts).tolist() == SAID
    assert (texts[2], texts[-1], texts[np.int64(1)]) == (SAID[2], SAID[-1], "a")
    assert texts[np.array([3, 0, 0])].tolist() == ["￿", "b", "b"] and texts[2:4].tolist() == SAID[2:4]
    assert texts[np.array([name == "b" for name in SAID])].tolist() == ["b", "b"]
    assert np.asarray(texts).dtype == object  # a fixed width would be that of the longest
    assert (texts == "b").tolist() == [name == "b" for name in SAID] and (texts == Texts.of(SAID)).all()
    assert joined([texts[:4], texts[4:]]).tolist() == SAID


def test_a_digest_tells_texts_apart_that_read_alike_end_to_end() -> None:
    texts = Texts.of(["ab", "c", "", "é"])
    assert texts.tobytes() == Texts.of(["x", "ab", "c", "", "é", "y"])[1:5].tobytes()
    assert (
        len({texts.tobytes(), *(Texts.of(other).tobytes() for other in (["a", "bc", "", "é"], ["abc", "", "é"]))}) == 3
    )
    assert Texts.of([]).tobytes() == Texts.of(["a"])[1:].tobytes() == b"" and len(Texts.of(["", ""]).tobytes()) == 16


def test_order_codes_and_places_are_pythons_own() -> None:
    texts = Texts.of([*SAID, None])
    said = [*SAID, ""]
    assert texts.order().tolist() == sorted(range(len(said)), key=lambda row: (said[row], row))
    known, codes = texts.codes()
    assert known.tolist() == sorted(set(said)) and known[codes].tolist() == said
    assert texts.places(Texts.of(["", "b", "zz", "\U0001f600"])).tolist() == [4, 0, -1, 2]
    none = Texts.of([])
    assert none.places(texts).tolist() == [-1] * len(said) and texts.places(none).tolist() == []
    assert none.codes()[0].tolist() == none.order().tolist() == none[np.zeros(0, int)].tolist() == []


@pytest.mark.parametrize("values", [SAID, [], ["x" * 100_000, *SAID]])
def test_they_come_back_from_disk_and_the_same_texts_are_the_same_bytes(values: list[str], tmp_path: Path) -> None:
    Texts.of(values).save(tmp_path / "a.arrow")
    joined([Texts.of(values[:1]), Texts.of(values[1:])]).save(tmp_path / "b.arrow")
    parts = [Texts.of(values[:1]), Texts.of([]), Texts(Texts.of(["x", *values[1:]]).values.slice(1))]
    written = joined_in(tmp_path / "c.arrow", lambda: parts)
    assert written.tolist() == values
    assert written.file is None or written.file.read_bytes() == (tmp_path / "b.arrow").read_bytes()
    assert Texts.load(tmp_path / "a.arrow").tolist() == values
    assert (tmp_path / "a.arrow").read_bytes() == (tmp_path / "b.arrow").read_bytes()
    assert (tmp_path / "a.arrow").stat().st_size < sum(len(value.encode()) + 8 for value in values) + 2000


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    Texts.of(["one", "two", "three"]).save(tmp_path / "a.arrow")
    raw = (tmp_path / "a.arrow").read_bytes()
    place = raw.index(np.array([0, 3, 6, 11], np.int64).tobytes())  # where each text ends
    (tmp_path / "far.arrow").write_bytes(
        raw[: place + 24] + np.array([1 << 40], np.int64).tobytes() + raw[place + 32 :]
    )
    (tmp_path / "cut.arrow").write_bytes(raw[:-40])
    with pa.OSFile(str(tmp_path / "other.arrow"), "wb") as sink:
        table = pa.table({"number": [1]})
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    for name in ("far", "cut", "other"):
        with pytest.raises(ValueError):
            Texts.load(tmp_path / f"{name}.arrow")
