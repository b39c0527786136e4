"""Stage `ingest`: read the window's tables from the source, as Parquet by day; a simulation's truth is kept apart.

Everything is read and checked before an earlier output is replaced.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from triad import artifacts
from triad.artifacts import replacing_together, write_json
from triad.config.ingest import IngestParams
from triad.digests import code_digest
from triad.errors import TriadError
from triad.locking import held
from triad.privacy.persons import Persons, persons
from triad.progress import Progress
from triad.redaction import shown_path
from triad.schema import REQUIRED
from triad.sources.contract import check
from triad.sources.shown import events, of_day
from triad.tables import write_table

if TYPE_CHECKING:
    from triad.config.params import Params
    from triad.sources.apart import Workers
    from triad.sources.keeping import Keeping
    from triad.sources.simulated import Shop

log = logging.getLogger("triad.ingest")


def ingest(params: Params) -> None:
    """Write `artifacts/ingest/tables` and `artifacts/ingest/oracle`.

    Raises:
        TriadError: what was read does not fit the contract, the key for pseudonyms is missing or another one, or the
            disk is full. Earlier outputs stay as they were.
    """
    chosen = params.ingest
    log.info("source %s · %s", chosen.source, shown_path(chosen.model_dump_json(exclude_defaults=True)))
    who = persons(chosen.pseudonymise)
    start = time.monotonic()
    with replacing_together(artifacts.ORACLE, artifacts.INGESTED) as (oracle, tables):
        write = _simulated if chosen.source == "simulated" else partial(_files, params)
        rows = write(chosen, who, tables, oracle)
        who.record(tables)
        who.check_list()
    if who.forgotten:
        gone = ", ".join(f"{name} {count:,}" for name, count in who.left_out.items() if count)
        log.info("%s persons and messages are to be forgotten; rows suppressed: %s", len(who.forgotten), gone or "none")
    counted = " · ".join(f"{name} {count:,}" for name, count in rows.items())
    log.info("%s · %.1f s · %s", counted, time.monotonic() - start, artifacts.INGESTED)


def _files(params: Params, chosen: IngestParams, who: Persons, output: Path, oracle: Path) -> dict[str, int]:
    from triad.sources.files import read_files

    with _keeping(chosen, who) as keeping, _workers(params, chosen) as workers:
        tables = read_files(chosen, replace(keeping, workers=workers))
    for name in REQUIRED:
        if name not in tables:
            raise TriadError("the table is missing", where=f"table {name}", mend="name its files under ingest.files")
    known = {name: who.table(name, data) for name, data in tables.items()}
    if (shown := _shown(chosen, who, known["users"], known["items"])) is not None:
        known["events"] = pa.concat_tables([known["events"], shown])
    checked = {name: check(name, data, chosen) for name, data in known.items()}
    write_json(oracle / "oracle.json", {"known": False})
    return {name: write_table(output, name, data) for name, data in checked.items()}


@contextmanager
def _keeping(chosen: IngestParams, who: Persons) -> Iterator[Keeping]:
    """Where events of earlier nights are kept, and whose rows are left out of them.

    Whatever rows are made of beside the source voids what is kept: code, mapping, the list of the forgotten, the key.
    """
    from triad.day_store import PURPOSE, STORES, DayStore
    from triad.sources.keeping import Keeping

    is_gone = who.forgotten.holds if who.forgotten else None
    if not chosen.keep_days or chosen.files is None or chosen.files.is_numbered:
        yield Keeping(None, is_gone, who.left_out)
        return
    with held(STORES, wait=True):  # another night, or `triad forget`
        mapped = chosen.files.model_dump_json(by_alias=True)
        made_of = [code_digest(), duckdb.__version__, chosen.currency, mapped, who.forgotten.digest]
        store = DayStore(repr(made_of), who.secret.derived(PURPOSE) if who.secret else None)
        yield Keeping(store, is_gone, who.left_out)


def _workers(params: Params, chosen: IngestParams) -> AbstractContextManager[Workers | None]:
    """Who reads files. A row's number over all files is known only where they are read one after the other."""
    from triad.spark.files import workers_of

    return nullcontext() if chosen.files is None or chosen.files.is_numbered else workers_of(params)


def _simulated(chosen: IngestParams, who: Persons, tables: Path, oracle: Path) -> dict[str, int]:
    from triad.sources.simulated import simulate

    shop = simulate(chosen)
    known = {name: who.table(name, data) for name, data in shop.tables.items()}
    rows = {name: write_table(tables, name, check(name, data, chosen)) for name, data in known.items()}
    shown = _shown(chosen, who, known["users"], known["items"])
    rows["events"] = _write_days((shop, shown), chosen, who, tables, oracle)
    for name, data in shop.oracle.items():
        pq.write_table(who.rows(f"truth of {name}", data), oracle / f"{name}.parquet", compression="zstd")
    known = {"known": True, "source": "simulated", "size": chosen.simulated.size, "seed": chosen.simulated.seed}
    write_json(oracle / "oracle.json", known)
    return rows


def _shown(chosen: IngestParams, who: Persons, users: pa.Table, items: pa.Table) -> pa.Table | None:
    """The events of the service's log. It names persons as the tables do, by pseudonyms where those are."""
    if chosen.shown is None:
        return None
    return who.forgotten.without(events(Path(chosen.shown), chosen.as_of, chosen.window_days, users, items))


def _write_days(
    logs: tuple[Shop, pa.Table | None], chosen: IngestParams, who: Persons, tables: Path, oracle: Path
) -> int:
    """Events and exposures, one day in memory at a time; ids carry their day, so days cannot share one."""
    (shop, shown), count, writer = logs, 0, None
    with Progress("simulating", chosen.window_days, "days") as progress:
        try:
            for day in shop.days():
                log = who.table("events", day.events)
                if shown is not None:
                    log = pa.concat_tables([log, of_day(shown, log["occurred_at"][0].as_py().date())])
                count += write_table(tables, "events", check("events", log, chosen))
                truth = who.rows("exposures", day.exposures)
                writer = writer or pq.ParquetWriter(oracle / "exposures.parquet", truth.schema, compression="zstd")
                writer.write_table(truth)
                progress.advance(1, events=count)
        finally:
            if writer is not None:
                writer.close()
    return count
