"""`triad features`: the window's tables → `artifacts/features`: the arrays of `Dataset`, `state/`, `summary.json`."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from triad.artifacts import ARTIFACTS, TABLES, replacing, write_json
from triad.errors import TriadError
from triad.examples import dataset
from triad.features import build
from triad.features.champion import Champion, read
from triad.features.stores import store
from triad.features.summary import summarise
from triad.features.vectors import ItemVectors
from triad.spark.engine import log_of
from triad.tables import connect, present
from triad.validation.leaks import check_features

if TYPE_CHECKING:
    from triad.config.params import Params

OUTPUT = ARTIFACTS / "features"

log = logging.getLogger("triad.features")


def features(params: Params) -> None:
    """Make the examples of the window that ends at `ingest.as_of`.

    Raises:
        TriadError: there are no tables, they do not give what a task needs, a feature knows a label,
            or the champion knows days that judge tonight.
    """
    started = time.monotonic()
    window = (params.ingest.as_of - timedelta(days=params.ingest.window_days), params.ingest.as_of)
    log.info("%s … %s (as_of) · %s", *window, params.features.model_dump(mode="json"))
    _need(TABLES)
    champion = read(ARTIFACTS / "champion")
    chosen = partial(ItemVectors.chosen, params.features.item_vectors, params.text, params.images)
    with replacing(OUTPUT) as folder, _store(params, champion) as kept:
        with (
            # beyond its memory the engine would spill tables that are not packed
            TemporaryDirectory(prefix="triad-log-") as place,
            connect(TABLES, also=[kept], file=Path(place) / "log.duckdb") as session,
            log_of(params, session, TABLES, kept) as events,
        ):
            data, state = build.fit(
                session, params.features, params.tasks, window, champion, store=kept, vectors=chosen, log=events
            )
        rows, meta = data.exposures, data.meta
        check_features(
            rows.context,
            meta.context,
            rows.labels,
            meta.tasks["exposures"],
            params.validate_.leak_auc,
            split=rows.split,
            owners=(rows.user, rows.item),
        )
        summary = summarise(data, params.features.hash_buckets)
        dataset.save(data, folder, kept)
        state.save(folder / "state")
        write_json(folder / "summary.json", summary)
    log.info(
        "%s exposures × %d context columns, %s interactions, %d questions · rows %s · %.1f s → %s",
        f"{len(data.exposures.user):,}",
        len(data.meta.context),
        f"{len(data.streams.item):,}",
        len(data.lists.user),
        summary["rows"],
        time.monotonic() - started,
        OUTPUT,
    )


def _store(params: Params, champion: Champion | None) -> AbstractContextManager[Path]:
    dials = [params.ingest.as_of, params.ingest.window_days, params.features, params.tasks]
    return store("features", TABLES, [*dials, champion and asdict(champion)])


def _need(tables: Path) -> None:
    if not present(tables):
        raise TriadError("holds no tables", where=str(tables), mend="run `triad ingest` and `triad validate` first")
