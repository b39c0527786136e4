"""Exposures made by parts of the users: the same bits as in one piece, in memory or on the disk, killed or not."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_tables import END, START, make_tables

from triad import matrices
from triad.config.features import FeaturesParams
from triad.config.tasks import TaskParams
from triad.examples import dataset
from triad.examples.dataset import Dataset
from triad.features import exposure_arrays, parts
from triad.features.build import fit
from triad.features.labels import Shared
from triad.matrices import Matrix, mapped, rows_of
from triad.tables import connect
from triad.texts import Texts
from triad.validation import leaks

PARAMS = FeaturesParams(split_days={"validation": 5, "fusion": 5, "test": 5}, user_attributes=("country",))
TASKS = {
    "click": TaskParams(kind="binary", label="clicked"),
    "profile": TaskParams(kind="multiclass", label="user_attribute", column="segment"),
    "price": TaskParams(kind="regression", label="price_move", horizon_days=3),
    "next": TaskParams(kind="ranking", label="next_item"),
}


def made(store: Path | None = None, *, impressions: bool = True, threads: int = 2, hold_out: bool = True) -> Dataset:
    with connect(make_tables(shown=1200, impressions=impressions), threads=threads) as session:
        return fit(session, PARAMS, TASKS, (START, END), store=store, hold_out=hold_out)[0]


def same(a: Dataset, b: Dataset) -> None:
    assert a.meta == b.meta
    for unit, arrays in a.units.items():
        for each in fields(arrays):
            one, other = np.asarray(getattr(arrays, each.name)), np.asarray(getattr(b.units[unit], each.name))
            assert one.dtype == other.dtype
            assert one.tolist() == other.tolist() if one.dtype == object else one.tobytes() == other.tobytes(), (
                each.name
            )


@pytest.mark.parametrize("impressions", [True, False], ids=["shown", "sampled"])
def test_parts_are_the_whole_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impressions: bool) -> None:
    whole = made(impressions=impressions)
    monkeypatch.setattr(parts, "ROWS", 400)
    monkeypatch.setattr(exposure_arrays, "BLOCK", 100)
    scales = whole.meta.context_mean, whole.meta.context_std
    in_parts = made(tmp_path, impressions=impressions)
    assert isinstance(in_parts.exposures.context, np.memmap)
    assert len(list((tmp_path / "parts").glob("*.npz"))) >= 3
    # sums of other blocks may differ in the last bit
    np.testing.assert_allclose((in_parts.meta.context_mean, in_parts.meta.context_std), scales, rtol=1e-9, atol=1e-12)
    monkeypatch.setattr(exposure_arrays, "BLOCK", 50_000)
    same(whole, made(impressions=impressions, threads=1))


def test_a_killed_run_goes_on_at_the_next_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROWS", 400)
    whole = made()
    gathered, filled = count(monkeypatch, "_gather"), count(monkeypatch, "block", dies_at=4)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, threads=1)
    pieces = len(gathered)
    assert len(list((tmp_path / "parts").glob("*.done"))) == 2  # of four blocks the first only names the columns
    gathered.clear(), filled.clear()
    same(whole, made(tmp_path, threads=1))
    assert not gathered
    assert len(filled) == 1 + pieces - 2
    filled.clear()
    (tmp_path / exposure_arrays.CONTEXT).unlink()  # as a power cut may leave it
    same(whole, made(tmp_path, threads=1))
    assert len(filled) == 1 + pieces


def test_a_refit_reads_parts_as_it_reads_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made(hold_out=False)
    monkeypatch.setattr(parts, "ROWS", 400)
    in_parts = made(tmp_path, hold_out=False)
    assert isinstance(in_parts.exposures.context, np.memmap)
    same(whole, in_parts)


def test_a_log_that_lies_packed_in_a_file_makes_the_same(tmp_path: Path) -> None:
    with connect(make_tables(shown=1200), threads=2, file=tmp_path / "log.duckdb") as session:
        packed = fit(session, PARAMS, TASKS, (START, END))[0]
        assert sum(file.stat().st_size for file in tmp_path.glob("log.duckdb*")) > 100_000
    same(made(), packed)


def test_a_saved_dataset_takes_its_matrix_along(tmp_path: Path) -> None:
    data = made(tmp_path / "store")
    expected = np.array(data.exposures.context)
    dataset.save(data, tmp_path / "saved", tmp_path / "store")
    assert not (tmp_path / "store" / exposure_arrays.CONTEXT).exists()
    read = dataset.load(tmp_path / "saved")
    assert read.exposures.context.tobytes() == expected.tobytes()
    dataset.save(read, tmp_path / "copy")
    assert (tmp_path / "saved" / exposure_arrays.CONTEXT).is_file()


def test_memory_follows_the_part_and_not_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROWS", 2_000)
    monkeypatch.setattr(exposure_arrays, "LEARNED", 2_000)
    for module, name in ((exposure_arrays, "BLOCK"), (matrices, "BLOCK"), (matrices, "NARROW")):
        monkeypatch.setattr(module, name, 1_000)
    peaks = {shown: peaks_of(monkeypatch, shown, tmp_path / str(shown)) for shown in (12_000, 48_000)}
    assert {name: peak for name, peak in peaks[48_000].items() if peak > 1.3 * peaks[12_000][name] + 150_000} == {}
    assert len(peaks[48_000]) == 6


def peaks_of(monkeypatch: pytest.MonkeyPatch, shown: int, store: Path) -> dict[str, int]:
    """Bytes that steps take at most, of a log of `shown` impressions: the arrays of 48,000 are some 20 million."""
    peaks: dict[str, int] = {}

    def measured(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            tracemalloc.start()
            try:
                return step(*arguments)
            finally:
                peaks[name] = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()

        return run

    with monkeypatch.context() as patched:
        for name in ("_columns", "_strengths", "_context", "_scales", "_event_ids"):
            patched.setattr(exposure_arrays, name, measured(name, getattr(exposure_arrays, name)))
        with connect(make_tables(users=400, shown=shown), threads=1) as session:
            data = fit(session, PARAMS, TASKS, (START, END), store=store)[0]
    rows = data.exposures
    for each in fields(rows):
        held = getattr(rows, each.name)
        assert Path(str(held.file if isinstance(held, Texts) else held.filename)).is_relative_to(store), each.name
    told = rows.context, data.meta.context, rows.labels, data.meta.tasks["exposures"], 1.0
    by = {"split": rows.split, "owners": (rows.user, rows.item)}
    monkeypatch.setattr(leaks, "MAX_ROWS", 400)
    measured("check", partial(leaks.check_features, **by))(*told)
    return peaks


def test_a_label_of_items_is_on_the_last_row_of_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Shared()
    item, day = np.array([5, 6, 5]), np.array([-1, 2, 3])
    assert shared.first(0, item, day).tolist() == [True, True, True]  # of the last part
    assert shared.first(1, item, day).tolist() == [True, True, True]
    assert shared.first(0, np.array([5, 5, 6]), np.array([3, 4, -1])).tolist() == [False, True, True]
    assert shared.first(0, np.array([6, 5]), np.array([-1, 4])).tolist() == [False, False]
    with pytest.raises(ValueError, match="32 bits"):
        shared.first(0, item, day + 2**31)


def test_no_user_is_in_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROWS", 3)
    with connect({}) as session:
        session.execute("CREATE TABLE exposure AS SELECT unnest([1, 1, 2, 3, 3, 3, 3, 3, 6])::INT AS user_no")
        cut = parts.cut(session, 8)
        assert [(part.users, part.rows) for part in cut] == [((0, 3), (0, 3)), ((3, 6), (3, 8)), ((6, 8), (8, 9))]
        session.execute("DELETE FROM exposure")
        assert [(part.users, part.rows) for part in parts.cut(session, 8)] == [((0, 8), (0, 0))]


def test_a_matrix_on_the_disk_is_an_array(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path / "m.npy", (120_000, 2))
    values = np.arange(240_000, dtype=np.float64).reshape(-1, 2)
    for start in (70_000, 0):
        matrix.write(start, values[start : start + 70_000])
    assert np.array_equal(mapped(tmp_path / "m.npy"), values)
    again = Matrix(tmp_path / "m.npy", (120_000, 2))
    again.write(5, np.full((1, 2), -1.0))
    rows = np.array([0, 5, 49_999, 50_000, 119_999])
    assert rows_of(again.array(), rows).tolist() == again.array()[rows].tolist()
    assert rows_of(again.array(), rows)[1].tolist() == [-1, -1]
    assert Matrix(tmp_path / "empty.npy", (0, 2)).array().shape == (0, 2)


def count(monkeypatch: pytest.MonkeyPatch, name: str, dies_at: int = 0) -> list[Any]:
    """Calls of a function of `exposure_arrays` from now on; it stops the run once, at the call `dies_at`."""
    calls: list[Any] = []
    deaths = [dies_at] if dies_at else []
    work: Callable[..., Any] = getattr(exposure_arrays, name)

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        if deaths and len(calls) == deaths[0]:
            deaths.clear()
            raise KeyboardInterrupt
        return work(*arguments)

    monkeypatch.setattr(exposure_arrays, name, counted)
    return calls
