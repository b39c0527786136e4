"""The form "sequences": splits by hand, tables and lines alike, and every bad file told apart."""

import gzip
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triad.datasets.sequences import SequencesForm, read, read_refit
from triad.datasets.streams import DAY, LAST_DAY
from triad.errors import TriadError
from triad.features.dataset import SPLITS

LINES = "ann pen cup tea\nbob tea\ncy cup tea pen ink\n\ndan ink pen\n"
FORM = SequencesForm(form="sequences", path="log.txt", hash_buckets=2)


def written(folder, text=LINES, **form):
    (folder / "log.txt").write_text(text)
    return FORM.model_copy(update=form)


def items_of(data, split):
    """{(user, item)} of the steps in `split`."""
    user = np.repeat(data.users.user_id, np.diff(data.streams.offsets))
    here = data.streams.split == SPLITS.index(split)
    return set(zip(user[here].tolist(), data.items.item_id[data.streams.item][here].tolist(), strict=True))


def test_the_last_is_the_test_and_the_one_before_decides(tmp_path) -> None:
    data = read(written(tmp_path), tmp_path)
    assert data.users.user_id.tolist() == ["ann", "bob", "cy", "dan"]
    assert data.items.item_id.tolist() == ["cup", "ink", "pen", "tea"]
    assert items_of(data, "test") == {("ann", "tea"), ("cy", "ink"), ("dan", "pen")}  # bob took one thing only
    assert items_of(data, "validation") | items_of(data, "fusion") == {("ann", "cup"), ("cy", "pen")}
    assert items_of(data, "train") == {("ann", "pen"), ("bob", "tea"), ("cy", "cup"), ("cy", "tea"), ("dan", "ink")}
    cy = slice(*data.streams.offsets[2:4])
    assert data.items.item_id[data.streams.item[cy]].tolist() == ["cup", "tea", "pen", "ink"]
    assert (data.streams.time[cy] // DAY).tolist() == [LAST_DAY - 3, LAST_DAY - 2, LAST_DAY - 1, LAST_DAY]

    queries = data.lists
    asked = [
        (data.users.user_id[u], int(h), data.items.item_id[t])
        for u, h, t in zip(queries.user, queries.history, queries.target, strict=True)
    ]
    assert asked == [("ann", 1, "cup"), ("ann", 2, "tea"), ("cy", 2, "pen"), ("cy", 3, "ink"), ("dan", 1, "pen")]
    assert queries.offsets.tolist() == [0, 1, 2, 3, 4, 5]


def test_half_of_many_users_validate_and_refitting_takes_all_but_the_last(tmp_path) -> None:
    lines = "".join(f"u{i} a{i % 7} b{i % 5} c{i % 3}\n" for i in range(400))
    form = written(tmp_path, lines, watch=0.1)
    counts = Counter(read(form, tmp_path).streams.split.tolist())
    assert counts[0] == counts[3] == 400
    assert counts[1] + counts[2] == 400
    assert 160 < counts[1] < 240
    data = read_refit(form, tmp_path)
    counts = Counter(data.streams.split.tolist())
    assert (counts[0], counts[3]) == (800 - counts[1], 400)
    assert 20 < counts[1] < 60
    assert len(data.rows("test", "lists")) == 400


def test_items_that_train_lacks_share_rows(tmp_path) -> None:
    form = written(tmp_path)
    own = [
        id_
        for id_, row in zip(["cup", "ink", "pen", "tea"], read(form, tmp_path).items.vocabulary_row, strict=True)
        if row > 2
    ]
    assert own == ["cup", "ink", "pen", "tea"]
    later = written(tmp_path, "ann pen cup tea\ncy pen cup ink\n")
    data = read(later, tmp_path)
    rows = dict(zip(data.items.item_id.tolist(), data.items.vocabulary_row.tolist(), strict=True))
    assert rows["pen"] == 3  # 0 padding, 1 and 2 shared
    assert all(rows[name] in (1, 2) for name in ("cup", "ink", "tea"))
    assert data.meta.vocabulary_rows["item"] == 4


def test_attributes_are_tokens(tmp_path) -> None:
    (tmp_path / "what.json").write_text(json.dumps({"pen": [7, 9], "cup": [9], "unsold": [1]}))
    data = read(written(tmp_path, attributes="what.json"), tmp_path)
    tokens = dict(zip(data.items.item_id.tolist(), data.items.tokens.tolist(), strict=True))
    assert tokens == {"pen": [2, 1], "cup": [1, 0], "ink": [0, 0], "tea": [0, 0]}  # the most frequent first
    assert data.meta.vocabulary_rows["token"] == 3
    table = pa.table({"item": ["pen", "pen", "cup"], "attribute": ["7", "9", "9"]})
    pq.write_table(table, tmp_path / "what.parquet")
    again = read(written(tmp_path, attributes="what.parquet"), tmp_path)
    assert (again.items.tokens == data.items.tokens).all()


STEPS = "ann 30 tea,bob 1 tea,cy 2 tea,ann 9 pen,cy 1 cup,ann 20 cup,cy 4 ink,cy 3 pen,dan 9 pen,dan 8 ink"
ORDERS = {
    "numbers": str,
    "fractions": lambda step: f"{step / 7:.6f}",
    "days": lambda step: f"2026-01-{step:02d}",
    "times with a zone": lambda step: f"2026-01-{step:02d}T23:59:59+02:00",
}


def test_a_table_without_a_header_or_an_order(tmp_path) -> None:
    lines = read(written(tmp_path, "ann pen cup tea\ncy cup tea pen ink\n"), tmp_path)
    (tmp_path / "u.data").write_text("cy|5|cup\nann|4|pen\ncy|1|tea\nann|2|cup\ncy|3|pen\nann|3|tea\ncy|3|ink\n")
    form = {"columns": ("user", "rating", "item"), "delimiter": "|", "order": None, "hash_buckets": 2}
    table = read(SequencesForm(form="sequences", path="u.data", **form), tmp_path)
    assert (table.streams.item == lines.streams.item).all() and (table.lists.target == lines.lists.target).all()
    (tmp_path / "u.data").write_text("user|rating|item\n" + (tmp_path / "u.data").read_text())
    headed = read(SequencesForm(form="sequences", path="u.data", **form | {"columns": None}), tmp_path)
    assert (headed.streams.item == lines.streams.item).all()
    (tmp_path / "ratings.dat").write_text((tmp_path / "u.data").read_text().replace("|", "::"))
    longer = read(
        SequencesForm(form="sequences", path="ratings.dat", **form | {"columns": None, "delimiter": "::"}), tmp_path
    )
    assert (longer.streams.item == lines.streams.item).all()


def test_lines_may_be_compressed(tmp_path) -> None:
    text = "ann pen cup tea\ncy cup tea pen ink\n"
    lines = read(written(tmp_path, text), tmp_path)
    (tmp_path / "log.txt.gz").write_bytes(gzip.compress(text.encode()))
    packed = SequencesForm(form="sequences", path="log.txt.gz", hash_buckets=2)
    assert (read(packed, tmp_path).streams.item == lines.streams.item).all()
    (tmp_path / "log.txt.gz").write_bytes(gzip.compress(text.encode())[:-9])
    with pytest.raises(TriadError, match=r"log\.txt\.gz: the file is cut short"):
        read(packed, tmp_path)


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.tsv", "log.parquet"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_table_is_sorted_by_its_order_column(tmp_path, name: str, order: str) -> None:
    lines = read(written(tmp_path), tmp_path)
    steps = [step.split() for step in STEPS.split(",")]
    rows = [("who", "when", "what"), *((who, ORDERS[order](int(when)), what) for who, when, what in steps)]
    if name.endswith(".parquet"):
        columns = zip(rows[0], zip(*rows[1:], strict=True), strict=True)
        pq.write_table(pa.table({key: list(column) for key, column in columns}), tmp_path / name)
    else:
        text = "".join(("\t" if name == "log.tsv" else ",").join(row) + "\n" for row in rows).encode()
        (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    form = SequencesForm(form="sequences", path=name, user="who", item="what", order="when", hash_buckets=2)
    table = read(form, tmp_path)
    for part, array in (("streams", "item"), ("streams", "split"), ("lists", "target"), ("users", "user_id")):
        assert (getattr(getattr(table, part), array) == getattr(getattr(lines, part), array)).all()


@pytest.mark.parametrize(
    ("text", "form", "message"),
    [
        (None, {}, r"log\.txt: no such file"),
        ("", {}, "holds no interaction"),
        ("ann pen\nbob tea\n", {}, "no user has two items"),
        ("ann pen cup\nann tea ink\n", {}, "user 'aaa' has more than one line"),
        (LINES, {"attributes": "none.json"}, r"none\.json: no such file"),
        (LINES, {"attributes": "bad.json"}, "not readable as JSON"),
        (LINES, {"attributes": "list.json"}, "no mapping of items to lists"),
        (LINES, {"path": "log.csv"}, r"log\.csv: has no column 'user', nor any other"),
        (LINES, {"path": "log.csv", "user": "who", "item": "what", "order": "row"}, r"column what: 1 cells are empty"),
        (LINES, {"path": "log.csv", "user": "who", "item": "who", "order": "who"}, "who: a cell is neither a number"),
        (LINES, {"path": "none.parquet"}, r"none\.parquet: no such file"),
    ],
)
def test_bad_files_are_told(tmp_path, text, form, message) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "log.csv").write_text("who,what,row\nann,pen,1\nann,,2\n")
    if text is not None:
        (tmp_path / "log.txt").write_text(text)
    with pytest.raises(TriadError, match=message):
        read(FORM.model_copy(update=form), tmp_path)
