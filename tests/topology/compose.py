"""docker/compose.yaml as plain processes on loopback: each service's command, environment and health check, translated.

What a container would have, a service gets here: an address of its own (127.77.0.2, 127.77.0.3 …) where it binds the
ports that the file names, and a folder a volume. Names of services, `localhost` and mounted paths are rewritten to
those; nothing else is changed. No file is written and no process started here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
IMAGE_FILES = {"/opt/triad": ROOT}  # what the image holds, and where it lies here
OWN_FOLDERS = ("/srv/airflow", "/srv/worker")  # of the image, in which a container writes what no other sees


@dataclass(frozen=True)
class Service:
    name: str
    address: str
    command: tuple[str, ...]
    environment: dict[str, str]
    healthcheck: tuple[str, ...] | None
    needs: frozenset[str]  # services that must be healthy, or done, before it starts
    restarts: bool
    folders: tuple[Path, ...]  # of its volumes, to be made before it starts


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """`text` with `${NAME}`, `${NAME:-default}` and `${NAME:?message}` replaced and `$$` made `$`, as compose does.

    Raises:
        ValueError: a required variable is missing or empty, or the syntax is none of these.
    """

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name, operator, rest = match["name"], match["operator"], match["rest"]
        if name is None:
            raise ValueError(f"not understood: {text!r}")
        if variables.get(name):
            return variables[name]
        if operator == ":?":
            raise ValueError(f"{name}: {rest}")
        return rest or ""

    return re.sub(r"\$\$|\$\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<rest>[^}]*))?\}|\$", value, text)


def services(variables: Mapping[str, str], volumes: Path, profiles: frozenset[str] = frozenset()) -> list[Service]:
    """Every service of compose.yaml that `profiles` do not leave out, in the file's order.

    Raises:
        ValueError: a variable that the file requires is not among `variables`.
    """
    raw: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    addresses = {name: f"127.77.0.{number}" for number, name in enumerate(raw, start=2)}
    return [
        _service(name, body, addresses, variables, volumes)
        for name, body in raw.items()
        if profiles.issuperset(body.get("profiles", []))
    ]


def _service(
    name: str, body: dict[str, Any], addresses: dict[str, str], variables: Mapping[str, str], volumes: Path
) -> Service:
    mounts = dict(IMAGE_FILES)
    for volume in body.get("volumes", []):
        source, target = interpolate(volume, variables).split(":")[:2]
        is_path = source.startswith((".", "/"))
        mounts[target] = (COMPOSE.parent / source).resolve() if is_path else volumes / source
    mounts |= {folder: volumes / "own" / name / Path(folder).name for folder in OWN_FOLDERS}

    def here(text: object) -> str:
        return _translate(interpolate(str(text), variables), mounts, {**addresses, "localhost": addresses[name]})

    how, *check = body.get("healthcheck", {}).get("test", [None])
    return Service(
        name=name,
        address=addresses[name],
        command=tuple(map(here, [*body.get("entrypoint", []), *body["command"]])),
        environment={key: here(value) for key, value in body.get("environment", {}).items()},
        healthcheck=tuple(map(here, ["sh", "-c", *check] if how == "CMD-SHELL" else check)) or None,
        needs=frozenset(body.get("depends_on", {})),
        restarts=body.get("restart") == "unless-stopped",
        folders=tuple(path for path in mounts.values() if volumes in path.parents),
    )


def _translate(text: str, mounts: Mapping[str, Path], addresses: Mapping[str, str]) -> str:
    """`text` with mounted paths, services before a port (`@redis:6379`), and every sort of "here" made local ones."""
    own = addresses["localhost"]
    for target in sorted(mounts, key=len, reverse=True):
        text = re.sub(rf"(?<![\w/]){re.escape(target)}(?=/|$|[\s\"'])", str(mounts[target]), text)
    text = re.sub(r"\b(?:0\.0\.0\.0|127\.0\.0\.1)\b", own, text)
    names = "|".join(sorted(addresses, key=len, reverse=True))
    # a host stands before a port (not a user before a password), or `localhost` alone
    host = rf"(?<![\w.-])({names})(?=:\d+(?:[/,]|$))|(?<![\w.-])localhost\b"
    return re.sub(host, lambda match: addresses[match[1] or "localhost"], text)
