"""One text for each value, whatever type a file stores: 123, 123.0 and 123.00 are the id `123`.

Columns come as Arrow and become one of few types (`settled`); their texts are SQL (`text`), so that a mapping can go
on from there. `texts` does both for a column of a table that needs no mapping.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from triad.errors import TriadError
from triad.redaction import masked

_LIMITS = {"FLOAT": 2**24, "DOUBLE": 2**53}
"""Whole numbers from here on share a float with their neighbours."""

UUID_BYTES = 16


def settled(data: pa.Table, where: str) -> pa.Table:
    """`data` with times in microseconds (floored), texts as strings, NaN missing, no dictionary; `where` is for errors.

    Raises:
        TriadError: a column holds lists or other things that have no text, bytes that are none, or too large numbers.
    """
    names = data.column_names
    return pa.table([_settled(data[name], f"{where}, column {name}") for name in names], names=names)


def text(sql: str, type_: str) -> str:
    """SQL for the text of the settled column `sql` of DuckDB type `type_`."""
    if type_ in _LIMITS:
        whole = f"CAST(CAST({sql} AS BIGINT) AS VARCHAR)"
        return f"CASE WHEN {_whole(sql, type_)} THEN {whole} ELSE CAST({sql} AS VARCHAR) END"
    if type_.startswith("DECIMAL") and not type_.endswith(",0)"):
        return rf"regexp_replace(CAST({sql} AS VARCHAR), '\.?0+$', '')"
    return sql if type_ == "VARCHAR" else f"CAST({sql} AS VARCHAR)"


def unclear(sql: str, type_: str) -> str | None:
    """SQL that is true where a number cannot be an id: it is not whole, infinite, or shares its float with others."""
    if type_ in _LIMITS:
        return f"NOT ({_whole(sql, type_)})"
    return f"{sql} <> trunc({sql})" if type_.startswith("DECIMAL") else None


def texts(column: pa.ChunkedArray, where: str, *, ids: bool = False) -> pa.ChunkedArray:
    """A settled column as text; `where` is for errors.

    Raises:
        TriadError: they are `ids` and some cannot be.
    """
    if column.type == pa.string():
        return column
    import duckdb  # a start that settles nothing does not wait for it

    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'; SET enable_external_access = false; SET lock_configuration = true")
        session.register("data", pa.table({"value": column}))
        type_ = session.execute("DESCRIBE data").fetchall()[0][1]
        if ids and (bad := unclear("value", type_)):
            count = session.execute(f"SELECT count(*) FROM data WHERE {bad}").fetchall()[0][0]
            if count:
                raise TriadError(f"{UNCLEAR} in {count:,} rows", where=where, mend=MEND_UNCLEAR)
        made = session.sql(f"SELECT {text('value', type_)} AS text FROM data").to_arrow_table()["text"]
    return made.cast(pa.string())


def _whole(sql: str, type_: str) -> str:
    return f"{sql} = trunc({sql}) AND abs({sql}) < {_LIMITS[type_]}"


UNCLEAR = "a number that is not whole, or too large for its float to be told from others"
MEND_UNCLEAR = "write ids as text or as whole numbers (int64)"


def _settled(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    arrow_type = column.type
    if isinstance(arrow_type, pa.UuidType):
        return column
    if pa.types.is_dictionary(arrow_type):
        return _settled(column.cast(arrow_type.value_type), where)
    if pa.types.is_nested(arrow_type):
        raise TriadError(f"holds {arrow_type}", where=where, mend="write one value a row, of a plain type")
    if pa.types.is_float16(arrow_type):
        raise TriadError(f"holds {arrow_type}, exact only to 2,048", where=where, mend="write it as float64 or int64")
    try:
        return _plain(column)
    except pa.ArrowInvalid as error:
        mend = "write text as strings in UTF-8, times between the years 1 and 9999, numbers of 38 digits at most"
        raise TriadError(
            f"holds {arrow_type}, not all of it readable: {masked(str(error))}", where=where, mend=mend
        ) from error


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    arrow_type = column.type
    if pa.types.is_timestamp(arrow_type):
        column = column.cast(pa.timestamp(arrow_type.unit, arrow_type.tz and "UTC"))
        floored = pc.floor_temporal(column, unit="microsecond") if arrow_type.unit == "ns" else column
        return floored.cast(pa.timestamp("us", arrow_type.tz and "UTC"))
    if pa.types.is_floating(arrow_type):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, arrow_type), column)
    if pa.types.is_decimal256(arrow_type):
        return column.cast(pa.decimal128(38, arrow_type.scale))
    if arrow_type == pa.binary(UUID_BYTES):
        chunks = [pa.ExtensionArray.from_storage(pa.uuid(), chunk) for chunk in column.chunks]
        return pa.chunked_array(chunks, pa.uuid())
    if pa.types.is_fixed_size_binary(arrow_type):
        return column.cast(pa.binary()).cast(pa.string())
    is_text = pa.types.is_large_string(arrow_type) or pa.types.is_string_view(arrow_type)
    return column.cast(pa.string()) if is_text or _is_bytes(arrow_type) else column


def _is_bytes(arrow_type: pa.DataType) -> bool:
    return pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type) or pa.types.is_binary_view(arrow_type)
