"""Parquet files in a bucket become the tables that the same files in a folder become: SeaweedFS on loopback.

`make topology-test` runs it: the environment of the other tests has neither the store nor its client.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triad.config.ingest import IngestParams
from triad.sources.files import read_files

pytestmark = pytest.mark.slow

KEYS = {"accessKey": "reader", "secretKey": "of-this-test"}


def events() -> list[pa.Table]:
    """A table a day."""
    days = [datetime(2026, 1, 2) + timedelta(days=day) for day in range(3)]
    columns = {"who": ["u", "v"], "sku": ["a", "b"], "what": ["buy", "buy"], "cents": [100, 250]}
    return [pa.table({**columns, "at": [day, day + timedelta(hours=5)]}) for day in days]


def read(path: str) -> dict[str, pa.Table]:
    columns = {
        "event_id": {"row_number": True},
        "user_id": "who",
        "item_id": "sku",
        "occurred_at": "at",
        "kind": {"column": "what", "map": {"buy": "purchase"}},
        "price_cents": {"column": "cents", "unit": "minor"},
    }
    files = {"events": {"path": path, "timezone": "UTC", "columns": columns}}
    return read_files(
        IngestParams.model_validate({"source": "files", "as_of": "2026-01-08", "window_days": 10, "files": files})
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an object store, whose keys the environment holds."""
    weed = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert weed, "run `make topology-test`, which installs it"
    with ExitStack() as held:
        taken = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(8)]
        master, volume, filer, s3, *grpc = (one.getsockname()[1] for one in taken)
    identities = {"identities": [{"name": "admin", "actions": ["Admin"], "credentials": [KEYS]}]}
    (tmp_path / "identities.json").write_text(json.dumps(identities))
    (tmp_path / "store").mkdir()
    ports = [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"]
    ports += [f"-{name}.port.grpc={port}" for name, port in zip(("master", "volume", "filer", "s3"), grpc, strict=True)]
    command = [weed, "server", f"-dir={tmp_path / 'store'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=0"]
    command += ["-master.telemetry=false", "-s3", f"-s3.config={tmp_path / 'identities.json'}"]
    command += ["-s3.ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0", *ports]
    address = f"http://127.0.0.1:{s3}"
    for name, value in (
        ("AWS_ACCESS_KEY_ID", KEYS["accessKey"]),
        ("AWS_SECRET_ACCESS_KEY", KEYS["secretKey"]),
        ("AWS_ENDPOINT_URL_S3", address),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    with (tmp_path / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/healthz", timeout=2)
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "weed.log").read_text()[-2000:]
                time.sleep(0.2)
        yield address
    finally:
        process.kill()  # asked to end, it takes its time
        process.wait()


def test_files_in_a_bucket_read_as_files_in_a_folder(store: str, tmp_path: Path) -> None:
    import s3fs

    (tmp_path / "log").mkdir()
    for day, table in enumerate(events()):
        pq.write_table(table, tmp_path / "log" / f"{day}.parquet")
    system = s3fs.S3FileSystem()
    system.mkdir("shop")
    system.put(f"{tmp_path / 'log'}/", "shop/log/", recursive=True)
    found, expected = read("s3://shop/log/*.parquet"), read(f"{tmp_path / 'log'}/*.parquet")
    assert found["events"].num_rows == 6
    assert {name: table.to_pylist() for name, table in found.items()} == {
        name: table.to_pylist() for name, table in expected.items()
    }
