"""The lineage of a model: code, data, parameters, checks, scores, and who started the run. Stored in the registry.

`why` and `diff` read it back. Nothing personal belongs here: counts, hashes and names of settings only.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import yaml

from triad.artifacts import ARTIFACTS, TABLES, need, read_json
from triad.digests import code_digest, digest
from triad.features.splits import last_train_day
from triad.redaction import shown_path
from triad.tables import key_check, present
from triad.tracking import light

if TYPE_CHECKING:
    from triad.config.params import Params

STATE = ARTIFACTS / "features" / "state"
FUSE = ARTIFACTS / "fuse"
REFIT = ARTIFACTS / "refit"
CHAMPION = ARTIFACTS / "champion"
HEALTH = REFIT / "health.json"
VALIDATION = ARTIFACTS / "validate" / "report" / "result.json"
VERDICT = ARTIFACTS / "evaluate" / "report" / "verdict.json"
METRICS = ARTIFACTS / "evaluate" / "metrics.json"
SERVED = ARTIFACTS / "publish" / "served"
"""What serving needs as of the night. It names persons, so the registry holds but its digest, in `served.json`."""

CODE = ("src", "dvc.yaml", "expectations")
"""The paths that git reports on. DVC's own files change in every run, and the parameters are recorded in full."""


@dataclass(frozen=True)
class Lineage:
    """Plain values only, so that it is JSON. `key` names the model, whoever makes it and when."""

    code: dict[str, Any]  # commit (None without git), dirty, digest of the package
    data: dict[str, Any]  # as_of, first_day, last_day, days, rows {table: n}, digest, dvc {path: md5}, pseudonyms
    params: dict[str, Any]  # flat: section.key → value
    model: str  # digest of the fitted features and the fusion, of the evaluated and of the refitted model
    validation: dict[str, Any]
    metrics: dict[str, float]  # flat
    verdict: dict[str, Any]
    trigger: str
    learned: dict[str, Any] = field(default_factory=dict)  # evaluated, refitted → last_day and digest of each
    night: dict[str, str] = field(default_factory=dict)  # a light night's: from, twin, first_day (`light.night_of`)

    @property
    def key(self) -> str:
        """32 hex digits of the data and of what was fitted on it.

        Code and parameters act through these. Were they in it, a change that alters no number (a comment, a limit of a
        check) would make the serving model a stranger to its own verdict.
        """
        named = [self.data["as_of"], self.data["digest"], self.model]
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]

    @property
    def seeds(self) -> dict[str, int]:
        return {name: value for name, value in self.params.items() if name.rsplit(".", 1)[-1] == "seed"}

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "key": self.key, "seeds": self.seeds}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Lineage:
        return cls(**{k: v for k, v in values.items() if k not in ("key", "seeds")})


def collect(params: Params) -> Lineage:
    """The lineage of what lies in the present folder's artifacts.

    Raises:
        TriadError: an artifact is not there.
    """
    night = light.night_of(params)
    learned = _learned(parts(night))
    judged = light.verdict(needed(HEALTH), night) if night else needed(VERDICT)
    measured = {"refit": needed(HEALTH)["figures"]} if night else needed(METRICS)
    as_of = params.ingest.as_of.isoformat()
    return Lineage(
        code={**git(), "digest": code_digest()},
        data={"as_of": as_of, **window(TABLES), "digest": digest(TABLES), "dvc": locked_hashes()}
        | ({"pseudonyms": check} if (check := key_check(TABLES)) else {}),
        params=told(params),
        model=_joined(*(part["digest"] for part in learned.values())),
        validation=validation_summary(needed(VALIDATION)),
        metrics={k: float(v) for k, v in flatten(measured).items() if _is_number(v)},
        verdict=judged,
        trigger=trigger(os.environ),
        learned=learned,
        night=night,
    )


def told(params: Params) -> dict[str, Any]:
    """All that makes a model, flat and without secrets."""
    sections = json.loads(params.model_dump_json(by_alias=True))
    serving = ("publish", "recommend", "serve")  # they name and use the model, they do not make it
    dials = flatten({name: values for name, values in sections.items() if name not in serving})
    return {name: shown_path(value) if isinstance(value, str) else value for name, value in dials.items()}


def parts(night: Mapping[str, str]) -> dict[str, Path]:
    """What is registered: folder in the version → where it lies. A light night's twin is the champion's."""
    return {
        "state": CHAMPION / "state" if night else STATE,
        "fuse": CHAMPION / "fuse" if night else FUSE,
        "refit": REFIT,
    }


def _learned(of: Mapping[str, Path]) -> dict[str, Any]:
    """Of the model that was evaluated and of the one that serves: the last day it learned from, and its digest."""
    both = {"evaluated": (of["state"], of["fuse"]), "refitted": (of["refit"] / "state", of["refit"] / "fuse")}
    return {
        name: {
            "last_day": last_train_day(needed(state / "state.json")["meta"]["windows"]),
            "digest": _joined(digest(state), digest(fuse)),
        }
        for name, (state, fuse) in both.items()
    }


def _joined(*digests: str) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:32]


def needed(path: Path) -> Any:
    """The JSON in `path`.

    Raises:
        TriadError: it is not there.
    """
    return read_json(need(path))


def git() -> dict[str, Any]:
    """The commit that is checked out, and whether code differs from it; None for both without git."""

    def ask(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
        except (FileNotFoundError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    commit = ask("rev-parse", "HEAD")
    changed = ask("status", "--porcelain", "--", *(path for path in CODE if Path(path).exists()))
    return {"commit": commit, "dirty": None if commit is None or changed is None else bool(changed)}


def window(tables: Path) -> dict[str, Any]:
    """First and last day of the events, days that have any, and rows a table: from folder names and Parquet footers."""
    days = sorted(p.name.removeprefix("day=") for p in (tables / "events").glob("day=*"))
    rows = {
        name: sum(pq.read_metadata(p).num_rows for p in sorted((tables / name).rglob("*.parquet")))
        for name in present(tables)
    }
    return {
        "first_day": days[0] if days else None,
        "last_day": days[-1] if days else None,
        "days": len(days),
        "rows": rows,
    }


def locked_hashes(lock: Path = Path("dvc.lock")) -> dict[str, str]:
    """The md5 DVC knows each stage's output by: what `dvc pull` needs to bring it back. Empty without a lock."""
    if not lock.is_file():
        return {}
    stages = (yaml.safe_load(lock.read_text()) or {}).get("stages", {})
    outputs = [out for stage in stages.values() for out in stage.get("outs", [])]
    later = tuple(str(ARTIFACTS / stage) for stage in ("publish", "recommend"))  # of the run before
    return {out["path"]: out["md5"] for out in outputs if "md5" in out and not out["path"].startswith(later)}


def validation_summary(result: Mapping[str, Any]) -> dict[str, Any]:
    """How many data checks there were, and which failed. Messages and samples stay behind: they may name customers."""
    checks = result["checks"]
    failed = [
        f"{c['severity']} {c['name']} on {c['table']}" + f".{c['column']}" * bool(c["column"])
        for c in checks
        if not c["passed"]
    ]
    return {"success": result["success"], "checks": len(checks), "failed": sorted(failed)}


def trigger(environment: Mapping[str, str]) -> str:
    """Who or what asked: TRIAD_TRIGGER, else the Airflow run, else the user."""
    if environment.get("TRIAD_TRIGGER"):
        return environment["TRIAD_TRIGGER"]
    if environment.get("AIRFLOW_CTX_DAG_RUN_ID"):
        return f"airflow:{environment.get('AIRFLOW_CTX_DAG_ID', '')}/{environment['AIRFLOW_CTX_DAG_RUN_ID']}"
    try:
        return f"user:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"user:{os.getuid()}"


def flatten(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one: `{"a": {"b": 1}}` is `{"a.b": 1}`. A list of plain values stays one value.

    A URL is told without its password or key.
    """
    if isinstance(values, Mapping) and values:
        return {k: v for name, inner in values.items() for k, v in flatten(inner, f"{prefix}{name}.").items()}
    if isinstance(values, list) and any(isinstance(v, Mapping | list) for v in values):
        return {k: v for at, inner in enumerate(values) for k, v in flatten(inner, f"{prefix}{at}.").items()}
    return {prefix.removesuffix("."): shown_path(values) if isinstance(values, str) else values}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def why(version: str, model: str | None = None) -> str:
    """What made model `version` (a number or an alias), and what changed since the champion it was compared with."""
    from triad.tracking import explain, registry, store

    model = model or model_named()
    described = registry.describe(model, version)
    before = described.tags.get("compared_with")
    is_there = before in registry.versions(store.client(make=False), model)
    text = explain.explain(described, registry.describe(model, before) if before and is_there else None)
    gone = f"\n\nversion {before} is deleted, so nothing can tell what changed since"
    return text + gone if before and not is_there else text


def diff(first: str, second: str, model: str | None = None) -> str:
    """What differs between two versions of the model."""
    from triad.tracking import explain, registry

    model = model or model_named()
    return explain.compare(registry.describe(model, first), registry.describe(model, second))


def model_named() -> str:
    """The model that the present folder's params publish."""
    # a registry can be asked from any folder; without parameters the default name stands
    from triad.config.params import load
    from triad.config.publish import PublishParams

    return load().publish.model if Path("params.yaml").is_file() else PublishParams().model
