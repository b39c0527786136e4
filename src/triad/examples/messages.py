"""The unit `messages`: what customers write to the shop. Texts are masked before anything reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.base import A_FOLD, Made, Unit
from triad.tasks.reply import code
from triad.text.masking import masked
from triad.text.terms import plain
from triad.texts import Texts

if TYPE_CHECKING:
    import duckdb

    from triad.features.source import Source

WORDS = 32
"""First words of a message that networks read."""


@dataclass(frozen=True)
class Messages:
    """(n,) unless said otherwise."""

    message_id: Texts
    text: Texts  # masked, in plain form
    message: Ints  # which text it is: messages that say the same are not independent
    tokens: Ints  # (n, WORDS) rows of words, 0-padded
    split: Ints
    labels: Floats  # (n, n_tasks)


class _Unit(Unit):
    name = "messages"
    arrays = Messages
    key = "message_id"
    always = False
    tables = ("conversations",)
    is_shared = False  # text members learn messages better; a network that learns them too would answer the rest anew
    judged = A_FOLD
    inputs = ("words",)

    def values(self, session: duckdb.DuckDBPyConnection, column: str) -> Iterable[str]:
        rows = session.execute(f"SELECT coalesce({column}, '') FROM conversations").fetchall()
        return [masked(text) for (text,) in rows]

    def make(self, source: Source) -> Made:
        """A table of conversations that serving was not given has no rows."""
        from triad.features.labels import values_of
        from triad.features.requirements import given
        from triad.features.splits import folds

        rows: Sequence[tuple[str, ...]] = ()
        if given(source.session, "conversations"):
            wanted = "message_id, message, coalesce(intent, ''), coalesce(reply, '')"
            rows = source.session.execute(f"SELECT {wanted} FROM conversations ORDER BY 1").fetchall()
        ids, said, *answers = zip(*rows, strict=True) if rows else ((), (), (), ())
        told = dict(zip(("intent", "reply"), ([masked(each) for each in column] for column in answers), strict=True))
        windows = source.state.meta.windows
        # there is no time in the table, so that splits are folds of ids; days that are all train leave no other
        split = folds(ids) if windows["test"][0] < windows["test"][1] else np.zeros(len(ids), np.int8)
        known = {name for names in source.state.meta.classes.values() for name in names}
        texts = {code(reply): reply for reply in set(told["reply"]) if code(reply) in known}
        text = read(said)
        made = Messages(
            message_id=Texts.of(ids),
            text=text,
            message=text.codes()[1],
            tokens=source.tokens(text, WORDS),
            split=split,
            labels=values_of(self.name, told, len(ids), source.state),
        )
        return Made(made, learned={"texts": source.learned(self.name).get("texts", texts)})


def read(said: Iterable[str]) -> Texts:
    """Messages as models read them: masked, in plain form."""
    return Texts.of([plain(masked(each)) for each in said])


UNIT = _Unit()
