"""What the stages of a run took: time, processor time, memory, bytes read; and what that comes to in money.

It is written beside the outputs and no part of them: the same inputs give the same outputs, at whatever cost.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from triad.artifacts import read_json, write_json
from triad.errors import TriadError

if TYPE_CHECKING:
    from triad.config.retraining import PriceParams

FOLDER = Path(".triad") / "costs"
_IO, _STAT = Path("/proc/self/io"), Path("/proc/self/stat")
_HEAD = ("stage", "seconds", "share", "processor", "cores", "peak memory", "read", "money")


@dataclass(frozen=True)
class Cost:
    """Of the last time that a stage ran to its end, from the start of its process."""

    stage: str
    seconds: float
    processor_seconds: float
    peak_bytes: int
    read_bytes: int | None  # by calls of the system, whether from the disk or from its cache; None: it does not say
    ended: float  # seconds since 1970

    def money(self, prices: PriceParams) -> float | None:
        """None where no price is known."""
        if prices.processor_hour is None and prices.gigabyte_hour is None:
            return None
        held = self.peak_bytes / 1e9 * self.seconds * (prices.gigabyte_hour or 0.0)
        return (self.processor_seconds * (prices.processor_hour or 0.0) + held) / 3600


@contextmanager
def measured(stage: str, folder: Path = FOLDER) -> Iterator[None]:
    """Writes what this process, of which `stage` is all the work, took; nothing where it fails."""
    yield
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit = 1 if sys.platform == "darwin" else 1024
    cost = Cost(
        stage=stage,
        seconds=round(_seconds(), 2),
        processor_seconds=round(sum(each.ru_utime + each.ru_stime for each in used), 2),
        peak_bytes=max(each.ru_maxrss for each in used) * unit,
        read_bytes=_read_bytes(_IO.read_text()) if _IO.is_file() else None,
        ended=round(time.time(), 2),
    )
    write_json(folder / f"{stage}.json", asdict(cost))


def read(folder: Path = FOLDER) -> list[Cost]:
    """What is known of each stage, in the order in which they ended."""
    return sorted((Cost(**read_json(path)) for path in folder.glob("[!.]*.json")), key=lambda cost: cost.ended)


def metrics(costs: Sequence[Cost], prices: PriceParams) -> dict[str, float]:
    """Name → value, a stage's and all of them together."""
    by_metric: dict[str, float] = {}
    for cost in costs:
        values = {name: value for name, value in asdict(cost).items() if name not in ("stage", "ended")}
        for name, value in (values | {"money": cost.money(prices)}).items():
            if value is not None:
                by_metric[f"cost/{cost.stage}/{name}"] = float(value)
    for name in ("seconds", "processor_seconds", "money"):
        parts = [value for key, value in by_metric.items() if key.rpartition("/")[2] == name]
        if parts:
            by_metric[f"cost/all/{name}"] = sum(parts)
    return by_metric


def total(costs: Sequence[Cost]) -> str:
    """A night's cost in one line."""
    kind = "full" if any(cost.stage == "evaluate" for cost in costs) else "light"
    used = sum(cost.processor_seconds for cost in costs)
    return f"this {kind} night's stages took {used:.0f} processor-seconds: `triad costs` shows each"


def table(costs: Sequence[Cost], prices: PriceParams) -> str:
    """A line a stage for a terminal, and their sum.

    Raises:
        TriadError: no stage has run yet.
    """
    if not costs:
        raise TriadError("no stage has run to its end here", where=str(FOLDER), mend="`make run`, then ask again")
    seconds = sum(cost.seconds for cost in costs)
    rows = [_HEAD, *(_row(cost, seconds, prices) for cost in costs)]
    total = sum(cost.processor_seconds for cost in costs)
    money = [value for cost in costs if (value := cost.money(prices)) is not None]
    peak = max((cost.peak_bytes for cost in costs), default=0)
    rows.append(
        (
            "all",
            f"{seconds:.1f} s",
            "",
            f"{total:.1f} s",
            "",
            _size(peak),
            "",
            _money(sum(money) if money else None, prices),
        )
    )
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(cost: Cost, seconds: float, prices: PriceParams) -> tuple[str, ...]:
    return (
        cost.stage,
        f"{cost.seconds:.1f} s",
        f"{cost.seconds / seconds:.0%}",
        f"{cost.processor_seconds:.1f} s",
        f"{cost.processor_seconds / cost.seconds:.2f}",
        _size(cost.peak_bytes),
        "–" if cost.read_bytes is None else _size(cost.read_bytes),
        _money(cost.money(prices), prices),
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _money(value: float | None, prices: PriceParams) -> str:
    return "–" if value is None else f"{value:.4f} {prices.currency}"


def _seconds() -> float:
    """Since the start of this process."""
    if _STAT.is_file():
        ticks = int(_STAT.read_text().rpartition(")")[2].split()[19])  # field 22 of proc(5), and 2 stand before ")"
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    import psutil  # 12 ms of a start

    return time.time() - psutil.Process().create_time()


def _read_bytes(told: str) -> int:
    return int(dict(line.split(": ") for line in told.splitlines())["rchar"])
