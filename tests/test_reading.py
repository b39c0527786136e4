"""How files are read: which ones a path names, what is in their containers, where quotes lead, and what bombs cost."""

import bz2
import csv
import gzip
import io
import json
import lzma
import random
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triad.config.files import TableParams
from triad.errors import TriadError
from triad.redaction import shown_path
from triad.sources import records
from triad.sources.reading import locate

HEAD = "id,title,price\n"
ROWS = "1,Lamp,10\n2,Big chair,12\n3,Pan,7\n"


def table(path: Path | str, **keys: Any) -> list[dict[str, Any]]:
    """The rows of the files, as a table of a shop would read them."""
    params = TableParams.model_validate({"path": str(path), **keys})
    files = locate(params, "ingest.files.items")
    pieces = list(files.pieces(["id", "title", "price"]))
    return pa.concat_tables(pieces).drop_columns("row over all files").to_pylist() if pieces else []


def ids(path: Path | str, **keys: Any) -> str:
    return "".join(row["id"] for row in table(path, **keys))


def said(path: Path | str, **keys: Any) -> str:
    with pytest.raises(TriadError) as caught:
        table(path, **keys)
    return str(caught.value)


def rows(*numbers: int) -> str:
    return HEAD + "".join(f"{number},item {number},{number}\n" for number in numbers)


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def parquet(path: Path, *numbers: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"id": [str(n) for n in numbers], "title": ["t"] * len(numbers), "price": [1] * len(numbers)}
    pq.write_table(pa.table(data), path)
    return path


def archive(path: Path, **members: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in members.items():
            packed.writestr(name, text)
    return path


# Containers.


@pytest.mark.parametrize("name", ["a.csv", "a.CSV", "a.txt", "a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.csv.lzma"])
def test_a_file_is_unpacked_as_its_name_says(tmp_path: Path, name: str) -> None:
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    pack[".lzma"] = lambda text: lzma.compress(text, lzma.FORMAT_ALONE)
    text = rows(1, 2).encode()
    assert ids(write(tmp_path / name, pack.get(Path(name).suffix, bytes)(text))) == "12"


def test_all_members_of_an_archive_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    members = {"b.csv": rows(3), "a.csv": rows(1, 2), "in/c.csv.gz": gzip.compress(rows(4).encode())}
    junk = {"__MACOSX/._a.csv": b"\0\5\x16\7", ".DS_Store": b"\0", "README.md": "read me", "in/_SUCCESS": ""}
    path = archive(tmp_path / "export.zip", **members, **junk)
    assert ids(path) == "1234"
    assert f"read {path}: a.csv: 2 rows" in caplog.text and f"read {path}: in/c.csv.gz: 1 rows" in caplog.text
    assert "not read as data" in caplog.text and "README.md" in caplog.text
    assert ids(archive(tmp_path / "one.csv.zip", data=rows(5))) == "5"  # the archive's name tells the format


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.csv": rows(1), "a.txt": rows(1)}, "may be the same data twice: a.csv, a.txt"),
        ({"a.csv": rows(1), "b.csv": rows(1)}, "b.csv: holds the same as"),
        ({"a.csv": rows(1), "b.csv": "id,name\n1,x\n"}, "b.csv, column title: column is missing; found id, name"),
        ({"a.csv": rows(1), "b.zip": b"PK"}, "is an archive in an archive: b.zip"),
        ({"a.csv": rows(1), "b.jsonl": b"{}"}, "a form that is not read: b.jsonl"),
        ({"a.csv": rows(1), "b.parquet": b"PAR1"}, "files of two formats"),
        ({"a.parquet": b"PAR1"}, "is packed Parquet"),
        ({"a": rows(1)}, "is it csv or parquet?"),
        ({"__MACOSX/._a.csv": b"\0"}, "no such file; not read"),
    ],
)
def test_what_an_archive_leaves_open_is_refused(tmp_path: Path, members: dict[str, Any], message: str) -> None:
    assert message in said(archive(tmp_path / "x.zip", **members))


def test_a_name_that_an_archive_holds_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed, pytest.warns(UserWarning, match="Duplicate name"):
        packed.writestr("a.csv", rows(1))
        packed.writestr("a.csv", rows(2))
    assert "may be the same data twice: a.csv, a.csv" in said(tmp_path / "x.zip")


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tgz", "x.csv.tar.gz", "x.7z", "x.rar", "x.csv.zst", "x.xlsx"])
def test_other_containers_are_refused_alone_and_in_a_folder(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / name, "w:gz") as packed:
        packed.add(write(tmp_path / "in.csv", rows(1)), "in.csv")
    (tmp_path / "in.csv").rename(tmp_path / "a.csv")
    assert "csv or parquet? The name does not tell" in said(tmp_path / name)
    assert f"holds data in a form that is not read: {name}" in said(tmp_path)


def test_archives_that_cannot_be_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", **{"a.csv": rows(*range(100))})
    whole = path.read_bytes()
    place = whole.index(b"PK\1\2")  # the list of members
    for at, value, message in ((8, 1, "is encrypted"), (10, 99, "this way of packing")):
        spoiled = bytearray(whole)
        spoiled[place + at] = spoiled[at - 2] = value
        path.write_bytes(spoiled)
        assert message in said(path)
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be unpacked as its name says (BadZipFile)" in said(path)


NO_DATA = [
    *("_temporary/0/part-0.csv", "_SUCCESS", "_metadata.csv", ".ipynb_checkpoints/a-checkpoint.csv", ".hidden.csv"),
    *("._a.csv", ".a.csv.swp", "a.csv~", "a.csv.bak", ".a.csv.crc", "a.csv.crc", "a.csv.part", "a.csv.tmp", "~$a.csv"),
    *("a.csv.crdownload", "a.csv.filepart", "a.csv._COPYING_", "a.csv.md5", "a.csv.sha256", "#a.csv#", "a.csv.done"),
    *("__MACOSX/a.csv", "@eaDir/a.csv", "lost+found/a.csv", "deep/er/.git/a.csv", "README.md", "schema.json"),
]


@pytest.mark.parametrize("name", NO_DATA)
@pytest.mark.parametrize("path", ["", "*", "**", "**/*"])
def test_what_other_tools_leave_is_no_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, path: str
) -> None:
    caplog.set_level("INFO")
    write(tmp_path / "b.csv", rows(1, 2))
    write(tmp_path / "day=1" / "_x=2" / "c.csv", rows(3))  # a column's name may begin so
    write(tmp_path / name, rows(9))
    assert ids(tmp_path / path) == ("12" if path == "*" else "123")
    if path == "":
        assert f"not read as data: {name}" in caplog.text


def test_hidden_files_are_read_where_they_are_meant(tmp_path: Path) -> None:
    write(tmp_path / "_landing" / "_a.csv", rows(1))
    for path in ("_landing/_a.csv", "_landing/_*.csv", "_l*/_*.csv"):
        assert ids(tmp_path / path) == "1"


def test_a_glob_of_folders_reads_what_is_in_them(tmp_path: Path) -> None:
    for day in (1, 2):
        write(tmp_path / f"day={day}" / "part-0.csv", rows(day))
        write(tmp_path / f"day={day}" / "_SUCCESS", "")
    assert ids(tmp_path / "day=*") == ids(tmp_path) == ids(tmp_path / "**" / "*.csv") == "12"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.csv": rows(1), "a.csv.gz": gzip.compress(rows(1).encode())}, "same data twice: a.csv, a.csv.gz"),
        ({"a.csv": rows(1), "a.parquet": b""}, "same data twice: a.csv, a.parquet"),
        ({"a.csv": rows(1), "a (1).csv": rows(1)}, "a.csv: holds the same as"),
        ({"a.csv": rows(1), "old/a.csv": rows(1)}, "a.csv: holds the same as"),
        ({"a.csv": rows(1), "b.csv.bz2": bz2.compress(rows(1).encode())}, "b.csv.bz2: holds the same as"),
        ({"a.csv": rows(1), "b.parquet": b""}, "holds files of two formats"),
        ({"a.csv": rows(1), "b.csv": "id,title\n2,x\n"}, "b.csv, column price: column is missing"),
        ({"a.csv": rows(1), "b.csv": ""}, "b.csv: the file is empty"),
    ],
)
def test_a_folder_that_is_ambiguous_is_refused(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    for name, text in files.items():
        write(tmp_path / name, text)
    assert message in said(tmp_path)


def test_equal_parquet_files_are_refused_and_two_days_without_rows_are_not(tmp_path: Path) -> None:
    for name in ("p/a.parquet", "p/b.parquet"):
        parquet(tmp_path / name, 1, 2)
    assert "b.parquet: holds the same as" in said(tmp_path / "p")
    parquet(tmp_path / "p" / "b.parquet", 3, 4)
    assert ids(tmp_path / "p") == "1234"
    for name in ("c/1.csv", "c/2.csv"):
        write(tmp_path / name, HEAD)
    write(tmp_path / "c" / "3.csv", rows(7))
    assert ids(tmp_path / "c") == "7"
    for name in ("c.parquet", "d.parquet"):
        parquet(tmp_path / "p" / name)
    assert ids(tmp_path / "p") == "1234"


@pytest.mark.parametrize(
    ("mark", "data", "path"),
    [
        ("_delta_log/0.json", "part-0.parquet", ""),
        ("_delta_log/0.json", "day=1/part-0.parquet", ""),
        ("_delta_log/0.json", "day=1/part-0.parquet", "day=1"),
        ("_delta_log/0.json", "part-0.parquet", "*.parquet"),
        ("_delta_log/0.json", "part-0.parquet", "part-0.parquet"),
        ("in/_delta_log/0.json", "in/part-0.parquet", ""),
        (".hoodie/x", "part-0.parquet", ""),
        ("metadata/1.metadata.json", "data/part-0.parquet", "data"),
        ("metadata/1.metadata.json", "data/day=1/part-0.parquet", ""),
    ],
)
def test_tables_that_mark_rows_as_deleted_are_refused(tmp_path: Path, mark: str, data: str, path: str) -> None:
    parquet(tmp_path / data, 1)
    assert ids(tmp_path / path) == "1"
    write(tmp_path / mark, "{}")
    assert " table: its files hold rows that were deleted" in said(tmp_path / path)


# A path is a name first.


@pytest.mark.parametrize(
    "folder", ["[50%]", "a#b", "what?", "it's", "my shop", "Käse", "a%20b", "*", "a::b", "{x,y}", "$HOME", "~", "[!a]*"]
)
@pytest.mark.parametrize("path", ["a.csv", "", "*.csv", "?.csv", "in/**/*.csv"])
@pytest.mark.parametrize("variable", [True, False])
def test_a_folder_of_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, path: str, variable: bool
) -> None:
    home = tmp_path / folder
    write(home / "in" / "deep" / "x.csv" if "**" in path else home / "a.csv", rows(1))
    write(tmp_path / "5" / "a.csv", rows(9))  # what the folder's name fits as a pattern
    monkeypatch.setenv("SHOP_EXPORTS", str(home))
    assert ids(f"${{SHOP_EXPORTS}}/{path}" if variable else home / path) == "1"
    monkeypatch.chdir(tmp_path)
    assert ids(f"{folder}/{path}") == "1"


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    write(tmp_path / "[ab].csv", rows(1))
    write(tmp_path / "a.csv", rows(2))
    assert ids(tmp_path / "[ab].csv") == "1" and ids(tmp_path / "[a]*.csv") == "2"
    fsspec.filesystem("memory").pipe("/[50%]/x.csv", rows(3).encode())
    assert ids("memory://[50%]/x.csv") == ids("memory://[50%]/*.csv") == ids("memory://[50%]") == "3"


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("/dev/zero")
    assert "is no regular file" in said(tmp_path / "a.csv")


# Variables and secrets.


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "HOME", "TRIAD_PSEUDONYM_KEY", "SHOP_TOKEN", "shop_x"])
def test_a_variable_that_may_not_stand_in_a_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv(name, "hunter2")
    text = said(f"{tmp_path}/${{{name}}}/a.csv")
    assert f"variable {name} may not stand in a path" in text and "hunter2" not in text
    monkeypatch.setenv("TRIAD_PATH_VARIABLES", f"OTHER, {name}")
    text = said(f"{tmp_path}/${{{name}}}/a.csv")
    assert "no such file" in text and f"${{{name}}}/a.csv" in text and "hunter2" not in text


BAD = {
    "short": "1,x\n",
    "stray": '1,"x,2\n',
    "column": None,
    "encoding": b"1,\xff,2\n",
    "nul": b"1,\0,2\n",
    "packed": b"",
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("path", ["a.csv", "", "*.csv"])
def test_messages_show_the_path_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, bad: str, path: str
) -> None:
    caplog.set_level("INFO")
    home = tmp_path / "hunter2"
    monkeypatch.setenv("SHOP_EXPORTS", str(home))
    tail = BAD[bad]
    start = "id,title\n1,2\n" if tail is None else HEAD
    write(home / "a.csv", start.encode() + (tail.encode() if isinstance(tail, str) else tail or b""))
    if bad == "packed":
        (home / "a.csv").rename(home / "a.csv.gz")
        path = path.replace("csv", "csv.gz")
    text = said(f"${{SHOP_EXPORTS}}/{path}")
    assert "${SHOP_EXPORTS}/a.csv" in text and "hunter2" not in text + caplog.text


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("s3://key:secret@bucket/x.csv", "s3://bucket/x.csv"),
        ("https://user:sec@ret/x@host/a.csv?token=secret#secret", "https://host/a.csv"),
        ("https://host/a.csv?secret", "https://host/a.csv"),
        ("simplecache::s3://key:secret@b/*.csv", "simplecache::s3://b/*.csv"),
        ("s3://b/day?/*.csv", "s3://b/day?/*.csv"),
        ("abfs://b/x.csv?sig=secret", "abfs://b/x.csv"),
        ("/data/a@b/x?.csv", "/data/a@b/x?.csv"),
        ('{"path":"ftp://u:secret@h/x","a":"s3://k:secret@h/y"}', '{"path":"ftp://h/x","a":"s3://h/y"}'),
    ],
)
def test_urls_are_shown_without_their_secrets(url: str, left: str) -> None:
    assert shown_path(url) == left


ANNA = "anna.meyer@shop.de"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + f"1,{ANNA}\n",  # too few cells
        HEAD + f'1,"{ANNA} 12" pan,030 1234567\n',
        HEAD + f'1,"{ANNA},2\n2,"{ANNA}",2\n',
        f"1,{ANNA},030 1234567\n",  # no header
        f"{ANNA},meyer,berlin\n1,2,3\n",
        HEAD + f"1,{ANNA}\0,2\n",
        (HEAD + f"1,{ANNA} Müller,2\n").encode("latin-1"),
        HEAD + f"1,{ANNA * 1000},2\n",
        (HEAD + f"1,{ANNA},2\n").replace(",", ";"),
    ],
)
def test_no_message_shows_a_row(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str | bytes) -> None:
    caplog.set_level("DEBUG")
    with pytest.raises(TriadError) as caught:
        table(write(tmp_path / "a.csv", text), limits={"record_bytes": 2000})
    shown = str(caught.value) + caplog.text + repr(caught.value.__cause__)
    assert not any(part in shown for part in ("anna", "meyer", "1234567", "ller"))
    assert "line" in shown


# Quotes.


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('4,"Big 5" knife,9\n', "opens a cell in line 5 and closes in line 5, in the midst"),
        ('4,"Big 5 knife,9\n5,"Small 6 knife,8\n', "opens a cell in line 5 and closes in line 6, in the midst"),
        ('4,"Big knife,9\n5,Lid,8\n', "opens a cell in line 5 and never closes"),
        ('4,"Big knife,9\n5,Lid,8\n6,Pan 12",7\n7,Cup,6\n', "read like records of their own: from line 5 to 7"),
        ('4,"Big knife,9\n\n5,"",8\n6,Pan 12",\n', "read like records of their own: from line 5 to 8"),
        ('4,Cup,"9\n5,Cup,8"\n', "read like records of their own: from line 5 to 6"),
        ('"4,Cup,9\n5",Cup,8\n', "read like records of their own: from line 5 to 6"),
        ('"4","Pan 12"","9"\n', "in the midst of a cell"),
        ('4,"12\\" pan",9\n', "in the midst of a cell"),
        ('4,"Big knife,9\r\n5,Pan 12",8\r\n', "from line 5 to 6"),
        ('4,"Big knife,9\r5,Pan 12",8\r', "from line 5 to 6"),
    ],
)
@pytest.mark.parametrize("read", [1, 7, 1 << 20])
def test_a_stray_quote_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: str, read: int
) -> None:
    monkeypatch.setattr(records, "_READ", read)
    path = write(tmp_path / "a.csv", HEAD + ROWS + text)
    assert line in said(path) and "ingest.files.items.quote: null" in said(path)
    if "12\\" not in text and 'Pan 12""' not in text:
        found = table(path, quote=None)
        assert len(found) == 3 + sum(bool(each) for each in text.splitlines())


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('"soft,\nblue"', "soft,\nblue"),
        ('"soft\n\n\nblue"', "soft\n\n\nblue"),
        ('"He said ""no"",\nor ""yes"""', 'He said "no",\nor "yes"'),
        ('"red,\n,blue"', "red,\n,blue"),
        ('"Main St 5, floor 2\n12345 Berlin, Germany"', "Main St 5, floor 2\n12345 Berlin, Germany"),
        ('"a\r\nb"', "a\r\nb"),
        ('""""', '"'),
        ('Pan 12" black', 'Pan 12" black'),
        ('Pan 12"', 'Pan 12"'),
        ("12'", "12'"),
    ],
)
@pytest.mark.parametrize("read", [3, 1 << 20])
def test_a_value_may_hold_line_ends_and_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, value: str, read: int
) -> None:
    monkeypatch.setattr(records, "_READ", read)
    found = table(write(tmp_path / "a.csv", f"{HEAD}{ROWS}4,{cell},9\n5,Cup,8\n"))
    assert [row["title"] for row in found] == ["Lamp", "Big chair", "Pan", value, "Cup"]


def test_lines_that_read_like_records_may_be_meant(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path = write(tmp_path / "a.csv", HEAD + ROWS + '4,"a,1\n5,b",9\n')
    assert "set ingest.files.items.multiline: true" in said(path)
    assert table(path, multiline=True)[-1]["title"] == "a,1\n5,b"
    assert "4 rows, 1 over several lines" in caplog.text


@pytest.mark.parametrize("sign", ["'", "|", "$"])
def test_another_sign_quotes(tmp_path: Path, sign: str) -> None:
    path = write(tmp_path / "a.csv", f'{HEAD}1,{sign}a, "b{sign},2\n')
    assert table(path, quote=sign)[0]["title"] == 'a, "b'


@pytest.mark.parametrize("keys", [{"quote": ""}, {"quote": "''"}, {"quote": "x"}, {"quote": ","}, {"delimiter": "\n"}])
def test_a_sign_that_can_be_none(keys: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"quote|delimiter"):
        TableParams.model_validate({"path": "x.csv", **keys})


@pytest.mark.parametrize("seed", range(4))
def test_any_text_is_cut_into_the_same_records(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Whatever the quotes, the cut does not depend on how much is read at once, and parsers agree with it."""
    draw = random.Random(seed)

    def read(text: str, size: int) -> tuple[Any, ...]:
        monkeypatch.setattr(records, "_READ", size)
        found = records.Records(io.BytesIO(text.encode()).read, records.Dialect("w", multiline=True), "f")
        try:
            return b"".join(found), found.several
        except TriadError as error:
            return (error.what,)

    for _ in range(80):
        if seed % 2:
            text = "x,y,z\n" + "".join(draw.choice('aab,,""\n\r\'') for _ in range(draw.randint(1, 40)))
            outcome = read(text, 1 << 20)
        else:
            made = [["".join(draw.choice('a",\n1 ') for _ in range(draw.randint(0, 5))) for _ in "xyz"] for _ in "1234"]
            out = io.StringIO(newline="")
            quoting = draw.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
            csv.writer(out, quoting=quoting, lineterminator=draw.choice(["\n", "\r\n"])).writerows([list("xyz"), *made])
            text = out.getvalue()
            outcome = read(text, 1 << 20)
            several = sum(any("\n" in cell for cell in row) for row in made)
            assert outcome == (text.split("\n", 1)[1].encode(), several)
        assert {read(text, size) for size in (1, 5)} == {outcome}


# Bombs: what a file costs does not depend on what it claims to be.


def peak(path: Path, *, limit: str = "{}") -> tuple[str, int]:
    """What reading says, and the most memory that it takes beyond a reader's own, in MiB."""
    program = (
        "import json, resource, sys\n"
        "from triad.config.files import TableParams\n"
        "from triad.errors import TriadError\n"
        "from triad.sources.reading import locate\n"
        "import pyarrow.csv, pyarrow.parquet\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    table = TableParams.model_validate({'path': sys.argv[1], 'limits': json.loads(sys.argv[2])})\n"
        "    for piece in locate(table, 'w').pieces(['id']): pass\n"
        "    print('read')\n"
        "except TriadError as error: print(error.what)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path), limit], capture_output=True, text=True, check=True)
    *text, most = done.stdout.splitlines()
    return "\n".join(text), int(most)


def _packed(path: Path, piece: bytes, times: int, head: bytes = b"id\n") -> Path:
    """A file of `head` and `times` a piece, written without holding it."""
    if path.suffix == ".zip":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
            packed.open("a.csv", "w", force_zip64=True) as f,
        ):
            f.write(head)
            for _ in range(times):
                f.write(piece)
        return path
    with {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}[path.suffix](path, "wb") as f:
        f.write(head)
        for _ in range(times):
            f.write(piece)
    return path


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_one_endless_line_is_not_held(tmp_path: Path, suffix: str) -> None:
    path = _packed(tmp_path / f"a.csv{suffix}", b"x" * (1 << 20), 64)
    text, most = peak(path, limit=json.dumps({"record_bytes": 1 << 20}))
    assert "the record that begins in line 2 is longer than 1,048,576 bytes" in text
    assert most < 64


def test_what_unpacks_to_far_more_than_its_size_is_refused(tmp_path: Path) -> None:
    path = _packed(tmp_path / "a.csv.gz", (b"1" * 1023 + b"\n") * (1 << 10), 96)
    text, most = peak(path)
    assert "unpacks to far more than its size" in text
    assert most < 200


def test_an_endless_quoted_value_is_not_held(tmp_path: Path) -> None:
    path = _packed(tmp_path / "a.csv.gz", b"x\n" * (1 << 19), 48, head=b'id\n"')
    text, most = peak(path, limit=json.dumps({"record_bytes": 1 << 20}))
    assert "the record that begins in line 2 is longer" in text and most < 150


def test_limits_of_columns_and_of_files(tmp_path: Path) -> None:
    write(tmp_path / "wide.csv", ",".join(f"c{n}" for n in range(200)) + "\n1\n")
    assert "200 columns, more than 100" in said(tmp_path / "wide.csv", limits={"columns": 100})
    path = archive(tmp_path / "many.zip", **{f"{n}.csv": rows(n) for n in range(20)})
    assert "20 files, more than 10" in said(path, limits={"files": 10})


def test_a_dictionary_of_parquet_does_not_become_gigabytes(tmp_path: Path) -> None:
    """2 kB that hold 10,000 times the same 100 kB."""
    path = tmp_path / "a.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), ["x" * 100_000])
    pq.write_table(pa.table({"id": column}), path, compression="zstd")
    assert path.stat().st_size < 10_000
    text, _ = peak(path, limit=json.dumps({"record_bytes": 1000}))
    assert "holds a value of 100,000 bytes, more than 1,000" in text
    text, most = peak(path)
    assert text == "read" and most < 600
    assert "holds a row group of" in said(parquet(tmp_path / "b.parquet", 1), limits={"group_bytes": 10})


def test_quoted_line_ends_in_a_file_of_some_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title", "price"])
        writer.writerows([n, "two\nlines " + "x" * 300, n] for n in range(40_000))
    found = table(path)
    assert [row["id"] for row in found] == [str(n) for n in range(40_000)]
