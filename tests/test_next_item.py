"""The next-item benchmark on a small log: its lists are a night's re-ranker's, and the last items choose nothing."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import sequences

from triad.config.fuse import FuseParams

NAMES = ["popularity", "transitions", "followers", "kindred", "attributes"]


def write(folder: Path, last: int) -> None:
    """Half of 800 users walk a ring of 60 items; the others, of shorter histories, take what everybody takes.

    The walkers' last items are `last` steps further.
    """
    random, lines = np.random.default_rng(0), []
    common = 1 / np.arange(1, 61)
    for user in range(800):
        if user % 2:
            items = random.choice(60, 5, replace=False, p=common / common.sum())
        else:
            items = (
                random.integers(60) + np.cumsum(np.where(random.random(9) < 0.6, 1, random.integers(2, 6, 9)))
            ) % 60
            items[-1] = (items[-1] + last) % 60
        lines.append(" ".join([f"u{user}", *(f"i{item}" for item in items)]))
    (folder / "sequences").mkdir(parents=True)
    (folder / "sequences" / "ring.txt").write_text("\n".join(lines))
    kinds = {f"i{item}": [item // 3, 100 + item % 2] for item in range(60)}
    (folder / "sequences" / "ring_item_attributes.json").write_text(json.dumps(kinds))


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """What the benchmark chose, by how far the last items were moved; and what it printed."""
    fuse = FuseParams(mask_seen=True, candidates=10, trees=(20, 40), max_queries=800, bootstrap=50)
    monkeypatch.setattr(sequences, "FUSE", fuse)

    def once(last: int, capsys):
        write(tmp_path / str(last), last)
        monkeypatch.setenv("TRIAD_DATASETS", str(tmp_path / str(last)))
        chosen, answers = {}, sequences.answers
        monkeypatch.setattr(sequences, "answers", lambda *a: chosen.update(answers(*a)) or chosen)
        sequences.run("ring", [1], tmp_path / f"runs{last}", NAMES)
        monkeypatch.setattr(sequences, "answers", answers)
        return chosen, capsys.readouterr().out

    return once


def figure(printed: str, row: str) -> float:
    """NDCG@10 of a row of the table."""
    return float(next(line for line in printed.splitlines() if line.startswith(f"| {row} |")).split("|")[3].split()[0])


def test_the_order_is_the_re_rankers_and_the_last_items_choose_nothing(ran, capsys) -> None:
    chosen, printed = ran(0, capsys)
    other, moved = ran(30, capsys)
    assert chosen["reranked"].reranker is not None and chosen["convex"].reranker is None
    assert chosen["reranked"].reranker.texts == other["reranked"].reranker.texts
    assert chosen["convex"].weights == other["convex"].weights
    assert figure(printed, "reranked") != figure(printed, "convex")
    assert figure(printed, "reranked") > 1.3 * figure(moved, "reranked")  # the ring was followed, and is no longer
    assert f"* {chosen['reranked'].record['best']}: " in printed  # the paired difference
