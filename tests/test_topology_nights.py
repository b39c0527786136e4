"""The deployment of docker/compose.yaml, started without Docker: a night on it, where it is kept, who is let in,
and what serves afterwards.

`make topology-test` runs it; the environment of the other tests lacks Celery, PostgreSQL's driver and the S3 client.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from make_airflow import Airflow
from topology.deployment import DAY, Deployment, deployment
from topology.nights import AS_OF

from triad.cli import STAGES

pytestmark = pytest.mark.slow

UNCACHED = "artifacts/evaluate/metrics.json"  # in git
WEAK = ("", "admin", "airflow", "postgres", "redis", "password", "any", "minioadmin")


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployment]:
    pytest.importorskip("psycopg2", reason="`make topology-test` installs what this needs")
    with deployment() as started:
        yield started


@pytest.fixture(scope="module")
def run(deployed: Deployment) -> str:
    """A night, triggered through the REST API and ended well."""
    made = deployed.airflow.trigger("manual_retraining", as_of=DAY)
    assert deployed.airflow.wait(made, 3600) == "success", deployed.airflow.states(made)
    return made


@pytest.fixture(scope="module")
def lock(deployed: Deployment, run: str) -> dict[str, Any]:
    """The night's dvc.lock, as its branch has it."""
    branch = deployed.airflow.told(run, "close")["branch"]
    assert branch == f"retrain/{DAY}"
    shown = ["git", "-C", str(deployed.checkout), "show", f"{branch}:dvc.lock"]
    return yaml.safe_load(subprocess.run(shown, check=True, capture_output=True, text=True).stdout)


def test_a_night_ends_well(deployed: Deployment, run: str) -> None:
    states = deployed.airflow.states(run)
    assert {states[task] for task in ("open", *STAGES, "close")} == {"success"}
    assert deployed.airflow.told(run, "close")["pushed"] is True
    assert not deployed.engine.restarts, "a service died"
    parts = deployed.engine.memory()
    print("\nmemory, MB: " + ", ".join(f"{name} {size / 1e6:.0f}" for name, size in parts.items()))


def test_celery_workers_ran_the_stages_each_from_its_queue(deployed: Deployment, run: str) -> None:
    tasks = deployed.airflow.tasks(run)
    assert {task["queue"] for task in tasks.values()} == {"default", "gpu"}
    assert {task["executor"] for task in tasks.values()} <= {None, "CeleryExecutor"}
    log = (deployed.engine.logs / "worker.log").read_text()
    assert log.count("Task execute_workload") >= len(STAGES)


def test_what_the_night_made_lies_in_the_object_store(deployed: Deployment, lock: dict[str, Any]) -> None:
    there = deployed.objects("triad-dvc")
    made = [out for stage in lock["stages"].values() for out in stage["outs"] if out["path"] != UNCACHED]
    assert len(made) >= len(STAGES)
    for out in made:
        key = f"files/md5/{out['md5'][:2]}/{out['md5'][2:]}"
        assert key in there, out["path"]
        if out["md5"].endswith(".dir"):
            for file in json.loads(deployed.store().get_object(Bucket="triad-dvc", Key=key)["Body"].read()):
                assert f"files/md5/{file['md5'][:2]}/{file['md5'][2:]}" in there, (out["path"], file)


def test_what_was_registered_lies_in_the_object_store(deployed: Deployment, run: str) -> None:
    closed, client = deployed.airflow.told(run, "close"), deployed.registry()
    (version,) = client.search_model_versions()
    assert (str(version.version), version.run_id) == (str(closed["version"]), closed["run_id"])
    kept = deployed.objects("triad-mlflow")
    assert any(key.endswith("/MLmodel") for key in kept) and sum(kept.values()) > 10_000
    assert client.get_run(version.run_id).info.artifact_uri.startswith("mlflow-artifacts:")
    assert not list(deployed.folder.glob("**/mlartifacts")) and not list(deployed.folder.glob("**/mlflow.db"))


def test_a_fresh_clone_restores_the_night(deployed: Deployment, run: str, lock: dict[str, Any]) -> None:
    clone = deployed.folder / "clone"
    around = deployed.around() | {"GIT_TERMINAL_PROMPT": "0"}
    around["DVC_SITE_CACHE_DIR"] = str(deployed.folder / "site")
    for words in (["clone", "--quiet", deployed.checkout, clone], ["-C", clone, "checkout", "-q", f"retrain/{DAY}"]):
        subprocess.run(["git", *words], env=around, check=True)
    subprocess.run(["dvc", "pull"], cwd=clone, env=around, check=True, stdout=subprocess.DEVNULL)
    workspace = Path(deployed.airflow.told(run, "open")["workspace"])
    for stage in lock["stages"].values():
        for out in stage["outs"]:
            assert digests(clone / out["path"]) == digests(workspace / out["path"]) != {}


def digests(path: Path) -> dict[str, str]:
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def served(deployed: Deployment, run: str) -> Iterator[Deployment]:
    """The service beside all else, once a night has promoted a model; it must leave the nights' volume as it is."""
    before = changes(deployed.folder / "volumes" / "state")
    deployed.switch_on("serve")
    deployed.service.lists_for("nobody", str(deployed.airflow.told(run, "close")["version"]), known=False)
    assert changes(deployed.folder / "volumes" / "state") == before, "in a container that volume is read-only"
    yield deployed


def changes(folder: Path) -> dict[str, int]:
    """When each file last changed; compiled code is left out, which Python leaves unwritten where it may not write."""
    return {
        str(path.relative_to(folder)): path.lstat().st_mtime_ns
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts and not path.is_dir()
    }


def test_the_service_answers_who_has_its_key(served: Deployment, run: str) -> None:
    version = str(served.airflow.told(run, "close")["version"])
    served.service.serves(version, DAY)
    lists = Path(served.airflow.told(run, "open")["workspace"]) / "artifacts" / "recommend" / "recommendations.parquet"
    user = pq.read_table(lists, columns=["user_id"]).column("user_id")[0].as_py()
    served.service.lists_for(user, version, known=True)


def test_a_promotion_and_a_rollback_reach_the_service(served: Deployment, run: str) -> None:
    first = str(served.airflow.told(run, "close")["version"])
    light = served.airflow.trigger("manual_retraining", as_of=AS_OF["light"], night="light")
    assert served.airflow.wait(light, 1800) == "success", served.airflow.states(light)
    closed = served.airflow.told(light, "close")
    assert closed["promoted"] and str(closed["version"]) != first
    served.service.serves(str(closed["version"]), AS_OF["light"])
    back, around = ["triad", "rollback"], served.around()
    subprocess.run(back, cwd=served.checkout, env=around, check=True, stdout=subprocess.DEVNULL)
    served.service.serves(first, AS_OF["light"])  # the earlier model, on the newest tables
    served.service.lists_for("nobody", first, known=False)


def test_nothing_listens_beyond_this_machine(served: Deployment) -> None:
    deployed = served
    heard = deployed.engine.listening()
    assert {service for service, _, _ in heard} == {"postgres", "redis", "s3", "api-server", "mlflow", "serve"}
    assert [where for where in heard if not where[1].startswith("127.")] == []


def test_airflow_lets_nobody_in_by_a_usual_password(deployed: Deployment) -> None:
    assert deployed.airflow.get("/api/v2/dags")[0] == 401
    for user in ("admin", "airflow"):
        for password in WEAK:
            tried = {"username": user, "password": password}
            assert deployed.airflow.get("/auth/token", body=tried, method="POST")[0] in (400, 401), tried
    Airflow(deployed.checkout, deployed.airflow.address, deployed.secrets["AIRFLOW_ADMIN_PASSWORD"])


def test_the_databases_let_nobody_in_by_a_usual_password(deployed: Deployment) -> None:
    import psycopg2

    for user, database in (("postgres", "postgres"), ("airflow", "airflow"), ("mlflow", "mlflow")):
        for password in (*WEAK, user):
            with pytest.raises(psycopg2.OperationalError, match="password"):
                psycopg2.connect(
                    host=deployed.address("postgres"), user=user, dbname=database, password=password
                ).close()
    for user, other in (("airflow", "mlflow"), ("mlflow", "airflow")):  # nor one service's into the other's
        own = deployed.secrets[f"{user.upper()}_DB_PASSWORD"]
        with pytest.raises(psycopg2.OperationalError, match="permission denied"):
            psycopg2.connect(host=deployed.address("postgres"), user=user, dbname=other, password=own).close()


def test_the_queue_lets_nobody_in_by_a_usual_password(deployed: Deployment) -> None:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    for password in (None, *filter(None, WEAK)):
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(deployed.address("redis"), password=password, retry=Retry(NoBackoff(), 0)).ping()


def test_the_object_store_lets_nobody_in_without_its_keys(deployed: Deployment) -> None:
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import ClientError

    strangers: list[dict[str, Any]] = [{"config": Config(signature_version=UNSIGNED)}]
    strangers += [{"aws_access_key_id": word, "aws_secret_access_key": word} for word in filter(None, WEAK)]
    for stranger in strangers:
        for bucket in ("triad-dvc", "triad-mlflow"):
            with pytest.raises(ClientError, match=r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch"):
                deployed.store(**stranger).list_objects_v2(Bucket=bucket)
