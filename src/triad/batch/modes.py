"""What is answered to a block of requests, in each mode, by the functions that answer one request.

What a mode prepares travels to workers: it holds arrays, and neither a session nor the fusion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from triad.arrays import Bools
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.fusion.fused import Fused
from triad.fusion.searching import search
from triad.privacy import forgotten
from triad.redaction import shown
from triad.texts import Texts
from triad.tracking.answering import answers
from triad.tracking.asked import described, messages_of, products_of
from triad.tracking.classifying import classes
from triad.tracking.inputs import opened
from triad.tracking.pricing import priced
from triad.tracking.searching import listed, on_sale
from triad.tracking.serving import midnight_after, of_tasks
from triad.tracking.standing import Standing
from triad.tracking.wording import worded

if TYPE_CHECKING:
    from triad.features.state import State
    from triad.tracking.serving import ServingModel

Answering = Callable[[Fused, pa.Table], pa.Table]
"""Answers a block of requests by the fusion."""


@dataclass(frozen=True)
class Mode:
    """A way to ask.

    Args:
        prepare: makes what answers from the model, the folder of tables, and what is asked for.
        rows: of a block: some hundred megabytes at most while it is answered.
        reads_tables: whether the tables matter.
    """

    prepare: Callable[[ServingModel, Path, Mapping[str, Any]], Answering]
    rows: int
    reads_tables: bool = False


def _scores(standing: Standing, fused: Fused, block: pa.Table) -> pa.Table:
    """A row a pair: user_id, item_id, is_known (whether the tables have the customer), and the scores of all tasks of
    exposures, were the item now the first on a page; as `ServingModel.predict`.
    """
    ids = {name: _texts(block, name) for name in ("user_id", "item_id")}
    user, item = standing.customers(ids["user_id"]), standing.items.places(ids["item_id"])
    if (item < 0).any():
        lost = shown(ids["item_id"][int(np.argmax(item < 0))], personal=False)
        mend = "name items that the night's tables hold"
        raise TriadError(f"{lost} is not known as of the night", where="column item_id", mend=mend)
    data = standing.shown(user, item)
    columns = {name: pa.array(each, pa.string()) for name, each in ids.items()}
    known = pa.array(user != standing.stranger)
    return pa.table(columns | {"is_known": known} | of_tasks(fused, data, np.arange(len(user))))


@dataclass(frozen=True)
class _Searching:
    data: Dataset
    may: Bools  # (n_items,) be shown
    standing: Standing
    k: int

    def __call__(self, fused: Fused, block: pa.Table) -> pa.Table:
        """At most `k` rows a query: query, user_id, and the columns of the mode online."""
        queries, ids = _texts(block, "query"), _texts(block, "user_id", optional=True)
        answers: list[pa.Table] = [pa.table({})] * len(queries)
        user = self.standing.customers(ids)
        for each in np.unique(user):
            rows = np.flatnonzero(user == each)
            leaning = self.standing.leaning(fused, int(each))
            answered = search(fused, self.data, queries[rows].tolist(), self.k, self.may, leaning=leaning)
            for row, one in zip(rows, answered, strict=True):
                answers[row] = listed(self.data.items.item_id, one)
        again = np.repeat(np.arange(len(queries)), [each.num_rows for each in answers])
        asked = {"query": pa.array(queries[again], pa.string()), "user_id": pa.array(ids[again], pa.string())}
        answer = pa.concat_tables(answers)
        return pa.table(asked | dict(zip(answer.column_names, answer.columns, strict=True)))


def _answers(state: State, fused: Fused, block: pa.Table) -> pa.Table:
    return answers(state, fused, *messages_of({"conversations": block}))


def _of_products(tell: Callable[..., pa.Table], state: State, fused: Fused, block: pa.Table) -> pa.Table:
    return tell(state, fused, products_of({"items": block}))


def _texts_of_products(params: Mapping[str, Any], fused: Fused, block: pa.Table) -> pa.Table:
    return worded(fused, described(block.to_pylist()), params)


def _texts(block: pa.Table, name: str, *, optional: bool = False) -> Texts:
    """A column of texts; of one that may lack, "" where nothing is said.

    Raises:
        TriadError: it holds something else, or lacks.
    """
    if optional and name not in block.column_names:
        return Texts.of([""] * block.num_rows)
    column = block[name] if name in block.column_names else None
    if column is None or (column.null_count and not optional) or not all(isinstance(e, str) for e in _said(column)):
        raise TriadError("is missing, or holds what is no text", where=f"column {name}", mend="give each row one")
    return Texts.of(column)


def _said(column: pa.ChunkedArray) -> list[Any]:
    return column.drop_null().to_pylist()


def _to_score(model: ServingModel, tables: Path, _: Mapping[str, Any]) -> Answering:
    with opened(tables) as session:
        return partial(_scores, _standing(Standing.of(session, model.state)))


def _to_search(model: ServingModel, tables: Path, params: Mapping[str, Any]) -> Answering:
    with opened(tables) as session:
        data, moment = model.standing(session), midnight_after(session)
        return _Searching(data, on_sale(data, moment), _standing(Standing.of(session, model.state)), params["k"])


def _standing(standing: Standing) -> Standing:
    """The tables may be older than a wish to be forgotten."""
    gone = forgotten.read()
    return standing.without(gone.holds) if len(gone) else standing


MODES = {
    "score": Mode(_to_score, 16_384, reads_tables=True),
    "search": Mode(_to_search, 256, reads_tables=True),
    "answer": Mode(lambda model, *_: partial(_answers, model.state), 1_024),
    "price": Mode(lambda model, *_: partial(_of_products, priced, model.state), 1_024),
    "classify": Mode(lambda model, *_: partial(_of_products, classes, model.state), 256),
    "describe": Mode(lambda _, __, params: partial(_texts_of_products, params), 1_024),
}
"""As online, but for what is made of all customers (`recommend`) or all items (`forecast`) anyway."""
