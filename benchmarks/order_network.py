"""What a network beside the re-ranker's trees is worth, out of fold on the fusion window (`fuse.network`).

`python benchmarks/order_network.py [--weights 0.1 0.2 0.3 1] [--seeds 1 2 3]` in a workspace whose stages `features` to
`fuse` ran. It prints NDCG of the lists by the trees alone, as many as `fuse.trees` names last, and what a weight of the
network adds, by several seeds of the network and the trees: 95 % intervals over users, folds as the stage deals them.
The test window is not read.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from own_history import shown

from triad.artifacts import ARTIFACTS
from triad.config.params import Params, load
from triad.examples import dataset
from triad.fusion.fitting import ranking_question
from triad.fusion.fused import Fused
from triad.fusion.reranking import Lesson
from triad.kinds import KINDS


def lesson_of(params: Params) -> Lesson:
    """The lists that the stage `fuse` learns an order from, and their candidates."""
    data, fused = dataset.load(ARTIFACTS / "features"), Fused.load(ARTIFACTS / "fuse")
    assert fused.ranking is not None and fused.reranker is not None, "no re-ranked lists serve here"
    members = {name: fused.members[name] for name in fused.reranker.members}
    question = ranking_question(data, members, fused.ranking, KINDS["ranking"], params.fuse)
    assert question.lesson is not None
    return question.lesson


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.1, 0.2, 0.3, 1.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked = parser.parse_args()
    params = load(Path("params.yaml"))
    lesson = lesson_of(params)
    users = np.unique(lesson.user)
    dealt = np.random.default_rng(params.fuse.seed).permutation(len(users)) % params.fuse.folds
    folds = dict(zip(users.tolist(), dealt.tolist(), strict=True))
    _, cluster = np.unique(lesson.user[: lesson.judged], return_inverse=True)

    def worth(weight: float, seed: int) -> np.ndarray:
        """(judged,) NDCG of each list."""
        judgement = replace(lesson, trees=lesson.trees[-1:], network=(weight,), seed=seed).judge(folds, params.fuse.k)
        assert judgement is not None
        return judgement.values

    print(f"{lesson.judged:,} lists of {cluster.max() + 1:,} users, {lesson.trees[-1]} trees")
    began = time.process_time()
    alone = np.mean([worth(0.0, seed) for seed in asked.seeds], axis=0)
    trees = time.process_time() - began
    print(f"trees alone {shown(alone, cluster)}, {trees / len(asked.seeds):.1f} processor-s")
    for weight in asked.weights:
        began = time.process_time()
        found = [worth(weight, seed) for seed in asked.seeds]
        seconds = (time.process_time() - began - trees) / len(asked.seeds)
        each = " ".join(f"{one.mean() - alone.mean():+.4f}" for one in found)
        more = shown(np.mean(found, axis=0) - alone, cluster)
        print(f"weight {weight}: more by {more}, seed by seed {each}; {seconds:.1f} processor-s more")


if __name__ == "__main__":
    main()
