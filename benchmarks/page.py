"""How soon the page of `make demo` is there, from a finished night: the service, the first paint, the first list.

    PYTHONPATH=tests python benchmarks/page.py [--times 5] [--pictures FOLDER]     # in a checkout with a champion

Each time a service of its own is started on a free port and ended by its process id, and a fresh Chromium opens the
page. Prints one JSON object: seconds from the command to the first answer of the page and of its data, the processor's
seconds until then, and what the browser measured from the navigation's start. `--pictures` also writes each view.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import psutil
from browser import Browser

LISTED = "document.querySelectorAll('#list .card').length > 0"
PAINTED = "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
BYTES = "return performance.getEntriesByType('resource').reduce((sum, each) => sum + each.encodedBodySize, 0)"
VIEWS = ("shop", "service", "products", "merchant")


def up(base: str, path: str, begun: float, service: subprocess.Popen) -> float:
    """Seconds since `begun` until `path` is answered."""
    while service.poll() is None and time.monotonic() < begun + 120:
        try:
            with urllib.request.urlopen(base + path, timeout=30):
                return time.monotonic() - begun
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise SystemExit(f"the service ended or did not answer {path}")


def processor(pid: int) -> float:
    """Seconds that a process and those it started took of the processor."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(each.cpu_times().user + each.cpu_times().system for each in family)


def once(pictures: Path | None) -> dict[str, float]:
    """One start of the service, and one visit."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    begun = time.monotonic()
    command = [sys.executable, "-m", "triad", "serve", "--demo", "--port", str(port)]
    service = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        base = f"http://127.0.0.1:{port}/"
        told = {"page_s": up(base, "", begun, service), "data_s": up(base, "shop", begun, service)}
        told["processor_s"] = processor(service.pid)
        with Browser() as browser:
            visit = time.monotonic()
            browser.go(base)
            browser.wait(LISTED)
            told |= {"first_list_ms": 1000 * (time.monotonic() - visit), "first_paint_ms": browser.run(PAINTED)}
            told["page_bytes"] = browser.run(BYTES)
            for view in VIEWS if pictures else ():
                browser.go(f"{base}#{view}")
                time.sleep(1)
                browser.picture(pictures / f"{view}.png")
            assert not browser.console()
        return told
    finally:
        service.terminate()
        service.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args()
    load = psutil.getloadavg()[0]
    if asked.pictures:
        asked.pictures.mkdir(parents=True, exist_ok=True)
    found = [once(asked.pictures if n == 0 else None) for n in range(asked.times)]
    spread = {
        name: {q: round(float(np.percentile([each[name] for each in found], p)), 2) for q, p in QUANTILES.items()}
        for name in found[0]
    }
    machine = platform.processor() or platform.machine()
    print(json.dumps({"times": asked.times, **spread, "cores": os.cpu_count(), "load": round(load, 1), "on": machine}))


QUANTILES = {"least": 0, "median": 50, "most": 100}

if __name__ == "__main__":
    main()
