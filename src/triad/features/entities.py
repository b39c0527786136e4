"""Items and users as arrays, and the vocabularies of their ids, words and attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb
import numpy as np

from triad.arrays import Floats, Ints
from triad.config.features import FeaturesParams
from triad.errors import TriadError
from triad.features.catalogue import Catalogue, words
from triad.features.dataset import SPLITS, Items, Streams, Users, without_vectors
from triad.features.splits import folds
from triad.features.sql import texts
from triad.features.vocabulary import Vocabulary, grow
from triad.tables import quote
from triad.texts import Texts, joined

Counts = Mapping[str, Mapping[str, int]]


def user_values(session: duckdb.DuckDBPyConnection, column: str) -> Texts:
    """(n_users,) a column of users as text, "" where null."""
    return texts(session, f"{quote(column)}::VARCHAR", "users", "user_id")


def train_counts(
    session: duckdb.DuckDBPyConnection, known: Catalogue, stream: Streams, params: FeaturesParams
) -> Counts:
    """Train interactions of each item, category prefix, brand, title word and user attribute, by vocabulary."""
    train = np.asarray(stream.split) == SPLITS.index("train")
    of_item = np.bincount(stream.item[train], minlength=len(known.item_id))
    titles = [sorted(set(words(title, params.title_tokens))) for title in known.titles]
    counts = {
        "item": _add_up(known.item_id, of_item),
        "category": _add_up(joined(known.paths), np.tile(of_item, known.levels)),
        "brand": _add_up(known.brands, of_item),
        "token": _add_up(
            Texts.of(word for title in titles for word in title), np.repeat(of_item, list(map(len, titles)))
        ),
    }
    before = np.r_[0, np.cumsum(train)]
    of_user = before[stream.offsets[1:]] - before[stream.offsets[:-1]]
    return counts | {name: _add_up(user_values(session, name), of_user) for name in params.user_attributes}


def vocabularies(params: FeaturesParams, counts: Counts, earlier: Mapping[str, Vocabulary]) -> dict[str, Vocabulary]:
    """The `earlier` vocabularies with what `counts` adds to them.

    Raises:
        TriadError: the earlier ones share another number of rows, which would move every id's row.
    """
    grown = {}
    for name, count in counts.items():
        buckets = 0 if name in params.user_attributes else params.hash_buckets
        base = earlier.get(name, Vocabulary((), buckets))
        if base.buckets != buckets:
            raise TriadError(
                f"is {buckets}, but the earlier vocabulary {name!r} has {base.buckets} shared rows",
                where="features.hash_buckets",
                mend="keep the number that the champion was made with, or set champion.version to null",
            )
        grown[name] = grow(base, count, params.min_count)
    return grown


def tokens(texts: Iterable[str], vocabulary: Vocabulary, most: int) -> Ints:
    """(n, most) rows of each text's first words, 0-padded."""
    by_text = [words(text, most) for text in texts]
    padded = [word for each in by_text for word in [*each, *[""] * (most - len(each))]]
    return vocabulary.look_up(padded).reshape(len(by_text), most)


def items(known: Catalogue, vocabulary: Mapping[str, Vocabulary], title_tokens: int, first_price: Floats) -> Items:
    """The items' arrays. `first_price` is (n_items,) log cents, NaN where none is known."""
    listed = np.log1p(np.maximum(known.list_price, 0))
    levels = [vocabulary["category"].look_up(prefixes) for prefixes in known.paths]
    return Items(
        item_id=known.item_id,
        vocabulary_row=vocabulary["item"].look_up(known.item_id),
        category=np.stack(levels, axis=1),
        brand=vocabulary["brand"].look_up(known.brands),
        tokens=tokens(known.titles, vocabulary["token"], title_tokens),
        log_price=np.where(np.isfinite(first_price), np.log1p(np.exp(first_price)), listed).astype(np.float32),
        available_from=known.available_from,
        **without_vectors(len(known.item_id)),
    )


def users(session: duckdb.DuckDBPyConnection, known: Catalogue, attributes: Mapping[str, Vocabulary]) -> Users:
    """The users' arrays, with a column for each of `attributes`."""
    rows = [vocabulary.look_up(user_values(session, name)) for name, vocabulary in attributes.items()]
    return Users(
        user_id=known.user_id,
        attributes=np.stack(rows, axis=1) if rows else np.zeros((len(known.user_id), 0), np.int32),
        signed_up_at=known.signed_up_at,
        fold=folds(known.user_id),
    )


def _add_up(ids: Texts, counts: Ints) -> dict[str, int]:
    known, place = ids.codes()
    total = np.bincount(place, weights=counts, minlength=len(known))
    return {id_: int(n) for id_, n in zip(known, total, strict=True)}
