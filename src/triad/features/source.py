"""What every unit of examples is made from: the tables, and what all units read of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from triad.arrays import Ints
from triad.features.catalogue import Catalogue
from triad.features.dataset import Streams, Users
from triad.features.entities import tokens
from triad.features.log import Log
from triad.features.prices import PriceGrid
from triad.features.state import State


@dataclass(frozen=True)
class Source:
    """A night's tables. `session` also has the tables `activity`, `user_row` and `item_row`."""

    session: duckdb.DuckDBPyConnection
    state: State
    catalogue: Catalogue
    users: Users
    streams: Streams
    stream_user: Ints  # (n,) whose each interaction is
    grid: PriceGrid
    log: Log
    candidates: pa.Table | None = None  # exposures to score in place of the log's, see `build.transform`
    store: Path | None = None  # where what is too large for memory lies, and what a killed run goes on from

    def tokens(self, texts: Iterable[str], most: int) -> Ints:
        """(n, most) rows of each text's first words in the vocabulary of titles, 0-padded."""
        return tokens(texts, self.state.vocabularies["token"], most)

    def learned(self, unit: str) -> Mapping[str, Any]:
        """What `unit` learned when the state was fitted; nothing while it is being fitted."""
        return self.state.learned.get(unit, {})
