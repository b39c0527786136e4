"""What is shown for a query: one member finds products, the fused task puts them in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.examples.searches import UNIT, asked
from triad.fusion.fused import Fused
from triad.members.popularity import item_shares
from triad.members.protocol import Searcher
from triad.search.retrieval import ALL, CANDIDATES, DEEP, NUMBER, POPULAR, Found, chosen
from triad.texts import Texts

FIRST = 50
"""Products of an answer that a known customer's own leaning puts in another order, at least."""
LEANS = 0.25
"""Grades that log odds of 1 count, by which a customer takes a product rather than a stranger does."""
Leaning = Callable[[Ints], Floats]
"""(n,) catalogue rows → log odds that the customer takes each, less those of a stranger."""


@dataclass(frozen=True)
class Shown:
    """A query's answer, best first, and how it matches (`search.retrieval`)."""

    items: Ints  # catalogue rows
    scores: Floats  # with what the customer's leaning adds
    match: str
    leans: Floats  # what that is; 0 of a stranger

    @property
    def is_of_words(self) -> bool:
        """Whether it is for words that were typed; else it is by number, or what is popular stands in."""
        return self.match not in (NUMBER, POPULAR)


def search(
    fused: Fused,
    data: Dataset,
    queries: Sequence[str],
    k: int,
    allowed: Bools | None = None,
    *,
    leaning: Leaning | None = None,
) -> list[Shown]:
    """At most `k` products for each query.

    Args:
        allowed: (n_items,) what may be shown; None: everything.
        leaning: of the customer who asks; None: nothing is known of them.

    Raises:
        TriadError: no member searches, or nothing was learned of searches.
    """
    searcher, task = _searcher(fused, data)
    answers = searcher.search(data, queries, max(CANDIDATES, k), allowed)
    for number, row in enumerate(_numbered(data.items.item_id, queries)):
        if row >= 0 and answers[number].match != ALL and (allowed is None or allowed[row]):
            answers[number] = Found(np.array([row]), NUMBER, np.zeros(1))
    query = np.repeat(np.arange(len(queries)), [len(each.items) for each in answers])
    item = np.concatenate([np.zeros(0, np.int64), *(each.items for each in answers)])
    scores = fused.predict(asked(data, queries, query, item), np.arange(len(item)), [task], UNIT.name)[task]
    share, shown = item_shares(data), []
    for number, each in enumerate(answers):
        mine = query == number
        own = share[item[mine]] if each.match == POPULAR else scores[mine]
        order = np.lexsort((item[mine], -own))
        if each.match != POPULAR:
            order = order[chosen(own, each.words, max(DEEP, k))[order]]
        leans = np.zeros(len(own))
        if leaning is not None and each.match != POPULAR and len(order):
            first = order[: max(FIRST, k)]
            leans[first] = LEANS * leaning(item[mine][first])
            order = first[np.lexsort((item[mine][first], -(own + leans)[first]))]
        order = order[:k]
        shown.append(Shown(item[mine][order], (own + leans)[order], each.match, leans[order]))
    return shown


def _numbered(item_ids: Texts, queries: Sequence[str]) -> list[int]:
    """The product whose id is each query, as it stands or in other letters; -1 of others."""
    forms = [(typed := query.strip(), typed.upper(), typed.lower()) for query in queries]
    few = Texts.of([form for each in forms for form in each])  # among which all ids are looked for, not the reverse
    row = {item_ids[row]: int(row) for row in np.flatnonzero(few.places(item_ids) >= 0)}
    return [next((row[form] for form in each if form in row), -1) for each in forms]


def _searcher(fused: Fused, data: Dataset) -> tuple[Searcher, str]:
    task = next(iter(fused.of_unit(data, UNIT.name)), None)
    if task is None:
        mend = "add a task of the label relevance, and train again"
        raise TriadError("it learned nothing of searches", where="the model", mend=mend)
    weight = fused.weights[task]
    for name in sorted(fused.members, key=lambda name: -weight.get(name, 0)):  # the one that orders most finds, too
        if isinstance(member := fused.members[name], Searcher):
            return member, task
    raise TriadError("no member searches", where="fusion", mend="name search_text or search_order in fuse.members")
