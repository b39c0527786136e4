"""How fast the service answers one customer, under a steady load from a process of its own, while the alias moves.

    triad serve --port 8400 &            # in a checkout with a champion and a night's tables
    python benchmarks/serving.py http://127.0.0.1:8400 --rate 50 --seconds 60 [--pid PID] [--move VERSION VERSION …]
    python benchmarks/serving.py … --log FOLDER --kill PID     # of one worker, half way

Requests start on a fixed clock, whether or not earlier ones were answered (an open loop), so a stall costs all who came
in it. Prints one JSON object. `--move` lets the alias name these versions one after the other, at equal times. With
`--log`, the folder of serve.log, lists are shown somewhere: whoever gets no answer asks again with the same request_id,
and at the end each answered list must lie in the log once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil


def ask(base: str, path: str, body: dict | None = None) -> dict:
    headers = {"Content-Type": "application/json", "X-API-Key": os.environ.get("TRIAD_SERVE_KEY", "")}
    request = urllib.request.Request(base + path, None if body is None else json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as said:
        return json.load(said)


def move(versions: list[str], every: float) -> None:
    """Let the alias name each of `versions`, as a promotion and a rollback do."""
    from triad.config.params import load
    from triad.tracking.store import client

    publish, registry = load().publish, client(make=False)
    for version in versions:
        time.sleep(every)
        registry.set_registered_model_alias(publish.model, publish.alias, version)


def kept(folder: Path, bodies: list[dict], shown: dict[int, int]) -> dict[str, int]:
    """Of the items that answers showed: how many the log lacks, and how many it holds twice."""
    from triad.serving.impressions import rows
    from triad.sources.shown import read

    known = {"price_cents": None, "version": "", "arm": "", "propensity": 1.0, "item_id": ""}
    sent = []
    for n, count in shown.items():
        listed = [{**known, "rank": rank + 1} for rank in range(count)]
        sent += [row["event_id"] for row in rows(bodies[n]["user_id"], bodies[n]["request_id"], "home", None, listed)]
    found = read(folder)["event_id"].to_pylist()
    return {"shown": len(sent), "lost": len(set(sent) - set(found)), "doubled": len(found) - len(set(found))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base")
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pid", type=int, help="of the service, for its memory")
    parser.add_argument("--move", nargs="*", default=[])
    parser.add_argument("--log", type=Path, help="folder of serve.log")
    parser.add_argument("--kill", type=int, help="process that is killed half way")
    parser.add_argument("--customers", type=int, default=1, help="who are asked about, at random")
    parser.add_argument("--since", action="store_true", help="each request brings a click, so no list was kept")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    users = ask(asked.base, "/shop")["customers"][: asked.customers]
    item = ask(asked.base, "/recommend", {"user_id": users[0], "k": 1})["items"][0]["item_id"]
    since = [{"item_id": item, "kind": "click"}] if asked.since else []
    begun_at = int(time.time())
    luck, count = random.Random(asked.seed), int(asked.rate * asked.seconds)
    bodies = [{"user_id": luck.choice(users), "k": 20, "events": since} for _ in range(count)]
    if asked.log:
        bodies = [{**body, "surface": "home", "request_id": f"{begun_at}-{n}"} for n, body in enumerate(bodies)]
    took, errors, versions, shown = np.full(count, np.nan), [], set(), {}
    load = psutil.getloadavg()[0]
    if asked.kill:
        threading.Timer(asked.seconds / 2, os.kill, (asked.kill, signal.SIGKILL)).start()
    threading.Thread(target=move, args=(asked.move, asked.seconds / (len(asked.move) + 1)), daemon=True).start()
    begun = time.perf_counter() + 0.5

    def one(n: int) -> None:
        due = begun + n / asked.rate
        time.sleep(max(due - time.perf_counter(), 0))
        for _ in range(60 if asked.log else 1):
            try:
                said = ask(asked.base, "/recommend", bodies[n])
            except OSError as error:  # URLError is one
                errors.append(str(error))
                time.sleep(0.5)
                continue
            versions.add(said["version"])
            took[n], shown[n] = 1000 * (time.perf_counter() - due), len(said["items"])
            return

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(one, range(count)))
    known = took[np.isfinite(took)]
    print(
        json.dumps(
            {
                "requests": count,
                "rate": asked.rate,
                "errors": len(errors),
                "unanswered": int(np.isnan(took).sum()),
                "log": asked.log and kept(asked.log, bodies, shown),
                "kinds": sorted(set(errors))[:3],
                "versions": sorted(versions),
                "ms": {f"p{p:g}": round(float(np.percentile(known, p)), 1) for p in (50, 90, 99, 100)},
                "memory_mib": asked.pid and round(psutil.Process(asked.pid).memory_info().rss / 2**20),
                "cores": os.cpu_count(),
                "load_before": round(load, 1),
                "machine": platform.processor() or platform.machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
