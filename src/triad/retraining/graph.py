"""The stages of dvc.yaml and their dependencies, as DVC reads them (templates, foreach, overlapping folders).

Asking DVC takes the better part of a second, which a scheduler that reads its DAG file all the time cannot spend: the
answer is kept under `.triad/` by the content of the files it came from, and read back without importing DVC.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_FORMAT = b"1"  # of the kept answer


@dataclass(frozen=True)
class Stage:
    """`after` names the stages whose outputs it reads; `meta` is what dvc.yaml says to whoever orchestrates:

    `pool` (a name), `timeout_minutes`, `retries`; `asks_registry` (`seeding.py`), `reads_source` (`stage.py`);
    `nights: full` leaves it out of light nights (`nights.py`).
    """

    name: str
    after: tuple[str, ...]
    description: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


def stages(root: Path) -> tuple[Stage, ...]:
    """The pipeline in `root`, each stage after those it needs."""
    kept = root / ".triad" / "graph.json"
    key = _key(root)
    try:
        graph = json.loads(kept.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        graph = {}
    if graph.get("key") != key:
        graph = {"key": key, "stages": [asdict(stage) for stage in _ask(root)]}
        kept.parent.mkdir(exist_ok=True)
        fresh = kept.with_name(f"graph.json.{os.getpid()}")
        fresh.write_text(json.dumps(graph))
        fresh.replace(kept)
    return tuple(Stage(**{**stage, "after": tuple(stage["after"])}) for stage in graph["stages"])


def _key(root: Path) -> str:
    """Of dvc.yaml and all that its templates can take values from."""
    total = hashlib.sha256(_FORMAT)
    for path in sorted({root / "dvc.yaml", *root.glob("*.yaml"), *root.glob("*.json"), *root.glob("*.toml")}):
        total.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def stale(root: Path) -> dict[str, bool]:
    """Stage → whether it would run: it, or one that it needs, changed since `dvc.lock` was written.

    Outputs that are not there change nothing: they can be had from the cache or the remote.
    """
    is_stale: dict[str, bool] = {}
    with _repository(root) as (repo, ordered, needs), repo.lock:
        for stage in ordered:
            is_stale[stage.name] = any(is_stale[n.name] for n in needs[stage]) or stage.changed(True, needs[stage])
    return is_stale


def _ask(root: Path) -> list[Stage]:
    with _repository(root) as (_, ordered, needs):
        return [
            Stage(stage.name, tuple(needed.name for needed in needs[stage]), stage.desc or "", dict(stage.meta or {}))
            for stage in ordered
        ]


@contextmanager
def _repository(root: Path) -> Iterator[tuple[Any, list[Any], dict[Any, list[Any]]]]:
    """DVC's repository; its stages, each after those it needs; and these, in the order of dvc.yaml."""
    import networkx
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        graph = repo.index.graph  # an edge a → b says that a needs b
        place = {stage.name: number for number, stage in enumerate(repo.index.stages) if getattr(stage, "name", None)}
        named = graph.subgraph([stage for stage in graph if getattr(stage, "name", None)])
        ordered = networkx.lexicographical_topological_sort(named.reverse(), key=lambda stage: place[stage.name])
        needs = {stage: sorted(named.successors(stage), key=lambda needed: place[needed.name]) for stage in named}
        yield repo, list(ordered), needs
