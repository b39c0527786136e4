"""The form "tabular" on files written by hand: every part of the examples, and what it refuses."""

import gzip
import io
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pydantic import ValidationError

from triad.datasets.tabular import TabularForm, read, tasks
from triad.errors import TriadError
from triad.examples.dataset import load, save

HEADER = "who,town,age,spent,offer,came,bought,level,part,paid\n"
ROWS = [
    "a,Ulm,30,0,x,1,1,low,train,0",
    "b,Bonn,,9,y,0,0,mid,train,9",
    "a,Ulm,31,0,y,1,0,low,train,0",
    "c,Rome,40,0,x,0,0,high,validation,0",
    "a,Ulm,32,0,x,1,1,mid,fusion,0",
    "d,,50,99,z,0,0,low,test,99",
    "e,Ulm,40,0,x,0,0,low,validation,0",
]
FORM = {
    "form": "tabular",
    "files": [{"path": "t.csv"}],
    "categorical": ["town"],
    "numeric": {"age": "plain", "spent": "log1p"},
    "item": "offer",
    "labels": {
        "came": {"column": "came", "kind": "binary"},
        "bought": {"column": "bought", "kind": "binary", "given": "came"},
        "level": {"column": "level", "kind": "multiclass"},
        "spend": {"column": "paid", "kind": "regression"},
    },
    "split": {"rule": "column", "column": "part"},
}


def form(**changes) -> TabularForm:
    return TabularForm.model_validate(FORM | changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(HEADER + "\n".join(ROWS) + "\n")
    return tmp_path


def test_each_row_is_a_user_who_is_offered_an_item(folder: Path) -> None:
    data = read(form(), folder)
    assert data.exposures.user.tolist() == list(range(7)) and data.exposures.split.tolist() == [0, 0, 0, 1, 2, 3, 1]
    assert data.items.item_id[data.exposures.item].tolist() == list("xyyxxzx")
    town = data.users.attributes[:, 0]  # Ulm is most frequent in train; Rome and nothing are not known there
    assert town.tolist() == [1, 2, 1, 0, 1, 0, 1] and data.meta.vocabulary_rows["town"] == 3
    assert np.isnan(data.exposures.context[1, 0])
    assert data.exposures.context[:, 1] == pytest.approx(np.log1p([0, 9, 0, 0, 0, 99, 0]))
    assert data.meta.context_mean == pytest.approx((30.5, np.log(10) / 3))
    assert data.meta.context_std[0] == pytest.approx(0.5)
    assert data.meta.classes == {"level": ("low", "mid")}
    expected = [0, 1, 0, np.nan, 1, 0, 0]  # train never saw "high"
    np.testing.assert_array_equal(data.labels("level"), expected)
    assert data.labels("bought").tolist() == [1, 0, 0, 0, 1, 0, 0]
    assert (data.exposures.history == 0).all() and not len(data.streams.item)
    own = data.items.vocabulary_row > 16  # y alone is offered twice in train
    assert data.items.item_id[own].tolist() == ["y"]
    assert data.exposures.is_cold_item.tolist() == [True, False, False, True, True, True, True]


def test_the_labels_are_tasks(folder: Path) -> None:
    found = tasks(form())
    assert list(found) == list(read(form(), folder).meta.tasks["exposures"])
    assert (found["bought"].kind, found["bought"].given, found["bought"].column) == ("binary", "came", "bought")
    assert found["level"].kind == "multiclass" and found["spend"].kind == "regression"


def test_rows_of_a_user_stand_together(folder: Path, tmp_path: Path) -> None:
    data = read(form(user="who", id="who"), folder)
    assert data.users.user_id.tolist() == ["a", "b", "c", "d", "e"]
    assert data.exposures.user.tolist() == [0, 0, 0, 1, 2, 3, 4]
    assert data.exposures.context[:, 0].tolist()[:3] == [30, 31, 32]
    assert data.labels("came").tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert data.exposures.is_new_user.tolist() == [True, False, False, True, True, True, True]
    save(data, tmp_path / "saved")
    assert load(tmp_path / "saved").meta == data.meta


VISITS = """1,2026-01-05 10:00:00,2026-01-05 10:00:09,A/B/p;A/B/q;
2,2026-01-05 10:00:00,2026-01-05 10:00:00,A/C/r/
3,2026-01-06 22:00:00,2026-01-06 22:01:39,A/B/p
4,2026-01-05 09:00:00,2026-01-05 09:00:00,A/C/s;A/B/p;A/C/r
5,2026-01-05 09:30:00,2026-01-05 09:30:00,
"""
SEEN = {
    "form": "tabular",
    "files": [{"path": "v.csv.gz", "columns": ["id", "start", "end", "seen"]}, {"path": "y.csv", "columns": ["sex"]}],
    "id": "id",
    "steps": {"column": "seen", "path_separator": "/"},
    "clock": {"start": "start", "end": "end"},
    "labels": {"male": {"column": "sex", "kind": "binary", "positive": "m"}},
    "split": {"rule": "modulo", "modulo": 4, "held": [1], "test": [3]},
}


LEVEL = {"seen": {"column": "sex", "kind": "multiclass"}}


@pytest.fixture
def visits(tmp_path: Path) -> Path:
    with gzip.open(tmp_path / "v.csv.gz", "wt") as file:
        file.write(VISITS + VISITS)
    (tmp_path / "y.csv").write_text("m\nf\n\nf\nf\n" * 2)
    return tmp_path


def test_steps_become_the_stream_and_paths_categories(visits: Path) -> None:
    data = read(TabularForm.model_validate(SEEN), visits)
    assert np.diff(data.streams.offsets)[:5].tolist() == [2, 1, 1, 3, 0]
    assert (data.exposures.history == np.diff(data.streams.offsets)).all()
    assert data.items.item_id[data.streams.item[:3]].tolist() == ["A/B/p", "A/B/q", "A/C/r"]
    category = dict(zip(data.items.item_id.tolist(), data.items.category.tolist(), strict=True))
    assert category["A/B/p"] == category["A/B/q"] and category["A/B/p"][0] == category["A/C/r"][0] > 0
    assert category["A/B/p"][1] != category["A/C/r"][1] and category["-"] == [category["-"][0], 0]
    assert data.exposures.split[:9].tolist() == [0, 1, 0, 3, 0, 2, 0, 3, 0]  # held rows take turns
    np.testing.assert_array_equal(data.labels("male")[:5], [1, 0, np.nan, 0, 0])
    context = dict(zip(data.meta.context, data.exposures.context.T, strict=True))
    assert context["hour"][:4].tolist() == [10, 10, 22, 9] and context["weekday"][:3].tolist() == [0, 0, 1]
    assert context["log_seconds"][:3] == pytest.approx(np.log([10, 1, 100]))
    assert context["log_steps"][:5] == pytest.approx(np.log([3, 2, 2, 4, 1]))
    assert context["day"][:4].tolist() == [0, 0, 1, 0]


def test_a_visit_reads_its_visitors_earlier_visits_and_no_later_one(visits: Path) -> None:
    data = read(TabularForm.model_validate(SEEN | {"user_restarts": "start"}), visits)
    assert data.exposures.user.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 2, 2]  # time goes back before the 4th and 9th row
    assert data.exposures.history.tolist() == [2, 3, 4, 3, 3, 5, 6, 7, 3, 3]
    user = np.repeat(np.arange(3), np.diff(data.streams.offsets))
    same = user[1:] == user[:-1]
    assert (np.diff(data.streams.time)[same] > 0).all()  # even where two visits start at once
    for row in range(10):
        first, end = data.streams.offsets[data.exposures.user[row] :][:2]
        before = data.streams.time[first:end] < data.exposures.time[row]
        assert before.sum() == data.exposures.history[row]


def test_some_rows_are_left_out(visits: Path) -> None:
    rule = {"rule": "modulo", "modulo": 5, "held": [1], "test": [3], "left_out": [0, 2]}
    data = read(TabularForm.model_validate(SEEN | {"split": rule, "labels": LEVEL}), visits)
    assert data.exposures.split.tolist() == [-1, 1, -1, 3, 0, -1, 2, -1, 3, 0]


def test_users_dealt_by_share_are_in_one_split(visits: Path) -> None:
    rows = [f"u{i % 40},{i % 2}" for i in range(200)]
    (visits / "u.csv").write_text("user,y\n" + "\n".join(rows))
    shared = {"rule": "share", "train": 0.5, "validation": 0.2, "fusion": 0.1}
    label = {"y": {"column": "y", "kind": "binary"}}
    data = read(
        TabularForm.model_validate(
            {"form": "tabular", "files": [{"path": "u.csv"}], "user": "user", "labels": label, "split": shared}
        ),
        visits,
    )
    pairs = np.unique(np.stack([data.exposures.user, data.exposures.split]), axis=1)
    assert pairs.shape[1] == 40 and set(pairs[1]) == {0, 1, 2, 3}
    assert (data.users.fold == pairs[1]).all()


def test_parquet_and_other_delimiters_give_the_same(folder: Path) -> None:
    names = HEADER.strip().split(",")
    cells = [row.split(",") for row in ROWS]
    table = {name: [row[i] or None for row in cells] for i, name in enumerate(names)}
    pq.write_table(pa.table(table), folder / "t.parquet")
    (folder / "semicolon.csv").write_text((HEADER + "\n".join(ROWS)).replace(",", ";"))
    plain = read(form(), folder)
    for files in ([{"path": "t.parquet"}], [{"path": "semicolon.csv", "delimiter": ";"}]):
        other = read(form(files=files), folder)
        np.testing.assert_array_equal(other.exposures.labels, plain.exposures.labels)
        np.testing.assert_array_equal(other.exposures.context, plain.exposures.context)
        assert other.meta == plain.meta


CENSUS = """39, State-gov, 77516, Bachelors, 0, - 50000.
50, ?, 83311, Bachelors, NA, 50000+.
38, Private, 215646, HS-grad, 3, - 50000.
53, Private, 234721, 11th, 0, 50000+.
28, ?, 338409, Bachelors, 9, - 50000.
"""


def test_files_one_below_the_other_are_one_table_and_the_test_is_a_file(tmp_path: Path) -> None:
    for name in ("income.data", "income.held", "income.test"):
        (tmp_path / name).write_text(CENSUS)
    names = ["age", "work", "weight", "school", "gain", "income"]
    file = {"path": ["income.data", "income.held", "income.test"], "columns": names, "delimiter": ", "}
    rich = {"column": "income", "kind": "binary", "positive": "50000+."}
    census = {
        "form": "tabular",
        "files": [file | {"missing": ["?", "NA"]}],
        "categorical": ["work"],
        "numeric": {"age": "plain", "gain": "log1p", "school": "indicators"},
        "labels": {"rich": rich},
        "split": {"rule": "file", "test": ["income.test"], "held": ["income.held"]},
    }
    data = read(TabularForm.model_validate(census), tmp_path)
    assert data.exposures.split.tolist() == [0] * 5 + [1, 2, 1, 2, 1] + [3] * 5
    assert data.labels("rich").tolist() == [0, 1, 0, 1, 0] * 3
    assert data.users.attributes[:5, 0].tolist() == [2, 0, 1, 1, 0] and data.meta.vocabulary_rows["work"] == 3
    assert data.meta.context == ("age", "gain", "school=11th", "school=Bachelors", "school=HS-grad")
    np.testing.assert_array_equal(data.exposures.context[:5, 1], np.log1p([0, np.nan, 3, 0, 9]).astype(np.float32))
    assert data.exposures.context[:5, 3].tolist() == [1, 1, 0, 0, 1]
    by_chance = TabularForm.model_validate(census | {"split": {"rule": "file", "test": ["income.test"], "share": 0.6}})
    split = read(by_chance, tmp_path).exposures.split
    assert set(split[:10]) == {0, 1, 2} and set(split[10:]) == {3}
    with pytest.raises(ValidationError, match="is none of `files`"):
        TabularForm.model_validate(census | {"split": {"rule": "file", "test": ["income.tset"]}})
    (tmp_path / "income.test").write_text(CENSUS.replace(", ", ",", 1))
    with pytest.raises(TriadError, match=r"income\.test: 1 record without the expected 6 cells: line 1 has 5"):
        read(TabularForm.model_validate(census), tmp_path)


def test_what_changes_within_a_user_is_no_attribute_and_may_be_an_indicator(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read(form(user="who"), folder)
    assert not caplog.records
    labels = {"came": FORM["labels"]["came"]}
    data = read(form(user="who", categorical=["town", "level"], labels=labels), folder)
    assert "column level: changes within 1 users" in caplog.text and "column town" not in caplog.text
    assert data.users.attributes[0].tolist() == [1, 1]  # Ulm, low
    data = read(form(user="who", numeric={"level": "indicators"}, labels=labels), folder)
    assert data.meta.context == ("level=low", "level=mid")
    assert data.exposures.context.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [1, 0], [1, 0]]
    (folder / "many.csv").write_text("n\n" + "\n".join(f"n{row}" for row in range(150)))
    (folder / "y.csv").write_text("y\n" + "0\n1\n" * 75)
    many = form(
        files=[{"path": "many.csv"}, {"path": "y.csv"}],
        categorical=[],
        numeric={"n": "indicators"},
        item=None,
        labels={"y": {"column": "y", "kind": "binary"}},
        split={"rule": "modulo"},
    )
    with pytest.raises(TriadError, match="90 different texts"):
        read(many, folder)


SHOWN = """who,what,at,click
a,pen,10,1
a,cup,20,1
a,ink,20,0
a,tea,20,1
b,cup,15,1
a,pen,30,0
b,tea,25,0
b,pen,40,1
a,cup,50,1
"""


def test_what_was_taken_is_read_by_later_rows_alone(tmp_path: Path) -> None:
    (tmp_path / "early.csv").write_text(SHOWN)
    (tmp_path / "held.csv").write_text(SHOWN.replace("\na,", "\nc,").replace("\nb,", "\nd,"))
    (tmp_path / "late.csv").write_text(SHOWN.replace(",20,", ",120,").replace(",10,", ",110,").replace(",50,", ",150,"))
    log = {
        "form": "tabular",
        "files": [{"path": ["early.csv", "held.csv", "late.csv"]}],
        "user": "who",
        "item": "what",
        "clock": {"start": "at", "epoch": "seconds"},
        "steps": {"label": "click"},
        "labels": {"click": {"column": "click", "kind": "binary"}},
        "split": {"rule": "file", "held": ["held.csv"], "test": ["late.csv"]},
    }
    data = read(TabularForm.model_validate(log), tmp_path)
    a = np.flatnonzero(data.users.user_id[data.exposures.user] == "a")
    shown = data.items.item_id[data.exposures.item[a]]
    assert shown[:6].tolist() == ["pen", "cup", "ink", "tea", "pen", "pen"]  # the sixth is the later file's, at 30 too
    # the three shown at 20 read what was taken at 10; the two at 30 also what was taken at 20
    assert data.exposures.history[a][:6].tolist() == [0, 1, 1, 1, 3, 3]
    first, end = data.streams.offsets[data.exposures.user[a[0]] :][:2]
    assert data.items.item_id[data.streams.item[first:end]].tolist()[:4] == ["pen", "cup", "tea", "cup"]
    for row in range(len(data.exposures.user)):
        first, end = data.streams.offsets[data.exposures.user[row] :][:2]
        before = data.streams.time[first:end] < data.exposures.time[row]
        assert before.sum() == data.exposures.history[row]
    assert set(data.streams.split) == {0, 1, 2, 3} and data.meta.context[-1] == "day"  # and not how much was taken
    assert data.exposures.is_cold_item.tolist() == (data.items.item_id[data.exposures.item] == "ink").tolist()


def test_the_latest_rows_are_the_test(tmp_path: Path) -> None:
    minutes = [9, 3, 3, 0, 5, 1, 5, 2, 5, 7]
    rows = [f"{minute},{place % 2}" for place, minute in enumerate(minutes)]
    (tmp_path / "t.csv").write_text("\n".join(["at,y", *rows]))
    latest = {
        "form": "tabular",
        "files": [{"path": "t.csv"}],
        "clock": {"start": "at", "epoch": "seconds"},
        "labels": {"y": {"column": "y", "kind": "binary"}},
        "split": {"rule": "time", "train": 0.3, "validation": 0.2, "fusion": 0.3},
    }
    data = read(TabularForm.model_validate(latest), tmp_path)
    assert dict(zip(minutes, data.exposures.split.tolist(), strict=True)) == {0: 0, 1: 0, 2: 0, 3: 1, 5: 2, 7: 3, 9: 3}
    with pytest.raises(ValidationError, match="by time asks for a `clock`"):
        TabularForm.model_validate(latest | {"clock": None})


def test_times_may_be_numbers(tmp_path: Path) -> None:
    rows = [
        "user,ms,y",
        *(f"u{row % 2},{1767607200000 + 3_600_000 * (row // 2) * (1 - 2 * (row % 2))},1" for row in range(20)),
    ]
    (tmp_path / "k.csv").write_text("\n".join(rows))
    clocked = {
        "form": "tabular",
        "files": [{"path": "k.csv"}],
        "user": "user",
        "clock": {"start": "ms", "epoch": "milliseconds"},
        "labels": {"y": {"column": "y", "kind": "binary"}},
    }
    data = read(TabularForm.model_validate(clocked), tmp_path)
    context = dict(zip(data.meta.context, data.exposures.context.T, strict=True))
    assert context["hour"][:10].tolist() == list(range(10, 20))  # from 2026-01-05 10:00 UTC
    assert context["hour"][10:].tolist() == list(range(1, 11))  # the other's rows run backward in the file
    with pytest.raises(TriadError, match="column ms: a cell is no time"):
        read(TabularForm.model_validate(clocked | {"clock": {"start": "ms"}}), tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"files": [{"path": "no.csv"}]}, "no such file"),
        ({"files": [{"path": "empty.csv"}]}, "holds no row"),
        ({"files": [{"path": "t.csv"}, {"path": "short.csv"}]}, "rows differ"),
        ({"item": "colour"}, "has no column 'colour', but who, town"),
        ({"numeric": {"town": "plain"}}, "column town: a cell is no number: row 1 'Aaa'"),
        ({"numeric": {"minus": "log1p"}, "files": [{"path": "t.csv"}, {"path": "minus.csv"}]}, "numbers below 0"),
        ({"labels": {"paid": {"column": "paid", "kind": "binary"}}}, "holds 9, not 0 or 1"),
        ({"labels": {"t": {"column": "level", "kind": "binary", "positive": "Köln"}}}, "never 'Köln'"),
        (
            {"labels": {"t": {"column": "gone", "kind": "regression"}}, "files": [{"path": "gone.csv"}]},
            "test has no label",
        ),
        ({"clock": {"start": "town"}}, "a cell is no time"),
        ({"user": "town"}, "column town: 1 cells are empty"),
        ({"split": {"rule": "column", "column": "part", "test": "holdout"}}, "split test gets no row"),
    ],
)
def test_what_cannot_be_read_is_refused(folder: Path, changes: dict, message: str) -> None:
    (folder / "empty.csv").write_text(HEADER)
    (folder / "short.csv").write_text("extra\n1\n")
    (folder / "minus.csv").write_text("minus\n" + "-1\n" * 7)
    with_gone = [f"{row},{'' if ',test,' in row else 1}" for row in ROWS]
    (folder / "gone.csv").write_text(HEADER.strip() + ",gone\n" + "\n".join(with_gone))
    with pytest.raises(TriadError, match=message):
        read(form(**changes), folder)


def test_a_study_reads_csv_as_a_shops_table_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quoted line ends beyond a block, other signs and encodings, archives; a stray quote is found."""
    monkeypatch.setattr("triad.sources.records._READ", 64)

    def found(text: str | bytes, name: str = "other.csv", **keys):
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return read(form(files=[{"path": name, **keys}]), folder)

    plain = read(form(), folder)
    text = HEADER + "\n".join(ROWS)
    towns = text.replace("Ulm", '"Ulm\n(Donau)"').replace("Rome", '"Rom, ""ewig"""')
    assert (found(towns).users.attributes == plain.users.attributes).all()
    latin = text.replace("Ulm", "'Köln, \"Süd'").encode("latin-1")
    assert (found(latin, encoding="latin-1", quote="'").users.attributes == plain.users.attributes).all()
    with pytest.raises(TriadError, match=r"other\.csv: is not utf-8 text: line 2 .*\n.*data\.encoding"):
        found(latin, quote="'")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner.csv", text)
    assert (found(packed.getvalue(), "t.csv.zip").exposures.item == plain.exposures.item).all()
    stray = text.replace("Ulm,30", '"Ulm,30').replace("Rome,40", 'Rome",40')
    with pytest.raises(TriadError, match="read like records of their own: from line 2 to 5"):
        found(stray)
    assert (found(stray, quote=None).exposures.item == plain.exposures.item).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "x"},
        {"user": "who", "user_restarts": "age"},
        {"labels": {"bought": {"column": "bought", "kind": "binary", "given": "came"}}},
        {"labels": {"level": {"column": "level", "kind": "multiclass", "positive": "low"}}},
        {"labels": {"age": {"column": "age", "kind": "regression"}}},
        {"steps": {"label": "came"}, "split": {"rule": "modulo"}},
        {"steps": {"label": "level"}},
        {"steps": {"label": "came"}, "item": None},
        {"steps": {"label": "came", "column": "part"}},
        {"labels": {"town": {"column": "town", "kind": "multiclass"}}},
        {"labels": {"offer": {"column": "offer", "kind": "multiclass"}}},
        {"split": {"rule": "modulo", "modulo": 3, "held": [0, 1], "test": [2]}},
        {"split": {"rule": "modulo", "held": [7]}},
        {"split": {"rule": "modulo", "left_out": [4]}},
        {"split": {"rule": "share", "train": 0.9, "validation": 0.1}},
    ],
)
def test_a_form_that_contradicts_itself_is_refused(changes: dict) -> None:
    with pytest.raises(ValidationError):
        form(**changes)


def test_the_forms_in_the_docs_are_forms() -> None:
    text = (Path(__file__).parents[1] / "docs" / "your_data.md").read_text()
    blocks = re.findall(r"```yaml\n(form: tabular\n.*?)```", text, re.DOTALL)
    found = [TabularForm.model_validate(yaml.safe_load(block)) for block in blocks]
    assert [list(one.labels) for one in found] == [
        ["visit", "conversion", "spend"],
        ["male"],
        ["income", "never_married"],
        ["click", "like", "long_view"],
    ]


@pytest.mark.skipif("TRIAD_DATASETS" not in os.environ, reason="TRIAD_DATASETS names no folder of data sets")
def test_pakdd_loads_by_its_columns_alone() -> None:
    changes = {
        "files": [
            {"path": "pakdd15/trainingData.csv.gz", "columns": ["id", "start", "end", "seen"]},
            {"path": "pakdd15/trainingLabels.csv.gz", "columns": ["sex"]},
        ],
        "labels": {"male": {"column": "sex", "kind": "binary", "positive": "male"}},
        "split": {"rule": "modulo"},
    }
    data = read(TabularForm.model_validate(SEEN | changes), Path(os.environ["TRIAD_DATASETS"]))
    assert np.bincount(data.exposures.split).tolist() == [9000, 1500, 1500, 3000]
    assert data.labels("male").mean() == pytest.approx(0.2198)


@pytest.mark.parametrize("kind", ["ranking", "bool"])
def test_a_column_has_a_kind_of_a_columns_label(kind: str) -> None:
    with pytest.raises(ValidationError, match=f"'{kind}' is none of binary, multiclass, regression"):
        form(labels={"y": {"column": "y", "kind": kind}})


@pytest.mark.parametrize("name", ["item", "category", "brand", "token", "a/b"])
def test_an_attribute_is_not_called_as_a_vocabulary_of_items(name: str) -> None:
    with pytest.raises(ValidationError, match=f"'{name}' is "):
        form(categorical=["town", name])
