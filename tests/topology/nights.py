"""A night as its processes show it: which task works, who started whom, how long each worked, what came out."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
import yaml
from topology.deployment import DAY, Deployment

AS_OF = {"full": DAY, "light": str(date.fromisoformat(DAY) + timedelta(days=1))}
"""The day of a night by its kind: a light one goes on from the full one of the day before."""

CHAIN = ("supervisor", "runner", "wrapper", "guard", "dvc", "stage")
"""Who started whom: Celery's and Airflow's process, `triad retraining …`, its guard, DVC, `triad <stage>`."""


@dataclass
class Night:
    """One run of `manual_retraining`, followed from outside."""

    deployed: Deployment
    kind: str = "full"
    began: float = field(default_factory=time.monotonic)
    run: str = ""
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)  # task → seconds after the start: first, last
    cleared: int = 0
    whole: float = 0.0  # seconds from the trigger to the success

    def __post_init__(self) -> None:
        self.run = self.deployed.airflow.trigger("manual_retraining", as_of=AS_OF[self.kind], night=self.kind)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def workspace(self) -> Path:
        return Path(self.deployed.airflow.told(self.run, "open")["workspace"])

    def working(self) -> dict[str, psutil.Process]:
        """Task → its `triad retraining …` process, of those that run now."""
        found = {}
        for process in self.deployed.engine.processes("worker"):
            with suppress(psutil.Error):
                words = process.cmdline()
                if words[1:4] == ["-m", "triad", "retraining"] and process.status() != psutil.STATUS_ZOMBIE:
                    found[words[5] if words[4] == "stage" else words[4]] = process
        return found

    def look(self) -> dict[str, psutil.Process]:
        """What works now; noted in `spans`, and as `train <stage>` from a training's first checkpoint on."""
        now = self.working()
        seen = set(now)
        for task in now.keys() & {"pretrain", "finetune", "refit"}:
            with suppress(psutil.Error, IndexError):  # one that has just ended has no words left
                workspace = Path(now[task].cmdline()[7])
                seen |= {f"train {task}"} if any(workspace.glob(f".triad/checkpoints/{task}-*")) else set()
        for name in seen:
            self.spans[name] = (self.spans.get(name, (self.seconds,))[0], self.seconds)
        return now

    def state(self) -> str:
        """The run's state; `unknown` while the api-server or its database is away."""
        return away("unknown", lambda: self.deployed.airflow.dag("GET", self.run)["state"])

    def end(self, seconds: float = 1800) -> None:
        """Wait for the run's success; clear what failed, as a person would.

        Raises:
            RuntimeError: it does not come, however often it is cleared.
        """
        while (state := self.state()) != "success":
            if state == "failed" and self.cleared < 3:
                self.cleared += away(0, lambda: self.deployed.airflow.clear(self.run) or 1)
            elif state == "failed" or self.seconds > seconds:
                raise RuntimeError(f"{self.run} is {state}: {self.deployed.airflow.states(self.run)}")
            self.look()
            time.sleep(0.3)
        self.whole = self.seconds

    @cached_property
    def outputs(self) -> dict[str, dict[str, Any]]:
        """Stage → what the night's branch, and the files that its lock names, say of it."""
        commit = self.deployed.airflow.told(self.run, "close")["commit"]
        shown = ["git", "-C", str(self.deployed.checkout), "show", f"{commit}:dvc.lock"]
        lock = yaml.safe_load(subprocess.run(shown, check=True, capture_output=True, text=True).stdout)
        return {
            name: {
                "code, params, inputs": _digest(json.dumps([entry.get("params"), entry["deps"]], sort_keys=True)),
                **{
                    str(path.relative_to(self.workspace)): _digest(path.read_bytes())
                    for out in entry["outs"]
                    for path in _files(self.workspace / out["path"])
                },
                **{out["path"]: out["md5"] for out in entry["outs"]},
            }
            for name, entry in lock["stages"].items()
        }


def chain(wrapper: psutil.Process, task: str) -> dict[str, psutil.Process]:
    """The task's processes by their place, those that are there: see `CHAIN`."""
    found = {"wrapper": wrapper}
    with suppress(psutil.Error, ValueError, StopIteration):
        found["runner"], found["supervisor"] = wrapper.parents()[:2]
        found["guard"] = next(iter(wrapper.children()))
        found["dvc"] = next(iter(found["guard"].children()))
        found["stage"] = next(p for p in found["dvc"].children(recursive=True) if p.cmdline()[-2:] == ["triad", task])
    return found


def away(value: Any, ask: Callable[[], Any]) -> Any:
    """What `ask` answers, or `value` while who is asked is away."""
    try:
        return ask()
    except (AssertionError, OSError, HTTPException, ValueError):
        return value


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _digest(data: bytes | str) -> str:
    return hashlib.md5(data if isinstance(data, bytes) else data.encode(), usedforsecurity=False).hexdigest()
