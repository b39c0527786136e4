"""The service `serve` of docker/compose.yaml as a process on loopback, on a night that lies there already.

Its command, environment and health check are the file's. `make topology-test` starts it beside the other services.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from make_night import inside, judge, make_night, make_params, published_night
from make_tables import END
from topology.asking import Service
from topology.compose import ROOT, services
from topology.deployment import drawn
from topology.engine import Engine

from triad.artifacts import ARTIFACTS, TABLES, read_json
from triad.stages.publish import publish
from triad.tracking.place import tracking_uri
from triad.tracking.registry import rollback

pytestmark = pytest.mark.proof


@dataclass(frozen=True)
class Serving:
    checkout: Path
    service: Service


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("serve")
    volumes, logs, secrets = folder / "volumes", folder / "logs", drawn()
    checkout = volumes / "state" / "checkout"
    logs.mkdir()
    (volumes / "code").mkdir(parents=True)
    (volumes / "code" / "src").symlink_to(ROOT / "src")
    with published_night(make_night(checkout), TRIAD_SIGNING_KEY=secrets["TRIAD_SIGNING_KEY"]):
        shown = {"ingest", "tasks", "features", "recommend"}
        params = make_params().model_dump(mode="json", by_alias=True, exclude_unset=True, include=shown)
        (checkout / "params.yaml").write_text(yaml.safe_dump(params))
        (checkout / "dvc.yaml").write_text("stages: {}\n")
        subprocess.run(["git", "init", "--quiet", str(checkout)], check=True)
        part = next(each for each in services(secrets, volumes, frozenset({"serve"})) if each.name == "serve")
        own = {**part.environment, "MLFLOW_TRACKING_URI": tracking_uri(checkout)}
        engine = Engine([], logs)
        try:
            engine.add([replace(part, needs=frozenset(), environment=own)], 300)
            assert not engine.restarts and engine.listening() == [("serve", part.address, 8400)]
            yield Serving(checkout, Service(part.address, secrets["TRIAD_SERVE_KEY"]))
        finally:
            print((logs / "serve.log").read_text())
            engine.down()


def test_it_answers_who_has_its_key_and_the_other_version_once_the_alias_moved(serving: Serving) -> None:
    service, day = serving.service, END.isoformat()
    user = pq.read_table(serving.checkout / TABLES / "users").column("user_id")[0].as_py()
    service.serves("1", day)
    service.lists_for(user, "1", known=True)
    service.lists_for("nobody", "1", known=False)
    with inside(serving.checkout):
        path = ARTIFACTS / "fuse" / "fusion.json"
        fusion = json.loads(path.read_text())
        fusion["record"]["night"] = 2
        path.write_text(json.dumps(fusion))
        judge("PASS", "1")
        publish(make_params())
        assert read_json(ARTIFACTS / "publish" / "published.json")["promoted"]
        service.serves("2", day)
        service.lists_for(user, "2", known=True)
        rollback("triad", "champion", None)
    service.serves("1", day)
    service.lists_for(user, "1", known=True)
