"""`triad online report`: what customers did with what each arm showed, with the gate's intervals over customers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from triad.arrays import Floats, Ints
from triad.config.evaluate import EvaluateParams
from triad.errors import TriadError
from triad.serving.trial import CHALLENGER
from triad.statistics.bootstrap import draw, interval

DEEDS = {"click": "looked at", "purchase": "bought"}


@dataclass(frozen=True)
class Compared:
    """How often something followed what an arm showed. `low` and `high` are of the difference."""

    deed: str
    champion: float
    challenger: float
    low: float
    high: float
    shown: tuple[int, int]
    customers: int

    def __str__(self) -> str:
        sure = "better" if self.low > 0 else "worse" if self.high < 0 else "no difference shown"
        old, new = self.shown
        return (
            f"{self.deed}: {self.challenger:.2%} of {new:,} shown by the challenger, {self.champion:.2%} of {old:,} by "
            f"the champion · {self.challenger - self.champion:+.2%} [{self.low:+.2%}, {self.high:+.2%}] over "
            f"{self.customers:,} customers · {sure}"
        )


def compare(shown: pa.Table, events: duckdb.DuckDBPyConnection, hours: int, limits: EvaluateParams) -> list[Compared]:
    """Both arms of what was shown while a trial ran.

    Args:
        shown: the log (`sources/shown.py`).
        events: a session on the night's tables.
        hours: within which a deed follows from an impression.

    Raises:
        TriadError: an arm has shown nothing.
    """
    events.register("shown", shown)
    rows = events.execute(f"""
        WITH trial AS (SELECT DISTINCT version FROM shown WHERE arm = '{CHALLENGER}'),
        days AS (SELECT min(occurred_at) AS first, max(occurred_at) AS last FROM shown WHERE arm = '{CHALLENGER}'),
        part AS (SELECT s.* FROM shown s, days WHERE s.occurred_at BETWEEN first AND last)
        SELECT p.user_id AS user_id, p.arm = '{CHALLENGER}' AS challenger,
            {", ".join(f"coalesce(max((e.kind = '{deed}')::INT), 0) AS {deed}" for deed in DEEDS)}
        FROM part p LEFT JOIN events e ON e.user_id = p.user_id AND e.item_id = p.item_id
            AND e.occurred_at BETWEEN p.occurred_at AND p.occurred_at + INTERVAL {int(hours)} HOUR
        GROUP BY p.event_id, p.user_id, p.arm
    """).fetchnumpy()
    challenger = np.asarray(rows["challenger"], bool)
    if not challenger.any() or challenger.all():
        mend = "let the trial run for longer; in mode shadow nothing of the challenger is shown"
        raise TriadError(f"only one arm has shown anything, {len(challenger):,} items", where="trial", mend=mend)
    user = np.unique(np.asarray(rows["user_id"], object).astype(str), return_inverse=True)[1]
    deeds = {deed: np.asarray(rows[deed], np.float64) for deed in DEEDS}
    return differences(user, challenger, deeds, limits)


def differences(
    user: Ints, challenger: np.ndarray, deeds: Mapping[str, Floats], limits: EvaluateParams
) -> list[Compared]:
    """Challenger less champion, of each deed's share of what was shown; resampled by customers, as the gate does."""
    customers = int(user.max()) + 1
    draws, arms = draw(customers, limits.bootstrap, limits.seed), (~challenger, challenger)
    shown = draws.totals(user, np.stack([arm.astype(float) for arm in arms], axis=1))
    differing = []
    for deed, values in deeds.items():
        done = draws.totals(user, np.stack([values * arm for arm in arms], axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = done / shown
        low, high = interval(rate[:, 1] - rate[:, 0], limits.confidence)
        counts = int(shown[0, 0]), int(shown[0, 1])
        differing.append(Compared(DEEDS[deed], float(rate[0, 0]), float(rate[0, 1]), low, high, counts, customers))
    return differing


def unseen(folder: Path) -> str:
    """A sentence on each challenger that was compared with the champion's answers."""
    by_version: dict[str, list[dict[str, float | str | None]]] = {}
    for path in sorted(folder.glob("comparisons/*.jsonl")):
        for line in path.read_text().split("\n")[:-1]:
            told = json.loads(line)
            by_version.setdefault(told["challenger"], []).append(told)
    sentences = []
    for version, told in by_version.items():
        ms = [float(each["ms"]) for each in told if each["ms"] is not None]
        overlap = [float(each["overlap"]) for each in told if each["overlap"] is not None]
        p50, p99 = np.percentile(ms, [50, 99]) if ms else (np.nan, np.nan)
        same = f" · {np.mean(overlap):.1%} of the champion's items" if overlap else ""
        counts = f"{len(told):,} answers, {len(told) - len(ms):,} failed"
        sentences.append(f"version {version}: {counts} · p50 {p50:.0f} ms, p99 {p99:.0f} ms{same}")
    sentences += [f"ended: {json.loads(path.read_text())['reason']}" for path in sorted(folder.glob("ended-*.json"))]
    return "\n".join(sentences) or "no challenger has answered"
