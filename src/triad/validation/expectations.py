"""Runs the suites with Great Expectations and writes its Data Docs.

Great Expectations takes seconds to import, so this module does it on first use. What it leaves to its callers is done
here: expectations it would drop are refused, exceptions inside one are told apart from failures, sample rows fetched.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from triad.errors import TriadError
from triad.redaction import Privacy, masked
from triad.schema import TABLES
from triad.validation.checks import Check
from triad.validation.engines import Engine, OnDuckDB
from triad.validation.pages import make_presentable, observed
from triad.validation.rows import rows_of, unexpected_rows
from triad.validation.suites import Expectation, Suite

SAMPLES = 5
"""Rows shown of each failed expectation."""


def window_of(first_day: date, as_of: date) -> dict[str, str]:
    """The parameters that an expectation may use, of the window `[first_day, as_of)`."""
    return {
        "since": f"{first_day}T00:00:00+00:00",
        "until": f"{as_of}T00:00:00+00:00",
        "first_day": str(first_day),
        "last_day": str(as_of - timedelta(days=1)),
    }


def run_suites(
    suites: Mapping[str, Suite], engine: Engine, window: Mapping[str, str], docs: Path, privacy: Privacy
) -> list[Check]:
    """Ask every expectation of `suites` (table → suite) of the tables of `engine`; write the pages to `docs`.

    Answers come in the order of the suites' files.

    Args:
        window: as `window_of` makes it.

    Raises:
        TriadError: an expectation is of an unknown type or has wrong arguments.
    """
    with _quiet():
        return _run(suites, engine, window, docs=docs, privacy=privacy)


@cache
def _hush_exit() -> None:
    """Once Great Expectations is loaded, DuckDB's bindings end the process with forty lines on harmless leaks."""
    atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Great Expectations from logging what is raised or returned anyway."""
    _hush_exit()
    logger = logging.getLogger("great_expectations")
    former = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(former)


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """What is imported meanwhile does not see the package, whether or not it has been imported before.

    Great Expectations imports PySpark wherever it is installed. That takes seconds, and one part of it ends a process
    whose main module is no file.
    """
    seen = {name: module for name, module in sys.modules.items() if f"{name}.".startswith(f"{package}.")}
    sys.modules.update(dict.fromkeys([package, *seen]))  # type: ignore[arg-type]  # None refuses an import
    try:
        yield
    finally:
        for name in {package, *seen}:
            del sys.modules[name]
        sys.modules.update(seen)


def great_expectations(unseen: str = OnDuckDB.unseen) -> ModuleType:
    """Great Expectations, imported on first use, and then without the package `unseen`."""
    with _hidden(unseen):
        return importlib.import_module("great_expectations")


def _run(
    suites: Mapping[str, Suite], engine: Engine, window: Mapping[str, str], *, docs: Path, privacy: Privacy
) -> list[Check]:
    gx = great_expectations(engine.unseen)
    from great_expectations.core import RunIdentifier
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    # pages of the suites alone would say nothing that those of the results do not
    parts = {"expectations": "none"}
    site = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
    context.add_data_docs_site("docs", {**site, "site_section_builders": parts})
    engine.connect(context)
    run_id = RunIdentifier(run_name=window["last_day"], run_time=window["until"])
    checks: list[Check] = []
    for table, suite in suites.items():
        loaded = context.suites.add(_loaded(table, engine.suite(table, suite)))
        places = {expectation.id: place for place, expectation in enumerate(loaded.expectations)}
        data, given = engine.batch(table)
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=table, data=data, suite=loaded))
        asked = {"batch_parameters": given, "expectation_parameters": dict(window)}
        outcome = definition.run(**asked, run_id=run_id, result_format="SUMMARY")
        results = {places[result.expectation_config.id]: result.to_json_dict() for result in outcome.results}
        for place, expectation in enumerate(suite["expectations"]):
            failed = not results[place]["success"] and not _exception(results[place])
            rows = unexpected_rows(table, expectation, window) if failed else None
            samples = _samples(engine, table, expectation, rows, privacy)
            check = _check(table, place, expectation, results[place], samples, privacy=privacy)
            at_fault = rows_of(table, expectation, window) if failed and check.severity == "critical" else None
            checks.append(replace(check, rows=at_fault or ""))
    make_presentable(context, privacy)
    context.build_data_docs()
    return checks


def _loaded(table: str, suite: Suite) -> Any:
    """The suite as Great Expectations' object. It would drop what it does not know; this refuses it."""
    from great_expectations.core import ExpectationSuite
    from great_expectations.exceptions import ExpectationNotFoundError, InvalidExpectationConfigurationError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    for place, expectation in enumerate(suite["expectations"]):
        where = f"expectations/{table}.json: expectations[{place}]"
        mend = "see the list of expectations at greatexpectations.io/expectations"
        try:
            ExpectationConfiguration(**expectation).to_domain_obj()
        except ExpectationNotFoundError as error:
            raise TriadError(f"unknown type {expectation['type']!r}", where=where, mend=mend) from error
        except (InvalidExpectationConfigurationError, TypeError, ValueError) as error:
            raise TriadError(f"{expectation['type']}: {error}", where=where, mend=mend) from error
    loaded = ExpectationSuite(**suite)
    if len(loaded.expectations) != len(suite["expectations"]):
        what = f"{len(loaded.expectations)} of {len(suite['expectations'])} expectations could be loaded"
        raise TriadError(what, where=f"expectations/{table}.json", mend="look for two that are the same")
    return loaded


def _exception(result: Mapping[str, Any]) -> str:
    """What an expectation raised, or nothing. An exception of the engine hides one level deeper, by metric."""
    info = result.get("exception_info") or {}
    infos = [info] if "raised_exception" in info else list(info.values())
    return next((str(i["exception_message"]) for i in infos if i.get("raised_exception")), "")


def _samples(
    engine: Engine, table: str, expectation: Expectation, rows: str | None, privacy: Privacy
) -> tuple[dict[str, Any], ...]:
    """The first rows of the query, as they may be shown, without what is personal and was not asked about."""
    if rows is None:
        return ()
    names, values = engine.first(rows, SAMPLES)
    column = _column(expectation)
    hidden = {c.name for c in TABLES[table].columns if c.personal and not c.name.endswith("_id") and c.name != column}
    shown = [place for place, name in enumerate(names) if name not in hidden and name not in names[:place]]
    return tuple(
        {names[place]: privacy.value(table, names[place], row[place]) for place in shown if row[place] is not None}
        for row in values
    )


def _column(expectation: Expectation) -> str | None:
    arguments = expectation["kwargs"]
    column = arguments.get("column") or (expectation.get("meta") or {}).get("column")
    return column or ", ".join(arguments.get("column_list", [])) or None


def _check(
    table: str,
    place: int,
    expectation: Expectation,
    result: Mapping[str, Any],
    samples: tuple[dict[str, Any], ...],
    *,
    privacy: Privacy,
) -> Check:
    type_, severity, passed = expectation["type"], expectation["severity"], bool(result["success"])
    if raised := _exception(result):
        message = f"expectations/{table}.json: expectations[{place}] ({type_}) could not be asked: "
        message += masked(raised, [value for value in expectation["kwargs"].values() if isinstance(value, str)])
        return Check(type_, table, _column(expectation), "critical", False, message, broken=True)
    numbers = result["result"]
    if not passed and not samples:
        values = observed(numbers.get("partial_unexpected_list", []), type_, table, str(_column(expectation)), privacy)
        samples = tuple({str(_column(expectation)): value} for value in values)
    seen = observed(numbers.get("observed_value"), type_, table, str(_column(expectation)), privacy)
    counted = seen if type_ == "unexpected_rows_expectation" else numbers.get("unexpected_count", 0)
    message = expectation.get("description") or _words(expectation)
    if not passed and not counted and seen is not None:
        message += f"; found {seen}"
    return Check(type_, table, _column(expectation), severity, passed, message, int(counted or 0), samples)


def _words(expectation: Expectation) -> str:
    """`expect_column_values_to_be_between` and its arguments, in words."""
    arguments = {k: v for k, v in expectation["kwargs"].items() if k not in ("column", "column_list")}
    text = str(expectation["type"]).removeprefix("expect_").replace("_", " ")
    plain = {k: v["$PARAMETER"] if isinstance(v, dict) and "$PARAMETER" in v else v for k, v in arguments.items()}
    shown = ", ".join(f"{k} {v}" for k, v in plain.items())
    return f"expected {text} ({shown})" if shown else f"expected {text}"
