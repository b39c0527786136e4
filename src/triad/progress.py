"""Progress of long work: a bar in a terminal, one line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

EVERY = 5.0
"""Seconds between lines where there is no terminal."""


class Progress:
    """Counts units of work, with rate and time left. Use as a context manager.

    Args:
        label: what is being done, in a word or two.
        total: how many units there are; 0: nobody knows.
        unit: the unit's name, in the plural ("examples").
    """

    def __init__(self, label: str, total: int, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._done, self._start = 0, time.monotonic()
        self._next = self._start + EVERY
        self._bar = (
            tqdm(total=total or None, desc=label, unit=f" {unit}", unit_scale=True) if sys.stderr.isatty() else None
        )

    def advance(self, units: int, **values: float) -> None:
        """`units` more are done; `values` (a loss, say) are shown beside the rate."""
        self._done += units
        shown = " · ".join(f"{name} {value:.4g}" for name, value in values.items())
        if self._bar is not None:
            self._bar.update(units)
            self._bar.set_postfix_str(shown, refresh=False)
            return
        now = time.monotonic()
        if now >= self._next and (self._done < self._total or not self._total):
            self._next = now + EVERY
            self._line(now, shown)

    def _line(self, now: float, shown: str = "") -> None:
        rate = self._done / max(now - self._start, 1e-9)
        left = max(self._total - self._done, 0) / max(rate, 1e-9)
        of = f"/{self._total:,}" if self._total else ""
        text = f"{self._label} {self._done:,}{of} {self._unit}"
        parts = [text, shown, f"{rate:,.0f} {self._unit}/s", f"{left / 60:.1f} min left" if of else ""]
        sys.stderr.write(" · ".join(p for p in parts if p) + "\n")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
        elif error is None and time.monotonic() - self._start > EVERY:
            self._line(time.monotonic())
