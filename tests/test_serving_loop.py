"""The loop closed: a challenger is tried; what was shown is written down, reported on and learned from at night."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from fastapi.testclient import TestClient
from make_night import TASKS, inside, judge, make_night, make_params
from make_tables import START, make_tables

from triad import cli
from triad.artifacts import ARTIFACTS, INGESTED
from triad.config.params import Params, load
from triad.examples.exposures import Exposures
from triad.features.build import fit
from triad.serving.app import make
from triad.serving.commands import _trial
from triad.serving.customers import Customers
from triad.serving.holder import Holder, Place
from triad.serving.impressions import ImpressionLog
from triad.serving.trial import CHALLENGER, CHAMPION, NOBODY
from triad.sources.shown import read
from triad.stages.ingest import ingest
from triad.stages.publish import publish
from triad.tables import connect
from triad.tracking import registry
from triad.tracking.store import client

pytestmark = pytest.mark.proof
SERVED = datetime(2026, 1, 31, 10, tzinfo=UTC)
NEXT = date(2026, 2, 1)


def _column(name: str) -> Any:
    return {"column": name, "unit": "minor"} if name == "price_cents" else name


SECTIONS: dict[str, Any] = {
    "ingest": {
        "as_of": NEXT.isoformat(),
        "window_days": (NEXT - START).days,
        "source": "files",
        "shown": "shown",
        "files": {
            name: {"path": f"shop/{name}.parquet", "columns": {each: _column(each) for each in table.column_names}}
            for name, table in make_tables(shown=50).items()
        },
    },
    "tasks": TASKS,
    # what was shown at ten in the morning is learned from the same night: its labels are complete by midnight
    "features": {
        "split_days": {"validation": 4, "fusion": 5, "test": 5},
        "user_attributes": ["country"],
        "attribution_hours": 12,
    },
    "recommend": {"k": 5, "candidates": 12, "order_by": "conversion"},
    "serve": {"log": "shown", "trial": {"alias": "challenger", "mode": "compare", "slowest_ms": 60_000}},
}


def triad(*words: str) -> str:
    done = CliRunner().invoke(cli.commands, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Version 1 serves, version 2 was not sure to be better; the folder one works in."""
    with pytest.MonkeyPatch.context() as patch, inside(make_night(tmp_path_factory.mktemp("night"))):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        publish(make_params())
        fusion = ARTIFACTS / "fuse" / "fusion.json"
        fusion.write_text(json.dumps({**json.loads(fusion.read_text()), "record": {"night": 2}}))  # fitted anew
        judge("INCONCLUSIVE", "1")
        publish(make_params())
        Path("params.yaml").write_text(yaml.safe_dump(SECTIONS))
        yield Path.cwd()


def _clicks(shown: list[dict[str, Any]]) -> pa.Table:
    """The shop's own events of the day: people look at what the challenger put first, and at nothing else."""
    tables = make_tables()
    first = [row for row in shown if row["arm"] == CHALLENGER and row["position"] == 1]
    made = {
        "event_id": [f"new{n}" for n in range(len(first))],
        "user_id": [row["user_id"] for row in first],
        "item_id": [row["item_id"] for row in first],
        "occurred_at": [row["occurred_at"] + timedelta(minutes=5) for row in first],
        "kind": ["click"] * len(first),
    }
    schema = tables["events"].schema
    empty: list[Any] = [None] * len(first)
    fresh = pa.table({f.name: pa.array(made.get(f.name, empty), f.type) for f in schema}, schema=schema)
    return pa.concat_tables([tables["events"], fresh])


def test_a_trial_is_shown_written_down_reported_and_learned_from(night: Path) -> None:
    params: Params = load()
    place = Place("triad", "champion", params.recommend, lambda: night)
    holder = Holder(place.mark, place.load, place.refreshed)
    trial = _trial(params.serve, place, holder)
    assert trial is not None and trial.holder.now is NOBODY  # a challenger that is not there costs no start
    assert trial.holder.look() == "loaded" and trial.holder.now is NOBODY
    assert "is version 2" in triad("online", "try", "2")
    assert trial.holder.look() == "loaded" and trial.holder.now.version == "2"

    customers = Customers(ImpressionLog(Path("shown"), "never"), None, trial)
    with TestClient(make(holder, customers=customers, poll=3600)) as asked:
        for user in make_tables()["users"]["user_id"].to_pylist():
            body = {"user_id": user, "k": 5, "surface": "home", "at": SERVED.isoformat(), "request_id": "1"}
            said = [asked.post("/recommend", json=body).json() for _ in range(2)]
            assert said[0] == said[1]
    log = read(Path("shown")).to_pylist()
    assert Counter(row["version"] for row in log).keys() == {"1", "2"} and {row["propensity"] for row in log} == {1.0}
    assert len(log) == len({row["event_id"] for row in log}) == 60 * 5
    arms = {row["user_id"]: row["arm"] for row in log}
    assert all(row["arm"] == arms[row["user_id"]] == trial.arm(row["user_id"]) for row in log)
    assert Counter(arms.values())[CHAMPION] > 15 < Counter(arms.values())[CHALLENGER]

    Path("shop").mkdir()
    for name, table in {**make_tables(), "events": _clicks(log)}.items():
        pq.write_table(table, f"shop/{name}.parquet")
    ingest(params)
    with connect(INGESTED) as session:
        columns = "event_id, user_id, item_id, position, surface"
        rows = session.execute(f"SELECT {columns} FROM events WHERE event_id LIKE 'shown-%'")
        assert sorted(rows.fetchall()) == sorted(
            (row["event_id"], row["user_id"], row["item_id"], row["position"], "home") for row in log
        )
        data, _ = fit(session, params.features, params.tasks, (START, NEXT), hold_out=False)
    exposures: Exposures = data.exposures
    label = dict(zip(exposures.event_id.tolist(), data.labels("click").tolist(), strict=True))
    for row in log:
        followed = row["arm"] == CHALLENGER and row["position"] == 1
        assert label[row["event_id"]] == followed, row

    said = triad("online", "report", "--tables", str(INGESTED))
    looked = next(line for line in said.splitlines() if line.startswith("looked at"))
    assert looked.endswith("better") and "20.00%" in looked and "0.00% of" in looked, said
    assert "no difference shown" in said and "version 2: " in said


def test_a_trial_is_over_once_its_version_has_served_or_somebody_ends_it(night: Path) -> None:
    place = Place("triad", "champion", load().recommend, lambda: night)
    triad("online", "try", "2")
    assert place.tried("challenger") == "2"
    registry.promote(client(make=False), "triad", "champion", "2", "1")
    assert place.tried("challenger") == ""
    registry.promote(client(make=False), "triad", "champion", "1", "2")
    assert place.tried("challenger") == ""  # as when the next night's version follows
    triad("online", "try", "2")
    assert place.tried("challenger") == "2"
    assert "is no version" in triad("online", "end")
    assert place.tried("challenger") == ""
    said = json.dumps(sorted(registry.aliases(client(make=False), "triad") or {}))
    assert said == '["champion"]'


def test_a_report_without_a_second_arm_says_so(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = read(Path("shown"))
    alone = alone.filter(pa.array(np.array(alone["arm"]) == CHAMPION))
    monkeypatch.setattr("triad.sources.shown.read", lambda _: alone)
    done = CliRunner().invoke(cli.commands, ["online", "report", "--tables", str(INGESTED)])
    assert done.exit_code != 0 and "only one arm" in str(done.exception)
