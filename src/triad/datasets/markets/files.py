"""Reads the files of the form "ratings of several markets": ratings, and runs with a user's candidates per line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from triad.config.base import Section
from triad.datasets.columns import File, Written, read_columns
from triad.errors import TriadError

Names = NDArray[np.object_]


class MarketFiles(Section):
    """One market's files, below the form's folder: Parquet, or CSV (with tabs, `.tsv`), compressed or not."""

    ratings: tuple[str, ...] = Field(min_length=1, description="a row a user, item and rating; put together, each once")
    asked: str | None = Field(
        default=None, description="ratings whose users have steps held out, and whose items are candidates; null: all"
    )
    run: str | None = Field(default=None, description="`user item,item,…` a line: each user's candidates, no header")
    qrel: str | None = Field(default=None, description="ratings that the run shall find: the test")
    hold: float = Field(default=0.1, gt=0, le=1, description="share of users of whom a step is held out to decide by")
    test: float = Field(default=0, ge=0, lt=1, description="share of other users of whom it is the test; not with run")

    @model_validator(mode="after")
    def _fits(self) -> MarketFiles:
        if (self.run is None) != (self.qrel is None):
            raise ValueError("run and qrel go together")
        if self.test and self.run:
            raise ValueError("the test is either what `run` asks or a share of users, `test`")
        if self.hold + self.test > 1:
            raise ValueError(f"hold {self.hold:g} and test {self.test:g} are more than all users")
        return self


class RatingColumns(Written):
    """What the columns of ratings are called, and which count."""

    user: str = "userId"
    item: str = "itemId"
    rating: str | None = Field(default="rating", description="null: a row is an interaction, whatever it was rated")
    min_rating: float = Field(default=0, description="of `ratings`: one below it is no interaction")

    @model_validator(mode="after")
    def _rates(self) -> RatingColumns:
        if self.rating is None and self.min_rating:
            raise ValueError("min_rating asks for the column `rating`")
        return self


def read_ratings(path: Path, columns: RatingColumns, least: float = -np.inf) -> tuple[Names, Names]:
    """(n,) users and items of the ratings of `least` or more, in the file's order.

    Raises:
        TriadError: the file or a column is missing or unreadable, a cell is empty, or no rating is as high.
    """
    names = [name for name in (columns.user, columns.item, columns.rating) if name is not None]
    table = read_columns([columns.file(path)], names, path.parent)
    user, item = table.texts(columns.user), table.texts(columns.item)
    rating = np.zeros(table.rows) if columns.rating is None else table.numbers(columns.rating)
    empty = (user == "") | (item == "") | np.isnan(rating)
    if empty.any():
        first = int(empty.argmax()) + 1
        raise TriadError(
            f"{empty.sum():,} rows lack a user, an item or a rating, first row {first} after the header",
            where=str(path),
            mend="leave such rows out",
        )
    counts = rating >= least
    if not counts.any():
        raise TriadError(f"no rating of {least:g} or more", where=str(path), mend="lower data.min_rating")
    return user[counts], item[counts]


def read_run(path: Path) -> dict[str, list[str]]:
    """User → candidates.

    Raises:
        TriadError: the file is missing or unreadable, or names a user twice.
    """
    file = File(path=path.name, columns=("user", "items"), delimiter="\t")
    table = read_columns([file], ["user", "items"], path.parent)
    users = table.texts("user").tolist()
    if len(set(users)) < len(users):
        raise TriadError("names a user twice", where=str(path), mend="put a user's candidates on one line")
    return {user: items.split(",") for user, items in zip(users, table.texts("items").tolist(), strict=True)}


def pairs_of(files: MarketFiles, columns: RatingColumns, folder: Path) -> tuple[Names, Names]:
    """(n,) users and items of all rating files, each pair once, in the order in which they come first.

    Raises:
        TriadError: as `read_ratings`.
    """
    parts = [read_ratings(folder / path, columns, columns.min_rating) for path in files.ratings]
    table = pa.table({name: np.concatenate([part[at] for part in parts]) for at, name in enumerate(("user", "item"))})
    table = table.append_column("row", pa.array(np.arange(table.num_rows)))
    first = np.sort(table.group_by(["user", "item"]).aggregate([("row", "min")])["row_min"].to_numpy())
    user, item = (table[name].take(pa.array(first)).to_numpy() for name in ("user", "item"))
    return user, item
