"""Kill −9 at random: a task's process, a training step, the scheduler, PostgreSQL. What comes out must stay the same.

    make kill-trials TRIALS=20 SEED=1 AFTER=0 KILLS=1 NIGHT=full

Each trial is a whole night of a tiny shop on the deployment of docker/compose.yaml, on an emptied registry and without
earlier nights, so that every stage runs. With NIGHT=light it is the light night after one full night, which stays. One
process is killed at a moment drawn from the seed; the engine restarts services, Airflow retries tasks, and a failed run
is cleared as a person would. Then every file of the night is compared with an undisturbed night's. Two of those,
compared with one another, tell first which files are never twice the same (they name runs and times). AFTER skips the
trials up to that number: a series can be made in parts. KILLS trials share a night: the next kill then comes when the
work goes on after the one before.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any

import psutil
from tiny_shop import FUNNEL
from topology.deployment import Deployment, deployment
from topology.nights import AS_OF, CHAIN, Night, away, chain

from triad.retraining.run import MARK

KINDS = ("a task's process", "a training step", "scheduler", "postgres")
SHOP = (
    FUNNEL
    + """\
pretrain: {max_epochs: 3, checkpoint_steps: 1}
finetune: {max_epochs: 3, checkpoint_steps: 1}
fuse: {bootstrap: 20}
evaluate: {bootstrap: 50}
"""
)
QUICK = {  # minutes of waiting, which say nothing of what comes out, made seconds
    "TRIAD_RETRY_SECONDS": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
}


@dataclass(frozen=True, order=True)
class Plan:
    """Whom to kill, and when by the clock of the undisturbed night."""

    moment: float  # seconds after the trigger
    kind: str
    span: str = ""  # the task, or the training, that the moment falls into
    wait: float = 0.0  # seconds after that has begun
    place: str = ""

    @classmethod
    def draw(cls, seed: int, number: int, undisturbed: Night) -> Plan:
        """Of trial `number`: each moment of the night, of the tasks' work, of training is as likely as any other."""
        by, kind = random.Random(f"{seed}/{number}"), KINDS[number % len(KINDS)]
        if kind in undisturbed.deployed.engine.services:
            return cls(by.uniform(0, undisturbed.whole), kind)
        trains = kind == "a training step" and any(name.startswith("train ") for name in undisturbed.spans)
        lengths = {
            name: end - at for name, (at, end) in undisturbed.spans.items() if name.startswith("train ") == trains
        }
        (span,) = by.choices(list(lengths), list(lengths.values()))
        wait = by.uniform(0, lengths[span])
        return cls(undisturbed.spans[span][0] + wait, kind, span, wait, "stage" if trains else by.choice(CHAIN))


def strike(plan: Plan, night: Night) -> tuple[str, Callable[[], bool]]:
    """Kill at the plan's moment; returns whom, and a question whether the work goes on."""
    if not plan.span:
        until(night, lambda _: night.seconds >= plan.moment)
        night.deployed.engine.kill(plan.kind)
        killed = datetime.now(UTC)
        return plan.kind, lambda: heartbeat(night.deployed) > killed
    # where the span is shorter than in the undisturbed night, the moment falls into the next task
    now = until(night, lambda now: now and night.seconds >= night.spans.get(plan.span, (inf,))[0] + plan.wait)
    task = plan.span.removeprefix("train ")
    task = task if task in now else next(iter(now))
    links = chain(now[task], task)
    place = next(place for place in reversed(CHAIN[: CHAIN.index(plan.place) + 1]) if place in links)
    try:
        links[place].kill()
    except psutil.NoSuchProcess:  # it ended just now
        return strike(plan, night)
    pid = now[task].pid
    return f"{task}: {place}", lambda: (again := night.working().get(task)) is not None and again.pid != pid


def until(night: Night, condition: Callable[[dict[str, psutil.Process]], Any]) -> dict[str, psutil.Process]:
    """What works at the first moment for which `condition` holds.

    Raises:
        RuntimeError: the night ended before.
    """
    asked = night.seconds
    while not condition(now := night.look()):
        if night.seconds > asked + 5:
            asked = night.seconds
            if night.state() == "success":
                raise RuntimeError("the night ended before the moment came: nothing was killed")
        time.sleep(0.05)
    return now


def heartbeat(deployed: Deployment) -> datetime:
    """The scheduler's last, if the database answers too."""
    told = away(None, lambda: deployed.airflow.call("GET", "/api/v2/monitor/health"))
    if told is None or told["metadatabase"]["status"] != "healthy":
        return datetime.min.replace(tzinfo=UTC)
    return datetime.fromisoformat(told["scheduler"]["latest_scheduler_heartbeat"])


def recovery(night: Night, works_again: Callable[[], bool]) -> float | None:
    """Seconds until the work goes on; None if the night ended without."""
    start = time.monotonic()
    while not works_again():
        if night.state() == "success":
            return None
        if night.state() == "failed":
            night.cleared += away(0, lambda: night.deployed.airflow.clear(night.run) or 1)
        time.sleep(0.3)
    return time.monotonic() - start


def undisturbed_night(deployed: Deployment, kind: str) -> Night:
    begin_anew(deployed, kind)
    night = Night(deployed, kind)
    night.end()
    return night


def begin_anew(deployed: Deployment, kind: str) -> None:
    """As before the first full night: no model is registered, no earlier night may be reused. Or as just after it."""
    registry = deployed.registry()
    for model in registry.search_registered_models():
        if kind == "full":
            registry.delete_registered_model(model.name)
            registry.create_registered_model(model.name)  # what `triad registry init` does
            continue
        for alias in model.aliases:
            registry.set_registered_model_alias(model.name, alias, "1")
        for version in registry.search_model_versions(f"name = '{model.name}'"):
            if str(version.version) != "1":
                registry.delete_model_version(model.name, version.version)
    shown = ["git", "-C", str(deployed.checkout), "for-each-ref", "--format=%(refname)", "refs/heads/retrain"]
    refs = subprocess.run(shown, check=True, capture_output=True, text=True).stdout.split()
    gone = "".join(f"delete {ref}\n" for ref in refs if kind == "full" or not ref.endswith(f"/{AS_OF['full']}"))
    subprocess.run(["git", "-C", str(deployed.checkout), "update-ref", "--stdin"], input=gone, check=True, text=True)


def versions(deployed: Deployment) -> int:
    """How many are registered: a kill must not make two of one."""
    return len(deployed.registry().search_model_versions())


def left(night: Night) -> list[str]:
    """What still runs of a night that has ended."""
    found, workspace = list(night.working()), night.workspace
    for process in night.deployed.engine.processes("worker"):
        with suppress(psutil.Error):
            if process.environ().get(MARK, "").startswith(f"{workspace}:"):
                found.append(" ".join(process.cmdline()))
    return found


def differences(one: Night, other: Night) -> set[str]:
    """Stage and file of whatever is not the same, or not there, in both."""
    ours, theirs = one.outputs, other.outputs
    return {
        f"{stage} · {file}"
        for stage in ours.keys() | theirs.keys()
        for file in ours.get(stage, {}).keys() | theirs.get(stage, {}).keys()
        if ours.get(stage, {}).get(file) != theirs.get(stage, {}).get(file)
    }


def trial(numbers: list[int], seed: int, undisturbed: Night, never_the_same: set[str]) -> bool:
    """A night with these trials' kills in it; prints a row for each; whether all came out as it should."""
    begin_anew(undisturbed.deployed, undisturbed.kind)
    plans = sorted((Plan.draw(seed, number, undisturbed), number) for number in numbers)
    night, rows = Night(undisturbed.deployed, undisturbed.kind), []
    try:
        for plan, number in plans:
            victim, works_again = strike(plan, night)
            moment, seconds = night.seconds, recovery(night, works_again)
            rows.append((number, plan.kind, victim, f"{moment:.0f}", "-" if seconds is None else f"{seconds:.0f}"))
        night.end()
        wrong = [*sorted(differences(undisturbed, night) - never_the_same), *left(night)]
        if (made := versions(night.deployed)) != (1 if night.kind == "full" else 2):
            wrong.append(f"{made} versions are registered")
    except RuntimeError as error:
        wrong = [str(error)]
    for row in rows:
        print(ROW.format(*row, f"{night.whole:.0f}", night.cleared, "NO" if wrong else "yes"), flush=True)
    print(*(f"      {problem}" for problem in wrong), sep="\n", end="\n" * bool(wrong), flush=True)
    return not wrong


ROW = "{:>5}  {:<17} {:<22} {:>8} {:>8} {:>8} {:>8}  {}"
HEAD = ("trial", "victim", "killed", "at s", "back s", "night s", "cleared", "equal")


def series(deployed: Deployment, asked: argparse.Namespace) -> list[bool]:
    """Two undisturbed nights, then those with the kills; whether each of these came out as it should."""
    if asked.night == "light":
        undisturbed_night(deployed, "full")
    first, undisturbed = (undisturbed_night(deployed, asked.night) for _ in range(2))
    never_the_same = differences(first, undisturbed)
    print(f"\nundisturbed: {first.whole:.0f} s and {undisturbed.whole:.0f} s")
    print("work, s: " + ", ".join(f"{name} {end - at:.0f}" for name, (at, end) in undisturbed.spans.items()))
    print("differ in: " + (", ".join(sorted(never_the_same)) or "nothing"))
    compared = sum(map(len, undisturbed.outputs.values())) - len(never_the_same)
    print(f"compared are the other {compared} files and folders\n\n{ROW.format(*HEAD)}", flush=True)
    numbers = range(asked.after + 1, asked.trials + 1)
    nights = [list(numbers[start : start + asked.kills]) for start in range(0, len(numbers), asked.kills)]
    return [trial(night, asked.seed, undisturbed, never_the_same) for night in nights]


def main() -> int:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--trials", type=int, default=20)
    reader.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    reader.add_argument("--after", type=int, default=0)
    reader.add_argument("--kills", type=int, default=1, help="in one night")
    reader.add_argument("--night", choices=("full", "light"), default="full")
    asked = reader.parse_args()
    print(
        f"seed {asked.seed}, trials {asked.after + 1} to {asked.trials}, {asked.kills} a {asked.night} night",
        flush=True,
    )
    with deployment(SHOP, **QUICK) as deployed:
        good = series(deployed, asked)
    print(f"\n{sum(good)} of {len(good)} nights as undisturbed")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
