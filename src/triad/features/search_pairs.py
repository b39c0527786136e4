"""Pairs of a query and a product with their grades: of the table `searches`, or, where there is none, of clicks.

A query's rows all lie in its fold (md5 of the query), so none is learned from and judged on. Grades of clicks count
the pages of the fold's own days alone.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from triad.arrays import Bools, Ints
from triad.errors import TriadError
from triad.examples.searches import Searches
from triad.features.dataset import SPLITS
from triad.features.labels import values_of
from triad.features.positions import attractiveness, grades_of
from triad.features.splits import folds, split_of
from triad.features.sql import HOUR, columns, scalar, texts
from triad.texts import Texts

if TYPE_CHECKING:
    from triad.features.source import Source

FEWEST = 4
"""Pages that must have shown a pair before clicks say anything of it."""


def make(source: Source) -> Searches:
    """The rows of a night's tables; none while exposures are scored that did not happen.

    Raises:
        TriadError: while the state is fitted, neither `searches` nor events say what was searched for.
    """
    session, size = source.session, len(source.catalogue.item_id)
    if source.candidates is not None:
        pairs, judged = _nothing(), True
    elif judged := _has_grades(session):
        pairs = _graded(session)
    elif source.learned("searches").get("judged"):  # a request need not send grades
        pairs = _nothing()
    else:
        pairs = _clicked(source)
    query_text, query, item, grades = pairs
    text, number = Texts.of(query_text).codes() if len(query_text) else (Texts.of([]), np.zeros(0, np.int64))
    query = number[query] if len(query) else query
    order = np.lexsort((item, query))
    query, item, grades = query[order], item[order], grades[order]
    fold = folds(text)
    digest = [hashlib.md5(each.encode()).hexdigest()[:16] for each in text]
    ids = source.catalogue.item_id
    catalogue = {name: texts(session, f"coalesce({name}, '')", "items", "item_id") for name in _TEXTS}
    assert all(len(each) == size for each in catalogue.values())
    made = Searches(
        row_id=Texts.of([f"{digest[q]}-{ids[i]}" for q, i in zip(query, item, strict=True)]),
        query=query.astype(np.int32),
        item=item.astype(np.int32),
        split=fold[query],
        labels=values_of("searches", grades, len(query), source.state),
        judged=np.full(len(query), judged),
        queries=text,
        typed=_typed(source, text),
        **catalogue,
    )
    if source.candidates is None and not source.learned("searches"):
        _refuse_none(made)
    return made


_TEXTS = ("title", "description", "category", "brand")
_Pairs = tuple[Texts, Ints, Ints, np.ndarray]


def _nothing() -> _Pairs:
    return Texts.of([]), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)


def _has_grades(session: duckdb.DuckDBPyConnection) -> bool:
    there = "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'searches' AND column_name = 'relevance'"
    return scalar(session, there) > 0 and scalar(session, "SELECT count(*) FROM searches") > 0


def _graded(session: duckdb.DuckDBPyConnection) -> _Pairs:
    pairs = columns(
        session,
        "SELECT query, item_no, relevance FROM searches JOIN item_row USING (item_id) ORDER BY query, item_no",
    )
    text, query = Texts.of(pairs["query"]).codes() if len(pairs["query"]) else (Texts.of([]), np.zeros(0, np.int64))
    return text, query, pairs["item_no"].astype(np.int64), pairs["relevance"].astype(np.float64)


def _clicked(source: Source) -> _Pairs:
    """Grades of what search pages showed, by how often it was clicked there, wherever it stood."""
    session, windows = source.session, source.state.meta.windows
    within = source.state.params.attribution_hours * HOUR
    pairs = columns(
        session,
        f"""
        SELECT query_no, item_no, position, time, EXISTS (
            SELECT 1 FROM activity c WHERE c.kind = 1 AND c.user_no = shown.user_no AND c.item_no = shown.item_no
                AND c.time >= shown.time AND c.time < shown.time + {within}
                AND (c.visit IS NULL OR shown.visit IS NULL OR c.visit = shown.visit)
        ) AS taken
        FROM activity shown WHERE kind = 0 AND query_no IS NOT NULL AND position IS NOT NULL
        ORDER BY query_no, item_no, time, position, user_no
        """,
    )
    text = texts(session, "query", "query_row", "query_no")
    query, item = pairs["query_no"].astype(np.int64), pairs["item_no"].astype(np.int64)
    own: Bools = split_of(pairs["time"], windows) == folds(text)[query] if len(query) else np.zeros(0, bool)
    if windows["validation"][0] == windows["validation"][1]:  # all days are train
        own = np.ones(len(query), bool)
    query, item = query[own], item[own]
    pair, index = np.unique(query * len(source.catalogue.item_id) + item, return_inverse=True)
    place, clicked = pairs["position"][own].astype(np.int64), pairs["taken"][own].astype(np.float64)
    chance, pages = attractiveness(index, place, clicked, len(pair))
    enough = pages >= FEWEST
    query, item = np.divmod(pair[enough], len(source.catalogue.item_id))
    return text, query, item, grades_of(chance[enough])


def _typed(source: Source, text: Texts) -> Ints:
    """(queries,) visits of train in which customers searched for just that."""
    begin, end = source.state.meta.windows[SPLITS[0]]
    pairs = columns(
        source.session,
        f"""
        SELECT query, count(DISTINCT (user_no, visit)) AS times FROM activity JOIN query_row USING (query_no)
        WHERE kind = 0 AND time >= {begin} AND time < {end} GROUP BY query
        """,
    )
    place = Texts.of(pairs["query"]).places(text) if len(pairs["query"]) else np.full(len(text), -1)
    return np.where(place >= 0, np.append(pairs["times"], 0)[place], 0).astype(np.int64)


def _refuse_none(searches: Searches) -> None:
    """Raises TriadError: the shop says of no search what it wanted."""
    if not len(searches.query):
        raise TriadError(
            f"no query has judged products, nor {FEWEST} pages that show the same product with its position",
            where="table searches, and events.query",
            mend="give the table searches, or the events' query and position; or take the task out",
        )
