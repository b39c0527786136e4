"""Makes Great Expectations' pages safe: they show counts and settings, and all text in them is escaped.

It writes some texts of a suite and of the data into its pages as they are. So what it keeps of a run is replaced before
the pages are made. Single values stand on the index alone, which is ours.
"""

from __future__ import annotations

import html
from typing import Any

from triad.redaction import Privacy, masked

_COUNTS = (
    "element_count",
    "missing_count",
    "missing_percent",
    "unexpected_count",
    "unexpected_percent",
    "unexpected_percent_total",
    "unexpected_percent_nonmissing",
)


def make_presentable(context: Any, privacy: Privacy) -> None:
    """Replace each result in the store of `context` by one that pages may show."""
    store = context.validation_results_store
    for key in store.list_keys():
        page = store.get(key)
        for result in page.results:
            table = key.expectation_suite_identifier.name
            config = result.expectation_config
            column = str(config.kwargs.get("column", ""))
            result.result = escaped(_public(result.result, config.type, table, column, privacy))
            result.exception_info = escaped(_masked(result.exception_info))
            config.kwargs, config.meta = escaped(config.kwargs), escaped(config.meta)
            config.description, config.notes = escaped(config.description), escaped(config.notes)
        store.set(key, page)


def escaped(value: Any) -> Any:
    """`value` with every text in it as HTML shows it."""
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, dict):
        return {escaped(name): escaped(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(inner) for inner in value]
    return value


def once(page: str) -> str:
    """A page whose texts Great Expectations escaped a second time."""
    for sign in ("&amp;", "&lt;", "&gt;", "&quot;", "&#x27;"):
        page = page.replace("&amp;" + sign[1:], sign)
    return page


def _public(result: dict[str, Any], type_: str, table: str, column: str, privacy: Privacy) -> dict[str, Any]:
    kept = {name: result[name] for name in _COUNTS if name in result}
    if "observed_value" in result:
        kept["observed_value"] = observed(result["observed_value"], type_, table, column, privacy)
    return kept


def observed(value: Any, type_: str, table: str, column: str, privacy: Privacy) -> Any:
    """What an expectation of type `type_` found, each text shown as a value of `column`, if it is no name."""
    if value is None or type_.startswith("expect_table_") or "_type" in type_:
        return value
    if isinstance(value, list | tuple):
        return [observed(inner, type_, table, column, privacy) for inner in value]
    if isinstance(value, dict):
        return {name: observed(inner, type_, table, column, privacy) for name, inner in value.items()}
    return privacy.value(table, column, value)


def _masked(info: Any) -> Any:
    if not isinstance(info, dict):
        return info
    if "raised_exception" not in info:
        return {name: _masked(inner) for name, inner in info.items()}
    message = info.get("exception_message")
    return {**info, "exception_message": message and masked(message), "exception_traceback": None}
