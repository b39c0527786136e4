"""The stages of dvc.yaml and what each needs, as DVC itself understands them (templates, foreach, overlapping folders).

Asking DVC takes the better part of a second, which a scheduler that reads its DAG file all the time cannot spend: the
answer is kept under `.triad/` by the content of the files it came from, and read back without importing DVC.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_FORMAT = b"1"  # of the kept answer


@dataclass(frozen=True)
class Stage:
    """`after` names the stages whose outputs it reads; `meta` is what dvc.yaml says to whoever orchestrates:

    `pool` (a name), `timeout_minutes`, `retries`; `asks_registry` and `reads_source` (`seeding.py`).
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
        found = json.loads(kept.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        found = {}
    if found.get("key") != key:
        found = {"key": key, "stages": [asdict(stage) for stage in _ask(root)]}
        kept.parent.mkdir(exist_ok=True)
        fresh = kept.with_name(f"graph.json.{os.getpid()}")
        fresh.write_text(json.dumps(found))
        fresh.replace(kept)
    return tuple(Stage(**{**stage, "after": tuple(stage["after"])}) for stage in found["stages"])


def _key(root: Path) -> str:
    """Of dvc.yaml and all that its templates can take values from."""
    total = hashlib.sha256(_FORMAT)
    for path in sorted({root / "dvc.yaml", *root.glob("*.yaml"), *root.glob("*.json"), *root.glob("*.toml")}):
        total.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _ask(root: Path) -> list[Stage]:
    import networkx
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        graph = repo.index.graph  # an edge a → b says that a needs b
        place = {stage.name: number for number, stage in enumerate(repo.index.stages) if hasattr(stage, "name")}
        ordered = networkx.lexicographical_topological_sort(
            graph.reverse(copy=False), key=lambda stage: place.get(getattr(stage, "name", ""), -1)
        )
        return [
            Stage(
                stage.name,
                tuple(sorted((b.name for b in graph.successors(stage) if b.name in place), key=place.__getitem__)),
                stage.desc or "",
                dict(stage.meta or {}),
            )
            for stage in ordered
            if getattr(stage, "name", None)
        ]
