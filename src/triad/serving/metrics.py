"""Counts and times of requests, in Prometheus' text form. One set a process."""

from __future__ import annotations

import os
import threading
from collections import Counter

import psutil

BOUNDS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.015, 0.025, 0.035, 0.05, 0.08, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the histogram's buckets, seconds."""


class Metrics:
    """Requests by path and status, how long they took, and what serves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: Counter[tuple[str, int]] = Counter()  # path and place in BOUNDS
        self._seconds: dict[str, float] = {}
        self.swaps: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def observe(self, path: str, status: int, seconds: float) -> None:
        """One answered request."""
        place = next((at for at, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
        with self._lock:
            self._requests[path, status] += 1
            self._buckets[path, place] += 1
            self._seconds[path] = self._seconds.get(path, 0.0) + seconds

    def text(self, version: str) -> str:
        """All of them."""
        with self._lock:
            requests, buckets, seconds = dict(self._requests), Counter(self._buckets), dict(self._seconds)
        lines = ["# HELP triad_requests_total Answered requests.", "# TYPE triad_requests_total counter"]
        lines += [f'triad_requests_total{{path="{p}",status="{s}"}} {n}' for (p, s), n in sorted(requests.items())]
        lines += ["# HELP triad_request_seconds Time to answer.", "# TYPE triad_request_seconds histogram"]
        for path, total in sorted(seconds.items()):
            below = 0
            for place, bound in enumerate((*BOUNDS, "+Inf")):
                below += buckets[path, place]
                lines.append(f'triad_request_seconds_bucket{{path="{path}",le="{bound}"}} {below}')
            lines += [f'triad_request_seconds_sum{{path="{path}"}} {total:.6f}']
            lines += [f'triad_request_seconds_count{{path="{path}"}} {below}']
        lines += ["# HELP triad_model_swaps_total Models loaded, by outcome.", "# TYPE triad_model_swaps_total counter"]
        lines += [f'triad_model_swaps_total{{outcome="{name}"}} {n}' for name, n in sorted(self.swaps.items())]
        lines += [
            "# HELP triad_impressions_lost_total Not written down.",
            "# TYPE triad_impressions_lost_total counter",
        ]
        lines.append(f"triad_impressions_lost_total {self.lost.total()}")
        lines += ["# HELP triad_model_info The version that serves.", "# TYPE triad_model_info gauge"]
        lines.append(f'triad_model_info{{version="{version}"}} 1')
        lines += ["# HELP process_resident_memory_bytes Memory.", "# TYPE process_resident_memory_bytes gauge"]
        lines.append(f"process_resident_memory_bytes {psutil.Process(os.getpid()).memory_info().rss}")
        return "\n".join(lines) + "\n"
