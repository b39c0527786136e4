"""Times as a shop's files write them, converted by SQL: with an offset, or local times that need a zone.

Nothing after a time is passed over: a zone is an offset, Z, UTC, GMT or an IANA name. An abbreviation means different
zones to different people (IST is India's, Israel's and Ireland's), so `zones` must say which. An offset with a zone in
brackets must be that zone's at that moment: which of the two is wrong, nobody can tell.

A local time that a zone skips (in spring) is read as an hour later, and one that it has twice (in autumn) as the
second. Both are counted in the log.
"""

from __future__ import annotations

import re

from triad.config.mapping import OFFSET, ColumnParams
from triad.schema import Column
from triad.sources.cells import Cell, Fault, Value, literal
from triad.sources.numbers import number

_EPOCH = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}
_WALL = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:(?:T| +)\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d+)?)?)?"
_PARTS = f"^ *({_WALL}) *(.*?) *$"
"""A time as ISO 8601 has it, and the zone behind it."""
_IANA = r"[A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+"
_BRACKETED = rf"\[{_IANA}\]"
_IN_BRACKETS = rf"\[({_IANA})\]$"
_UTC = "[Zz]|UTC|GMT|utc|gmt"
_BEHIND = r"^(.*?)\s*([A-Za-z\[]\S*|[+-][\d:]+(?:\[\S+\])?)$"
"""A time in a format of its own, and the zone behind it."""


def moment(column: Column, params: ColumnParams, cell: Cell) -> Value:
    """A TIMESTAMPTZ, or a DATE where `column` is a day."""
    zone = params.timezone or cell.table.timezone
    mend = "say how they are written: format: '%d/%m/%Y %H:%M', or epoch: seconds"
    zoned, naive = _readings(params, cell)
    if column.type == "date":  # a day is the one that is written, wherever that was; a bare moment's is the zone's
        if zoned and (wall := _wall(params, cell)):
            zoned = f"CASE WHEN ({zoned}) IS NOT NULL THEN {wall} END"
        elif zoned and zone:
            zoned = f"timezone({literal(zone)}, {zoned})"
        day = f"CAST(coalesce({', '.join(filter(None, (naive, zoned)))}) AS DATE)"
        return cell.convertible(day, "not a day", mend)
    made = [zoned] if zoned else []
    if naive and zone:
        made.append(f"timezone({literal(zone)}, {naive})")
    unread = " AND ".join(f"({reading}) IS NULL" for reading in (zoned, naive) if reading)
    mend += "; an abbreviation needs its zone, zones: {CET: Europe/Berlin} or {CET: '+01:00'}"
    faults = [cell.fault(f"{cell.text} IS NOT NULL AND {unread}", "not a time", mend)]
    if naive and not zone:
        hint = "set `timezone` to the zone they are meant in, e.g. UTC"
        faults.append(cell.fault(f"({naive}) IS NOT NULL", "a time without a zone", hint))
    elif naive and zone and zone not in ("UTC", "Etc/UTC", "GMT"):
        faults += _changes(cell, zone, naive)
    return Value(f"coalesce({', '.join([*made, 'CAST(NULL AS TIMESTAMPTZ)'])})", tuple(faults))


def _changes(cell: Cell, zone: str, naive: str) -> list[Fault]:
    """The log's message on local times around a change of the clock."""
    local = literal(zone)
    made = f"timezone({local}, {naive})"
    skipped = f"timezone({local}, {made}) <> {naive}"
    twice = f"timezone({local}, {made} - INTERVAL 1 HOUR) = {naive}"
    said = {f"skipped by the clock of {zone}": skipped, f"twice on the clock of {zone}": twice}
    hint = "write times in UTC or with their offset"
    return [cell.fault(is_so, what, hint, counted=True) for what, is_so in said.items()]


def _readings(params: ColumnParams, cell: Cell) -> tuple[str | None, str | None]:
    """SQL for the moment that a value names by itself, and for the wall clock's time that needs a zone."""
    if params.epoch:
        ticks = f"floor({number(cell)} * {_EPOCH[params.epoch]})"
        return f"CASE WHEN abs({ticks}) < 9e18 THEN make_timestamptz(CAST({ticks} AS BIGINT)) END", None
    if cell.type == "TIMESTAMP WITH TIME ZONE":
        return cell.raw, None
    if cell.type in ("TIMESTAMP", "DATE"):
        return None, f"CAST({cell.raw} AS TIMESTAMP)"
    wall = _wall(params, cell)
    if params.format and wall:
        return _at(cell, wall, _part(cell, _BEHIND, 2)), None
    if params.format:
        parsed = f"try_strptime({cell.text}, {literal(params.format)})"
        return (parsed, None) if "%z" in params.format else (None, f"CAST({parsed} AS TIMESTAMP)")
    is_wall = f"regexp_full_match({cell.text}, {literal(f' *{_WALL} *')})"
    return (
        f"CASE WHEN NOT {is_wall} THEN {_at(cell, wall or 'NULL', _part(cell, _PARTS, 2))} END",
        f"CASE WHEN {is_wall} THEN TRY_CAST({cell.text} AS TIMESTAMP) END",
    )


def _wall(params: ColumnParams, cell: Cell) -> str | None:
    """SQL for what the clock shows in a text that names its zone behind it; None where no such text is read."""
    if params.epoch or cell.type in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DATE"):
        return None
    if not params.format:
        return f"TRY_CAST({_part(cell, _PARTS, 1)} AS TIMESTAMP)"
    if params.format.endswith(("%z", "%Z")):
        shown = f"try_strptime({_part(cell, _BEHIND, 1)}, {literal(params.format[:-2].rstrip())})"
        return f"CAST({shown} AS TIMESTAMP)"
    return None


def _part(cell: Cell, pattern: str, number: int) -> str:
    return f"regexp_extract({cell.text}, {literal(pattern)}, {number})"


def _at(cell: Cell, wall: str, text: str) -> str:
    """SQL for the moment when a clock in the zone that `text` names shows `wall`, NULL where it names none or two."""
    made = f"TRY_CAST(CAST({wall} AS VARCHAR) || {_zone(cell, text)} AS TIMESTAMPTZ)"
    bracketed, both = f"regexp_extract({text}, {literal(r'[+-].*' + _IN_BRACKETS)}, 1)", literal(r"[+-]\d.*\[")
    # a name that is no zone's would end the query
    is_known = f"TRY_CAST('2000-01-01 00:00:00 ' || {bracketed} AS TIMESTAMPTZ) IS NOT NULL"
    agrees = f"{is_known} AND timezone(CASE WHEN {is_known} THEN {bracketed} ELSE 'UTC' END, {made}) = {wall}"
    return f"CASE WHEN NOT regexp_matches({text}, {both}) OR ({agrees}) THEN {made} END"


def _zone(cell: Cell, text: str) -> str:
    """SQL for a zone as DuckDB reads it behind a time, NULL where it is none."""
    behind = f"(?:{_UTC})? ?{OFFSET}(?:{_BRACKETED})?"
    hours, minutes = (f"regexp_extract({text}, {literal(p)}, 1)" for p in (r"[+-](\d\d?)", r"[+-]\d\d?:?(\d\d)"))
    offset = f"regexp_extract({text}, '[+-]') || lpad({hours}, 2, '0') || ':' || rpad({minutes}, 2, '0')"
    named = [f"WHEN {text} = {literal(name)} THEN {literal(_written(zone))}" for name, zone in cell.table.zones.items()]
    return (
        f"CASE {' '.join(named)} WHEN regexp_full_match({text}, {literal(_UTC)}) THEN '+00:00' "
        f"WHEN regexp_full_match({text}, {literal(behind)}) THEN {offset} "
        f"WHEN regexp_full_match({text}, {literal(f'{_IANA}|{_BRACKETED}')}) THEN ' ' || trim({text}, '[]') END"
    )


def _written(zone: str) -> str:
    if not re.fullmatch(OFFSET, zone):
        return f" {zone}"
    sign, digits = zone[0], zone[1:].replace(":", "")
    hours = digits[:-2] if len(digits) > 2 else digits
    return f"{sign}{hours:0>2}:{digits[len(hours) :] or '00'}"
