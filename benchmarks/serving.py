"""How fast the service answers one customer, under a steady load from a process of its own, while the alias moves.

    triad serve --port 8400 &            # in a checkout with a champion and a night's tables
    python benchmarks/serving.py http://127.0.0.1:8400 --rate 50 --seconds 60 [--pid PID] [--move VERSION VERSION …]
    python benchmarks/serving.py … --log FOLDER --kill PID     # of one worker, half way

`--pid` is that of `triad serve`. Besides what clients wait, it tells what the service itself took: its histogram
(/metrics, of one worker), and the processor time of all its processes a request, on which other work on the machine has
little say. Requests start on a fixed clock, whether or not earlier ones were answered (an open loop), so a stall costs
all who came in it.

Prints one JSON object. `--move` lets the alias name these versions one after the other, at equal times. With `--log`,
the folder of serve.log, lists are shown somewhere: whoever gets no answer asks again with the same request_id, and at
the end each answered list must lie in the log once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pyarrow.dataset as ds

HELD = threading.local()
"""Each thread's connection, which is kept as a site's own would be."""
IDLE = 10
"""Seconds after which it is made anew."""


def ask(base: str, path: str, body: dict | None = None) -> dict:
    """Answers as JSON.

    Raises:
        OSError: nobody answers, or it is no success.
    """
    headers = {"Content-Type": "application/json", "X-API-Key": os.environ.get("TRIAD_SERVE_KEY", "")}
    if time.monotonic() - getattr(HELD, "used", -IDLE) >= IDLE:  # the service ends what says nothing for 15 s
        HELD.connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)
    HELD.used = time.monotonic()
    try:
        HELD.connection.request("GET" if body is None else "POST", path, body and json.dumps(body), headers)
        said = HELD.connection.getresponse()
        text = said.read()
    except (OSError, http.client.HTTPException) as error:
        HELD.connection.close()
        raise OSError(type(error).__name__) from error
    if said.status != HTTPStatus.OK:
        raise OSError(f"status {said.status}")
    return json.loads(text) if path != "/metrics" else {"text": text.decode()}


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


def kill(pid: int, when: list[float]) -> None:
    """End it with no chance to clean up."""
    os.kill(pid, signal.SIGKILL)
    when.append(time.perf_counter())


def back(killed: list[float], answered: list[float]) -> float | None:
    """The longest time without an answer after the kill, s."""
    if not killed:
        return None
    after = [killed[0], *sorted(at for at in answered if at > killed[0])]
    return round(float(np.diff(after).max()), 1)


def spent(pid: int | None) -> tuple[float, int]:
    """Processor seconds and bytes of the service and its workers."""
    if pid is None:
        return 0.0, 0
    whole = psutil.Process(pid)
    each = [whole, *whole.children(recursive=True)]
    return sum(sum(p.cpu_times()[:2]) for p in each), sum(p.memory_info().rss for p in each)


def handled(base: str) -> dict[float, int]:
    """Upper end of a bucket, seconds → answers to /recommend so far that took no longer in the service itself."""
    text = ask(base, "/metrics")["text"]
    found = re.findall(r'triad_request_seconds_bucket\{path="/recommend",le="([^"]+)"\} (\d+)', text)
    return {float(bound.replace("+Inf", "inf")): int(count) for bound, count in found}


def within(before: dict[float, int], after: dict[float, int]) -> dict[str, float]:
    """Of the answers between two looks, a bound in ms on each percentile."""
    since = {bound: count - before.get(bound, 0) for bound, count in after.items()}
    total = max(since.values(), default=0)
    bounds = {p: min(b for b, n in since.items() if n >= total * p / 100) for p in (50, 90, 99)} if total > 0 else {}
    return {f"p{p}": 1000 * bound for p, bound in bounds.items()}


def everybody() -> list[str]:
    """The customers of the night that lies in this checkout."""
    return ds.dataset("artifacts/validate/tables/users").to_table(["user_id"])["user_id"].to_pylist()


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
    users = random.Random(asked.seed).sample(everybody(), asked.customers)
    item = ask(asked.base, "/recommend", {"user_id": users[0], "k": 1})["items"][0]["item_id"]
    since = [{"item_id": item, "kind": "click"}] if asked.since else []
    begun_at = int(time.time())
    luck, count = random.Random(asked.seed), int(asked.rate * asked.seconds)
    bodies = [{"user_id": luck.choice(users), "k": 20, "events": since} for _ in range(count)]
    if asked.log:
        bodies = [{**body, "surface": "home", "request_id": f"{begun_at}-{n}"} for n, body in enumerate(bodies)]
    took, errors, versions, shown = np.full(count, np.nan), [], set(), {}
    answered, killed = [], []
    load = psutil.getloadavg()[0]
    if asked.kill:
        threading.Timer(asked.seconds / 2, kill, (asked.kill, killed)).start()
    if asked.move:
        every = asked.seconds / (len(asked.move) + 1)
        threading.Thread(target=move, args=(asked.move, every), daemon=True).start()
    used, seen = spent(asked.pid)[0], handled(asked.base)
    begun = time.perf_counter() + 2  # all threads stand ready by then

    def one(n: int) -> None:
        due = begun + n / asked.rate
        time.sleep(max(due - time.perf_counter(), 0))
        for _ in range(60 if asked.log else 1):
            try:
                said = ask(asked.base, "/recommend", bodies[n])
            except OSError as error:
                errors.append(str(error))
                time.sleep(0.5)
                continue
            versions.add(said["version"])
            answered.append(time.perf_counter())
            took[n], shown[n] = 1000 * (time.perf_counter() - due), len(said["items"])
            return

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(one, range(count)))
    known, (cpu, memory) = took[np.isfinite(took)], spent(asked.pid)
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
                "handled_within_ms": None if asked.kill or asked.move else within(seen, handled(asked.base)),
                "processor_ms_a_request": asked.pid and round(1000 * (cpu - used) / count, 2),
                "back_after_s": back(killed, answered),
                "memory_mib": asked.pid and round(memory / 2**20),
                "cores": os.cpu_count(),
                "load_before": round(load, 1),
                "machine": platform.processor() or platform.machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
