"""What `fuse` and `evaluate` take of lists: seconds and peak memory, by how many items there are.

    python benchmarks/judged_at_scale.py [--items 10000 68000] [--lists 5000] [--users 30000]

The drawn shop and the six members of `lists_at_scale.py`. As many lists of the validation, the fusion and the test
window; `fit_fusion` and `score_members` are the functions of the two stages. Each size runs in a process of its own.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lists_at_scale import members_of, shop

from triad.environment import ENVIRONMENT


def timed(work: Callable[[], Any]) -> tuple[Any, str]:
    """What `work` gives, and two cells: its seconds, and the process's peak memory so far."""
    wall, processor = time.monotonic(), time.process_time()
    made = work()
    wall, processor = time.monotonic() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return made, f"{wall:.0f} s | {processor:.0f} s | {peak:.2f} GiB"


def one(items: int, lists: int, users: int) -> None:
    """Prints a row of the table."""
    from triad.config.fuse import FuseParams
    from triad.config.tasks import TaskParams
    from triad.evaluation.scoring import score_members
    from triad.evaluation.window import window
    from triad.fusion.fitting import fit_fusion

    data = shop(users, items, steps=20, lists=dict.fromkeys(("validation", "fusion", "test"), lists))
    members, before = timed(lambda: members_of(data))
    tasks = {"next": TaskParams(kind="ranking", label="next_item")}
    params = FuseParams(members=tuple(members), max_queries=lists)
    fused, fuse = timed(lambda: fit_fusion(data, members, tasks, params))
    scored, evaluate = timed(lambda: score_members(fused, data, window(data, "test", lists, 1)))
    assert len(scored["fused"].ranks) == lists
    print(f"| {items:,} | {before.rsplit('|', 1)[1]} | {fuse} | {evaluate} |", flush=True)
    fields = fused.record["next"].get("reranked", {})
    print(f"{items:,} items: re-ranked {fields.get('serves')}, worth {fields.get('worth')}", file=sys.stderr)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--items", type=int, nargs="+", default=[10_000, 68_000])
    arguments.add_argument("--lists", type=int, default=5000, help="of each of the three windows")
    arguments.add_argument("--users", type=int, default=30_000)
    arguments.add_argument("--one", action="store_true", help="in this process, without the table's head")
    asked = arguments.parse_args()
    if asked.one:
        one(asked.items[0], asked.lists, asked.users)
        return
    print("| items | peak before | fuse | processor | peak | evaluate | processor | peak |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for items in asked.items:
        dials = [f"--items={items}", f"--lists={asked.lists}", f"--users={asked.users}", "--one"]
        subprocess.run([sys.executable, Path(__file__), *dials], check=True, env={**os.environ, **ENVIRONMENT})


if __name__ == "__main__":
    main()
