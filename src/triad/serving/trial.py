"""A challenger beside the version that serves: asked unseen, by a share of customers, or for half of each list.

A customer stays in one arm as long as the challenger is the same. Where it fails, the champion answers. A canary that
fails a limit ends for all workers, and stays ended, for `ended` is a file.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from triad.artifacts import replacing_file
from triad.config.serve import TrialParams
from triad.errors import TriadError
from triad.serving.holder import Holder, Served
from triad.serving.impressions import ImpressionLog

LOG = logging.getLogger("triad.serve")
CHAMPION, CHALLENGER = "champion", "challenger"
NOBODY = Served("", cast(Any, None))
"""What a trial's holder hands out while there is no challenger."""
WAITING = 64
"""Unseen answers that may wait; more are not asked for, so that they cost those that are seen nothing."""

Rows = list[dict[str, Any]]
Asked = Callable[[Served], Rows]


@dataclass(frozen=True)
class Outcome:
    """How the challenger answered once."""

    ms: float | None  # None: it failed
    overlap: float | None  # share of the champion's items that it listed; None: nobody asked the champion


class Trial:
    """The trial of what `holder` hands out.

    Args:
        folder: where comparisons are written, and that it ended.
        patience: seconds that a customer waits for the challenger, before the champion answers.
    """

    def __init__(self, settings: TrialParams, holder: Holder, folder: Path, patience: float = 5.0) -> None:
        self.settings, self.holder, self._folder, self._patience = settings, holder, folder, patience
        self._latest: deque[Outcome] = deque(maxlen=settings.requests)
        self._pool = ThreadPoolExecutor(2, "triad-challenger")
        self._waiting = threading.Semaphore(WAITING)
        self._comparisons = ImpressionLog(folder / "comparisons", "never")

    @property
    def ended(self) -> Path:
        """There once the present challenger has failed."""
        return self._folder / f"ended-{self.holder.now.version}.json"

    def arm(self, user: str) -> str:
        """The customer's, by a hash of their id."""
        share = {"canary": self.settings.share, "compare": 0.5}.get(self.settings.mode, 0.0)
        drawn = int.from_bytes(hashlib.sha256(f"{self.holder.now.version}\0{user}".encode()).digest()[:7])
        return CHALLENGER if drawn < share * (1 << 56) else CHAMPION

    def answer(self, champion: Served, user: str, asked: Asked, k: int) -> tuple[Served, Rows]:
        """The list that `user` gets, each row with its arm, and the state that made it.

        Args:
            asked: gives a state's list.
            k: how long a list drawn from both may be.
        """
        tried = self.holder.now  # it may be exchanged meanwhile
        if tried.version in ("", champion.version) or self.ended.exists():
            return champion, asked(champion)
        mode = self.settings.mode
        if mode == "shadow":
            rows = asked(champion)
            if self._waiting.acquire(blocking=False):
                self._pool.submit(self._timed, asked, tried).add_done_callback(lambda done: self._seen(done, rows))
            return champion, rows
        if mode == "interleave":
            rows = asked(champion)
            other = self._waited(asked, tried, rows)
            return champion, rows if other is None else drafted(rows, other, k, f"{user}\0{rows[:1]}")
        if self.arm(user) == CHALLENGER and (other := self._waited(asked, tried, None)) is not None:
            return tried, [{**row, "arm": CHALLENGER} for row in other]
        return champion, asked(champion)

    def close(self) -> None:
        """Wait for what is being asked for unseen."""
        self.holder.stop()
        self._pool.shutdown(cancel_futures=True)
        self._comparisons.close()

    def _timed(self, asked: Asked, tried: Served) -> tuple[Rows, float]:
        begun = time.perf_counter()
        rows = asked(tried)
        if not rows:
            raise TriadError("its list is empty", where="trial", mend="end it: `triad online end`")
        return rows, 1000 * (time.perf_counter() - begun)

    def _waited(self, asked: Asked, tried: Served, rows: Rows | None) -> Rows | None:
        """The challenger's list; None where it failed or took too long."""
        work = self._pool.submit(self._timed, asked, tried)
        try:
            error = work.exception(self._patience)
        except TimeoutError:
            work.cancel()
            error = TimeoutError()
        self._judge(work, error, rows)
        return None if error is not None else work.result()[0]

    def _seen(self, work: Future[tuple[Rows, float]], rows: Rows) -> None:
        self._waiting.release()
        if not work.cancelled():
            self._judge(work, work.exception(), rows)

    def _judge(self, work: Future[tuple[Rows, float]], error: BaseException | None, rows: Rows | None) -> None:
        overlap, ms = None, None
        if error is None:
            other, ms = work.result()
            overlap = None if rows is None else _overlap(rows, other)
        self._latest.append(Outcome(ms, overlap))
        told = {"at": time.time(), "challenger": self.holder.now.version, "ms": ms, "overlap": overlap}
        self._note(told | {"error": None if error is None else type(error).__name__})
        if (reason := failed(list(self._latest), self.settings)) is not None and self.settings.mode != "shadow":
            self._end(reason)

    def _note(self, told: dict[str, Any]) -> None:
        """A full disk costs the comparison, and not the answer."""
        try:
            self._comparisons.write([told])
        except OSError as error:
            LOG.error("a comparison is lost: %s", error)

    def _end(self, reason: str) -> None:
        self._latest.clear()
        try:
            with replacing_file(self.ended) as fresh:
                fresh.write_text(json.dumps({"version": self.holder.now.version, "reason": reason}) + "\n")
        except (OSError, TriadError) as error:
            LOG.error("the trial should end (%s), but that cannot be written down: %s", reason, error)
            return
        LOG.error("the trial of version %s is over, all customers are back: %s", self.holder.now.version, reason)


def failed(latest: list[Outcome], limits: TrialParams) -> str | None:
    """The limit that the latest answers are beyond, None where there is none, or too few have come."""
    if len(latest) < limits.requests:
        return None
    errors = sum(each.ms is None for each in latest) / len(latest)
    if errors > limits.most_errors:
        return f"{errors:.1%} of its answers failed, of {limits.most_errors:.1%} allowed"
    slowest = float(np.percentile([np.inf if each.ms is None else each.ms for each in latest], 99, method="lower"))
    if slowest > limits.slowest_ms:
        return f"99 of 100 answers came within {slowest:.0f} ms, of {limits.slowest_ms:g} allowed"
    known = [each.overlap for each in latest if each.overlap is not None]
    if known and (overlap := float(np.mean(known))) < limits.least_overlap:
        return f"its lists share {overlap:.1%} of the champion's items, of {limits.least_overlap:.1%} at least"
    return None


def drafted(first: Rows, second: Rows, k: int, seed: str) -> Rows:
    """One list from two: by turns each gives its best item that is not in it yet, and who begins is drawn each time.

    Team-draft interleaving (Radlinski et al. 2008, doi:10.1145/1458082.1458092).
    """
    luck, rows, taken = random.Random(seed), list[dict[str, Any]](), set()
    chance = chances([row["item_id"] for row in first], [row["item_id"] for row in second], k)
    left = {CHAMPION: iter(first), CHALLENGER: iter(second)}
    while left and len(rows) < k:
        turn = list(left)
        luck.shuffle(turn)
        for arm in turn:
            row = next((each for each in left[arm] if each["item_id"] not in taken), None)
            if row is None:
                del left[arm]
            elif len(rows) < k:
                taken.add(row["item_id"])
                propensity = row["propensity"] * chance[row["item_id"]]
                rows.append({**row, "arm": arm, "rank": len(rows) + 1, "propensity": propensity})
    return rows


def chances(first: Sequence[str], second: Sequence[str], k: int) -> dict[str, float]:
    """Item → the probability with which a list of `k` drafted from both holds it, whoever begins each time.

    Exact: what is drafted is always all of one list up to some place and all of the other up to some place, and few
    such pairs of places are met.
    """
    lists = first, second
    place = [{item: at for at, item in enumerate(each)} for each in lists]
    met, done = {(0, 0): (1.0, 0)}, dict[tuple[int, int], float]()  # places → probability, items so far
    while met:
        later: dict[tuple[int, int], tuple[float, int]] = {}
        for state, (weight, count) in met.items():
            for order in ((0, 1), (1, 0)):
                at, items = list(state), count
                for arm in order:
                    if items == k:
                        break
                    other = 1 - arm
                    while at[arm] < len(lists[arm]) and place[other].get(lists[arm][at[arm]], k) < at[other]:
                        at[arm] += 1  # the other has taken it
                    if at[arm] < len(lists[arm]):
                        at[arm], items = at[arm] + 1, items + 1
                fresh = at[0], at[1]
                if items in (count, k):
                    done[fresh] = done.get(fresh, 0.0) + weight / 2
                else:
                    later[fresh] = later.get(fresh, (0.0, 0))[0] + weight / 2, items
        met = later
    mean = dict.fromkeys([*first, *second], 0.0)
    for (one, two), weight in done.items():
        for item in {*first[:one], *second[:two]}:
            mean[item] += weight
    return mean


def _overlap(first: Rows, second: Rows) -> float:
    own, other = ({row["item_id"] for row in rows} for rows in (first, second))
    return len(own & other) / max(len(own), 1)
