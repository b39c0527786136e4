"""Numbers and money as a shop's files write them, converted by SQL.

A sign that could group digits or part decimals is refused until the mapping says which: `1.299` is 1299 in one file and
1.299 in another, and nothing in the text tells.
"""

from __future__ import annotations

from triad.schema import Column
from triad.sources.cells import Cell, Fault, Value, literal

_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
"""ISO 4217: digits of the minor unit, where they are not 2."""

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_EXACT = float(2**53)
_BLANK = "\\s\u00a0\u202f\u2009"
_SIGNS = {" ": f"[{_BLANK}]", "'": "['\u2019]", ".": "[.]", ",": "[,]"}
_NOISE = 1e-6  # of a minor unit: what a float can be off by


def number(cell: Cell) -> str:
    """SQL for the cell as a finite DOUBLE, NULL where it is none."""
    if cell.type == "VARCHAR":
        decimal, group = cell.table.decimal, _SIGNS.get(cell.table.thousands or "", "")
        whole = r"\d+" + (rf"|\d{{1,3}}({group}\d{{3}})+" if group else "")
        pattern = rf"[{_BLANK}]*[+-]?(({whole})([{decimal}]\d*)?|[{decimal}]\d+)([eE][+-]?\d+)?[{_BLANK}]*"
        bare = f"regexp_replace({cell.text}, {literal(f'[{_BLANK}]|{group}' if group else f'[{_BLANK}]')}, '', 'g')"
        made = f"TRY_CAST(replace({bare}, {literal(decimal)}, '.') AS DOUBLE)"
        made = f"CASE WHEN regexp_full_match({cell.text}, {literal(pattern)}) THEN {made} END"
    elif cell.type == "FLOAT":  # by its digits: 12.99 is 12.9899997… as a double
        made = f"CAST(CAST({cell.raw} AS VARCHAR) AS DOUBLE)"
    else:
        made = f"TRY_CAST({cell.raw} AS DOUBLE)"
    return f"CASE WHEN isfinite({made}) THEN {made} END"


def grouping(cell: Cell, *, decimals: bool = False) -> tuple[Fault, ...]:
    """The fault of a text whose sign may group its digits; with `decimals`, the decimal sign is known to do no such."""
    if cell.type != "VARCHAR" or cell.table.thousands is not None:
        return ()
    signs = "".join(s for s in ".,'\u2019" if not (decimals and s == cell.table.decimal)) + _BLANK
    pattern = rf"[{_BLANK}]*[+-]?[1-9]\d{{0,2}}([{signs}]\d{{3}})+([.,]\d*)?[{_BLANK}]*"
    what = "could be grouped digits or decimals"
    mend = (
        "name the sign that groups digits, e.g. `thousands: '.'` with `decimal: ','`; "
        "where none does, and all is decimals, `thousands: ''`"
    )
    return (cell.fault(f"regexp_full_match({cell.text}, {literal(pattern)})", what, mend),)


def amount(cell: Cell, currency: str, *, rounds: bool) -> Value:
    """Minor units of `currency` from a cell in major ones."""
    digits = 0 if currency in _NO_DIGITS.split() else 3 if currency in _THREE_DIGITS.split() else 2
    scaled = f"({number(cell)} * {10**digits})"
    whole = f"CASE WHEN abs({scaled}) < {_EXACT} THEN CAST(round({scaled}) AS BIGINT) END"
    finer = f"abs({scaled} - round({scaled})) > {_NOISE} + 4e-16 * abs({scaled})"
    return cell.convertible(
        whole,
        f"not an amount of {currency}",
        "`decimal`, `thousands` and `remove` (currency signs) make such texts numbers",
        *grouping(cell, decimals=rounds or digits == 3),
        cell.fault(
            finer,
            f"rounded to the decimals of {currency}" if rounds else f"more decimals than {currency} has",
            "`round: true` rounds them and counts them in the log",
            counted=rounds,
        ),
    )


def whole(column: Column, cell: Cell) -> Value:
    """An exact BIGINT."""
    if cell.type in _WHOLE:
        return Value(f"CAST({cell.raw} AS BIGINT)")
    made = number(cell)
    hint = "amounts with a fraction are `unit: major`; " if column.unit == "cents" else ""
    return cell.convertible(
        f"CASE WHEN {made} = trunc({made}) AND abs({made}) < {_EXACT} THEN CAST({made} AS BIGINT) END",
        "not a whole number",
        f"{hint}`decimal`, `thousands` and `remove` (signs) make such texts numbers",
        *grouping(cell),
    )
