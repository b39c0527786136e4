"""The requests that the registered model accepts, and its answers.

Tables come inline, or as the name of a folder or URL below a root that the operator allows: whoever can send a request
could else have any file read, and any address called. Rows are checked by the contract's keys, since two rows of one
user would be scored as two users. Answers hold nothing that JSON has no word for.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from triad.config.recommend import RecommendParams
from triad.errors import TriadError
from triad.examples.products import COLUMNS
from triad.features.requirements import check_key, refuse
from triad.schema import EVENT_KINDS, REQUIRED, TABLES
from triad.tracking.answering import answers
from triad.tracking.classifying import classes
from triad.tracking.forecasting import forecasts
from triad.tracking.inputs import Tables, arrow, opened
from triad.tracking.pricing import priced
from triad.tracking.searching import searched
from triad.tracking.wording import worded

if TYPE_CHECKING:
    from triad.tracking.serving import ServingModel

ROOTS = "TRIAD_SERVE_ROOTS"
"""Environment variable: the folders and URLs below which a client may name tables, each quoted as for a shell."""

MODES = ("score", "recommend", "search", "answer", "price", "classify", "forecast", "describe")
_OF_PRODUCTS = {"price": priced, "classify": classes}
_PRODUCTS = 'send {"items": [{"item_id": …, "title": …, "brand": …, "category": …, "attributes": "{…}"}, …]}'
_INLINE = "or send the tables themselves (docs/serving.md)"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_REFERENCES = (("events", "user_id", "users"), ("events", "item_id", "items"), ("prices", "item_id", "items"))


def answer(model: ServingModel, model_input: Any, params: Mapping[str, Any]) -> pd.DataFrame:
    """What `mode` asks for; a `k` of 0 is the default.

    score: of every exposure; recommend: each user's `k` best items; search: the `k` best items for the text `query`, in
    the order for the customer `user_id` where one is named; answer: what each message is answered; price: what each
    product of the table items costs, from what it is; classify: its classes; forecast: its coming days; describe: its
    texts, in `tone` and `length`.

    Raises:
        TriadError: the tables may not be read or do not fit the contract, or a parameter is unknown or out of range.
    """
    mode = params["mode"]
    if mode not in MODES:
        raise TriadError(f"unknown mode {mode!r}", where="params.mode", mend=f"ask for {' or '.join(MODES)}")
    tables = _tables(model_input)
    if (told := _alone(model, mode, tables, params)) is not None:
        return _plain(told)
    with ExitStack() as stack:
        try:
            session = stack.enter_context(opened(tables))
            _check_rows(session)
        except (OSError, duckdb.Error, pa.ArrowException) as error:
            mend = "see that the place holds the contract's Parquet, and may be read where the model is served"
            raise TriadError(f"cannot be read ({type(error).__name__})", where="model input", mend=mend) from error
        if mode == "score":
            return _plain(model.predict(session))
        if mode == "forecast":
            return _plain(forecasts(model, session))
        if mode == "search":
            who = _text("user_id", params.get("user_id", ""))
            return _plain(
                searched(model, session, _text("query", params["query"]), _settings(model, params["k"]).k, who)
            )
        # a version's number is not known where it is served
        return _plain(model.recommend(session, _settings(model, params["k"])).drop_columns(["model_version"]))


def _alone(model: ServingModel, mode: str, tables: Tables, params: Mapping[str, Any]) -> pa.Table | None:
    """What is answered from one table, without a log; None: `mode` needs one."""
    if mode == "answer":
        return answers(model.state, model.fused, *messages_of(tables))
    if mode == "describe":
        return worded(model.fused, described(_items(tables).to_pylist()), params)
    tell = _OF_PRODUCTS.get(mode)
    return None if tell is None else tell(model.state, model.fused, products_of(tables))


def messages_of(tables: Tables) -> tuple[list[str], list[str]]:
    """Ids and texts of the messages of the request, which needs no other table. No error quotes them.

    Raises:
        TriadError: there are none, a column is unknown, or one is no text.
    """
    mend = 'send {"conversations": [{"message_id": …, "message": …}, …]}'
    if not isinstance(tables, Mapping) or "conversations" not in tables:
        raise TriadError("holds no messages", where="model input, table conversations", mend=mend)
    table, said = arrow("conversations", tables["conversations"]), []
    for name in ("message_id", "message"):
        values = table[name].to_pylist() if name in table.column_names else []
        if len(values) < max(table.num_rows, 1) or not all(isinstance(each, str) for each in values):
            where = f"table conversations, column {name}"
            raise TriadError("is missing, or holds what is no text", where=where, mend=mend)
        said.append(values)
    _known("conversations", table)  # not before: the columns of a file without names are what somebody wrote
    return said[0], said[1]


def products_of(tables: Tables) -> dict[str, list[str]]:
    """What the request says of products, "" where it says nothing; it needs no other table, and no price.

    Raises:
        TriadError: there is none, one has no id, a column is unknown, or holds what is no text.
    """
    table, said = _items(tables), {}
    for name in ("item_id", *COLUMNS):
        values = table[name].to_pylist() if name in table.column_names else [None] * table.num_rows
        held = [each for each in values if each is not None]
        if not all(isinstance(each, str) for each in held) or (name == "item_id" and not (held and all(values))):
            raise TriadError(
                "is missing, or holds what is no text", where=f"table items, column {name}", mend=_PRODUCTS
            )
        said[name] = [each or "" for each in values]
    return said


def _items(tables: Tables) -> pa.Table:
    if isinstance(tables, Mapping) and "items" in tables and (table := _known("items", tables["items"])).num_rows:
        return table
    raise TriadError("holds no products", where="model input, table items", mend=_PRODUCTS)


def described(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table items as texts are written from: every column, "" where nothing is said; a price may lack.

    Raises:
        TriadError: as `products_of`; or a price is no number.
    """
    said = products_of({"items": _rows("items", items)})
    prices = [_price(item.get("price_cents")) for item in items]
    return [
        {name: values[place] for name, values in said.items()} | {"price_cents": price}
        for place, price in enumerate(prices)
    ]


def _price(value: Any) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value if value is not None and math.isfinite(value) else None
    mend = "send whole cents, or leave the price out"
    raise TriadError("holds what is no number", where="table items, column price_cents", mend=mend)


def _known(name: str, rows: Any) -> pa.Table:
    """Rows of one of the contract's tables, of which any columns may lack: an answer without a misspelt one would say
    nothing of what it lacks.

    Raises:
        TriadError: the table has no such column.
    """
    table = arrow(name, rows)
    for column in table.column_names:
        if column not in TABLES[name].names:
            raise TriadError(
                "no such column", where=f"table {name}, column {column[:60]!r}", mend=_near(column, TABLES[name].names)
            )
    return table


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(name), known, 1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"


def _settings(model: ServingModel, k: Any) -> RecommendParams:
    settings = RecommendParams()
    order_by = settings.order_by if settings.order_by in model.fused.tasks else None
    try:
        return RecommendParams(k=k or settings.k, order_by=order_by)
    except ValidationError as error:
        mend = f"ask for 1 item or more; 0 means {settings.k}"
        raise TriadError(f"is no number of items: {k!r}", where="params.k", mend=mend) from error


def _text(name: str, text: Any) -> str:
    """Any text will do; a lone half of a surrogate pair, which no file can hold, is left out."""
    if not isinstance(text, str):
        mend = "send what was typed" if name == "query" else "send a customer's id as the table users has it"
        raise TriadError(f"is no text, but {type(text).__name__}", where=f"params.{name}", mend=mend)
    return text.encode("utf-8", "ignore").decode("utf-8")


def _plain(rows: pa.Table) -> pd.DataFrame:
    """`rows` as pandas, None where a value is missing or no finite number."""
    columns: dict[str, Any] = {}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        finite = pc.is_finite(column) if pa.types.is_floating(column.type) else True
        values = pc.if_else(finite, column, pa.scalar(None, column.type))
        columns[name] = pd.Series(values.to_pylist(), dtype=object) if values.null_count else values.to_pandas()
    return pd.DataFrame(columns)


def _tables(model_input: Any) -> Tables:
    """What the request holds: tables by name, or one row whose column `tables` holds them or names their place."""
    if isinstance(model_input, pd.DataFrame):
        if list(model_input.columns) != ["tables"] or len(model_input) != 1:
            raise TriadError(
                f"expected one row with the column tables, found {len(model_input)} with {list(model_input.columns)}",
                where="model input",
                mend="give one row whose column `tables` holds the tables or names their place",
            )
        model_input = model_input["tables"].iloc[0]
    if isinstance(model_input, str):
        return _allowed(model_input)
    if not isinstance(model_input, Mapping):
        raise TriadError(
            f"expected tables by name, found {type(model_input).__name__}",
            where="model input",
            mend=f"give a mapping of {', '.join(REQUIRED)} … to their rows",
        )
    for name in model_input:
        if name not in TABLES:
            raise TriadError("no such table", where=f"table {str(name)[:60]!r}", mend=_near(name, list(TABLES)))
    return {str(name): _rows(str(name), rows) for name, rows in model_input.items()}


def _rows(name: str, rows: Any) -> Any:
    """A table as pandas or Arrow; as JSON knows it, a list of an object a row."""
    if isinstance(rows, pd.DataFrame | pa.Table):
        return rows
    listed = rows.tolist() if isinstance(rows, np.ndarray) else rows
    if not isinstance(listed, Sequence) or not all(isinstance(row, Mapping) for row in listed):
        raise TriadError("is no list of rows", where=f"table {name}", mend='give [{"column": value, …}, …]')
    columns: dict[str, Any] = {}
    for column in dict.fromkeys(str(key) for row in listed for key in row):
        try:
            columns[column] = pa.array([row.get(column) for row in listed], from_pandas=True)
            mixed = pa.types.is_nested(columns[column].type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
            mixed = True
        if mixed:
            mend = "give a column plain values of one type, numbers within 64 bits"
            raise TriadError("holds no plain values of one type", where=f"table {name}, column {column}", mend=mend)
    return pa.table(columns)


def _allowed(place: str) -> Path | str:
    """`place`, if it lies below a root of TRIAD_SERVE_ROOTS once all links and `..` are followed.

    Raises:
        TriadError: it does not, whether or not anything is there.
    """
    try:
        roots = shlex.split(os.environ.get(ROOTS, ""))
    except ValueError as error:
        mend = "quote each folder and URL as for a shell"
        raise TriadError(f"cannot be read: {error}", where=f"environment variable {ROOTS}", mend=mend) from error
    refused = TriadError(
        "the operator allows no tables from there",
        where=f"model input, tables: {place[:100]!r}",
        mend=f"name a place below a root that {ROOTS} holds where the model is served, {_INLINE}",
    )
    if "::" in place or "\0" in place:  # fsspec chains file systems by the former
        raise refused
    if _URL.match(place) and not place.startswith("file:"):
        parts = place.partition("//")[2].split("/")
        clean = not re.search(r"[\\?#*\[\]%\s]", place) and not {".", ".."} & {*parts} and "" not in parts[:-1]
        if clean and any(place == root or place.startswith(root.rstrip("/") + "/") for root in roots if "://" in root):
            return place
        raise refused
    folder = _real(_local(place, refused))
    for root in (_real(root) for root in roots if "://" not in root):
        if folder.is_relative_to(root):
            # os.path finds no folder where a name is too long, and Path raises
            if os.path.isdir(folder) and all(_real(part).is_relative_to(root) for part in folder.rglob("*")):  # noqa: PTH112
                return folder
            break
    raise refused


def _real(path: Path | str) -> Path:
    return Path(os.path.realpath(path))  # of a loop of links too, where Path.resolve raises


def _local(place: str, refused: TriadError) -> Path:
    if not place.startswith("file:"):
        return Path(place)
    url = urlparse(place)
    if url.netloc not in ("", "localhost") or url.query or url.fragment or "\0" in unquote(url.path):
        raise refused
    return Path(unquote(url.path))


def _check_rows(session: duckdb.DuckDBPyConnection) -> None:
    """What the contract says of rows and a night's `validate` looks at too: needed values, keys, references, kinds.

    Raises:
        TriadError: one is not so; or a required table is empty.
    """
    there = [name for (name,) in session.execute("SHOW TABLES").fetchall() if name in TABLES]
    for name in there:
        table = TABLES[name]
        if name in REQUIRED and not session.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchall():
            raise TriadError("holds no row", where=f"table {name}", mend="send the rows that are asked about")
        for column in (c.name for c in table.columns if not c.nullable):
            refuse(session, name, (column,), f"{column} IS NULL", what="needs a value", mend="give each row one")
        check_key(session, name)
    for name, column, other in _REFERENCES:
        if name in there:
            lost = f"{column} NOT IN (SELECT {column} FROM {other})"
            mend = f"send its row in {other}, or leave this one out"
            refuse(session, name, (column,), lost, what=f"has no row in {other}", mend=mend)
    known = ", ".join(EVENT_KINDS)
    refuse(session, "events", ("kind",), f"kind NOT IN {EVENT_KINDS}", what="is no kind", mend=f"known are {known}")
