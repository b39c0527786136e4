"""Checks what the tasks need: of the tables before any work, of the labels after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from triad.config.features import FeaturesParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.examples import UNITS
from triad.examples.base import A_FOLD
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS
from triad.features.sql import columns, scalar
from triad.kinds import KINDS
from triad.redaction import shown
from triad.schema import MOST_CATEGORIES, REQUIRED, TABLES
from triad.tasks import LABELS


def check_tables(session: duckdb.DuckDBPyConnection, params: FeaturesParams, tasks: Mapping[str, TaskParams]) -> None:
    """Refuse, by name, a task or a params key whose table, column or kind of event the source does not give.

    Raises:
        TriadError: what is missing, and for which task.
    """
    tables = _filled(session)
    for name in REQUIRED:
        if name not in tables:
            raise TriadError("is missing or empty", where=f"table {name}", mend="look at what `triad ingest` wrote")
    attributes = _attributes(session)
    for attribute in params.user_attributes:
        if attribute not in attributes:
            raise _lacking(
                "features.user_attributes", f"the column users.{attribute}", f"users has {sorted(attributes)}"
            )
    kinds = set(columns(session, "SELECT DISTINCT kind FROM events")["kind"].tolist())
    if not kinds - {"impression"}:
        raise TriadError(
            "holds no interaction", where="table events", mend="there is nothing to learn from impressions alone"
        )
    for name, task in tasks.items():
        where, label = f"tasks.{name}", LABELS[task.label]
        if label.make is None and label.unit == "exposures":
            raise TriadError("is a label of studies alone", where=f"{where}.label", mend="name one that events make")
        needs = label.needs(task)
        for what, needed, source, present in (
            ("the column users.{}", needs.columns, "users has", attributes),
            ("the table {}", (*UNITS[label.unit].tables, *needs.tables), "the source gives", tables),
            ("{} events", needs.events, "events has", kinds),
        ):
            for each in needed:
                if each not in present:
                    raise _lacking(where, what.format(each), f"{source} {sorted(present)}")
        if needs.shown and "impression" not in kinds and not params.sampled_negatives:
            impressions = "impressions, or features.sampled_negatives > 0 in their place"
            raise _lacking(where, impressions, f"events has {sorted(kinds)}")


def check_categories(
    session: duckdb.DuckDBPyConnection, params: FeaturesParams, tasks: Mapping[str, TaskParams]
) -> None:
    """Refuse an attribute of users that names people rather than groups of them: an address, a number, a remark.

    Raises:
        TriadError: an attribute to be learned has more than `schema.MOST_CATEGORIES` values.
    """
    attributes = {f"features.user_attributes: {name}": name for name in params.user_attributes}
    for task_name, task in tasks.items():
        attributes |= {f"tasks.{task_name}.column": column for column in LABELS[task.label].needs(task).columns}
    for where, name in attributes.items():
        column = '"' + name.replace('"', '""') + '"'
        values = scalar(session, f"SELECT count(DISTINCT {column}) FROM users")
        if values > MOST_CATEGORIES:
            rows = scalar(session, f"SELECT count({column}) FROM users")
            raise TriadError(
                f"has {values:,} different values in {rows:,} rows, where {MOST_CATEGORIES:,} can be learned",
                where=where,
                mend="group its values in the mapping (`map` with a `default`), or take it out",
            )


def check_keys(session: duckdb.DuckDBPyConnection, log: duckdb.DuckDBPyConnection) -> None:
    """`check_key` of the tables that features are made of; `log` answers for `events`."""
    for name in (*REQUIRED, *(["prices"] if has_prices(session) else [])):
        check_key(log if name == "events" else session, name)


def check_key(session: duckdb.DuckDBPyConnection, name: str) -> None:
    """Refuse a table whose key stands in two rows: what is joined with it would be there twice, and scored twice.

    Raises:
        TriadError: which key, and how many rows.
    """
    key = ", ".join(TABLES[name].key)
    once = f"SELECT count(*) FROM (SELECT hash({key}) AS hashed FROM {name} GROUP BY hashed HAVING count(*) > 1)"
    if not scalar(session, once):
        return  # numbers are counted sooner than the texts themselves, and without the disk
    twice = f"({key}) IN (SELECT ({key}) FROM {name} GROUP BY {key} HAVING count(*) > 1)"
    refuse(session, name, TABLES[name].key, twice, what="is there more than once", mend="send each row once")


def refuse(
    session: duckdb.DuckDBPyConnection, name: str, columns: tuple[str, ...], wrong: str, *, what: str, mend: str
) -> None:
    """Raises:
    TriadError: the SQL condition `wrong` holds for a row; its `columns` are shown.
    """
    rows = f"FROM {name} WHERE {wrong}"
    count = scalar(session, f"SELECT count(*) {rows}")
    if not count:
        return
    first = session.execute(f"SELECT {', '.join(columns)} {rows} ORDER BY ALL LIMIT 1").fetchall()[0]
    personal = [TABLES[name].column(column).personal for column in columns]
    value = ", ".join(shown(each, personal=hidden) for each, hidden in zip(first, personal, strict=True))
    raise TriadError(
        f"{value} {what} ({count:,} row{'s' * (count > 1)})", where=f"table {name}, {', '.join(columns)}", mend=mend
    )


def check_labels(data: Dataset, tasks: Mapping[str, TaskParams], splits: Sequence[str] = SPLITS) -> None:
    """Refuse a task that one of `splits` cannot learn, calibrate or measure.

    Raises:
        TriadError: a task has no labelled row in a split, a label of one class, or too few rows to tell an interval by.
    """
    for name, task in tasks.items():
        kind, label_of = KINDS[task.kind], LABELS[task.label]
        in_folds = UNITS[label_of.unit].judged == A_FOLD
        for split in splits:
            if kind.ranks:
                if split != "train" and not len(data.rows(split, "lists")):
                    raise _unlearnable(name, f"no question in split {split}: nobody interacts again there")
                continue
            label = data.known_labels(name, split)
            if not len(label):
                raise _unlearnable(name, f"no labelled row in split {split}", in_folds)
            if lack := kind.lack(label, split):
                raise _unlearnable(name, lack, in_folds)
        if label_of.covers is not None and set(label_of.calibrates) <= {*splits}:
            rows = sum(len(data.known_labels(name, split)) for split in label_of.calibrates)
            if rows < (needed := round(2 / (1 - label_of.covers)) - 1):  # as `statistics.conformal.fewest`
                named = " and ".join(label_of.calibrates)
                what = f"only {rows} labelled rows in split {named}, where an interval needs {needed}"
                raise _unlearnable(name, what, in_folds)


def _filled(session: duckdb.DuckDBPyConnection) -> set[str]:
    """Tables that the source gives, and that hold a row."""
    return {name for name in _present(session) if scalar(session, f"SELECT count(*) FROM {name}")}


def _present(session: duckdb.DuckDBPyConnection) -> set[str]:
    tables = session.execute("SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views()")
    return {name for (name,) in tables.fetchall()} & set(TABLES)


def _attributes(session: duckdb.DuckDBPyConnection) -> set[str]:
    columns = {row[0] for row in session.execute("DESCRIBE users").fetchall()}
    return columns - set(TABLES["users"].names)


def has_prices(session: duckdb.DuckDBPyConnection) -> bool:
    """Whether the source gives a table of prices."""
    return "prices" in _filled(session)


def given(session: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether `table` of the contract is there."""
    return table in _present(session)


def _lacking(where: str, needed: str, there: str) -> TriadError:
    return TriadError(
        f"needs {needed}; {there}", where=where, mend="take it out of params.yaml, or give the source what it needs"
    )


def _unlearnable(task: str, what: str, in_folds: bool = False) -> TriadError:
    """Args:
    in_folds: whether splits are folds of ids, so that more days would bring no row.
    """
    more = "widen ingest.window_days or features.split_days, or shorten its horizon_days"
    mend = f"take the task out, or {'give more products a value to learn' if in_folds else more}"
    return TriadError(what, where=f"tasks.{task}", mend=mend)
