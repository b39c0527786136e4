"""A deployment that runs: the services of docker/compose.yaml on loopback, a tiny shop to retrain, and its REST API."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from make_airflow import Airflow, deploy
from tiny_shop import FUNNEL
from topology.asking import Service
from topology.compose import COMPOSE, services
from topology.engine import POSTGRES_PROGRAMS, Engine, environment

DAY = "2026-03-01"
SHOP = (
    FUNNEL
    + """\
pretrain: {max_epochs: 1}
finetune: {max_epochs: 1}
fuse: {bootstrap: 20}
evaluate: {bootstrap: 50}
"""
)

PACKAGES = {  # of Debian; everything else comes from PyPI
    "initdb": "postgresql",
    "redis-server": "redis-server",
    "redis-cli": "redis-tools",
    "wget": "wget",
    "openssl": "openssl",
    "setpriv": "util-linux",
    "git": "git",
}


@dataclass(frozen=True)
class Deployment:
    folder: Path
    secrets: Mapping[str, str]
    engine: Engine
    airflow: Airflow

    @property
    def checkout(self) -> Path:
        return self.folder / "volumes" / "state" / "checkout"

    def address(self, service: str) -> str:
        return self.engine.services[service].address

    def registry(self) -> Any:
        """A client of MLflow, as a night has it."""
        from mlflow import MlflowClient

        return MlflowClient(f"http://triad:{self.secrets['MLFLOW_PASSWORD']}@{self.address('mlflow')}:5000")

    def around(self, service: str = "worker") -> dict[str, str]:
        """What a process inside the service finds in its environment."""
        return environment(self.engine.services[service].environment)

    def objects(self, bucket: str) -> dict[str, int]:
        """Key → bytes of all that lies in a bucket of the object store."""
        pages = self.store().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}

    def switch_on(self, profile: str) -> None:
        """`docker compose --profile … up --detach` beside what runs."""
        self.engine.add(services(self.secrets, self.folder / "volumes", frozenset({profile})))

    @property
    def service(self) -> Service:
        return Service(self.address("serve"), self.secrets["TRIAD_SERVE_KEY"])

    def store(self, **other: Any) -> Any:
        """A client of the object store, with the administrator's keys unless others are given."""
        import boto3

        keys = {
            "aws_access_key_id": self.secrets["S3_ADMIN_ACCESS_KEY"],
            "aws_secret_access_key": self.secrets["S3_ADMIN_SECRET_KEY"],
        }
        address = f"http://{self.address('s3')}:8333"
        return boto3.client("s3", endpoint_url=address, region_name="us-east-1", **{**keys, **other})


@contextmanager
def deployment(shop: str = SHOP, **more: str) -> Iterator[Deployment]:
    """Start all of it, with `more` in every service's environment; end all of it. The folder stays if that fails.

    Raises:
        RuntimeError: a Debian package is missing, or a service does not become healthy.
    """
    search = os.pathsep.join([str(POSTGRES_PROGRAMS), os.environ["PATH"]])
    if missing := sorted({PACKAGES[name] for name in PACKAGES if shutil.which(name, path=search) is None}):
        raise RuntimeError(f"programs are missing: apt-get install {' '.join(missing)}")
    folder = Path(tempfile.mkdtemp(prefix="triad-topology-"))
    folder.chmod(0o711)  # PostgreSQL, as a user of its own, passes through it
    repository = deploy(folder / "repository", shop)
    secrets = {**drawn(), "TRIAD_REPOSITORY": str(repository), "TRIAD_DATASETS": str(folder / "datasets")}
    secrets["TRIAD_NIGHTLY_CRON"] = "never"
    logs = folder / "logs"
    logs.mkdir()
    parts = services(secrets, folder / "volumes")
    for part in parts:
        part.environment.update(more)
    engine = Engine(parts, logs)
    try:
        engine.up()
        api = f"http://{engine.services['api-server'].address}:8080"
        checkout = folder / "volumes" / "state" / "checkout"
        yield Deployment(folder, secrets, engine, Airflow(checkout, api, secrets["AIRFLOW_ADMIN_PASSWORD"]))
    except BaseException:
        print(f"what the services said and left: {folder}", flush=True)
        raise
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        engine.down()


def drawn() -> dict[str, str]:
    """What docker/make_env.sh prints: every variable, its secrets drawn."""
    made = subprocess.run(["sh", COMPOSE.parent / "make_env.sh"], capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in made.splitlines() if re.match(r"[A-Z]", line))
