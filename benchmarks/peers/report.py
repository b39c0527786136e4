"""Triad beside the peers: test AUC over seeds, and the paired difference with its interval.

    python benchmarks/peers/report.py STUDY OUT

Reads what `run.py` left in OUT and the units of the study's reference in `ablations/outcomes`; seeds that both have.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from triad.ablations.compare import difference, estimates
from triad.ablations.files import load as load_study
from triad.ablations.outcome import Answers, Outcome
from triad.ablations.spec import Unit
from triad.evaluation.assess import NAIVE

FOLDER = Path("ablations")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    study = load_study(FOLDER / "studies" / f"{asked.study}.yaml")
    params = study.settings(study.reference).evaluate
    ours: dict[int, Outcome] = {}
    for seed in study.seeds:
        folder = FOLDER / "outcomes" / asked.study / Unit(asked.study, study.reference, 1.0, seed).name
        if folder.is_dir():
            ours[seed] = Outcome.load(folder)
    for path in sorted(asked.out.glob("*.json")):
        chosen, peer = json.loads(path.read_text()), path.stem
        cost = f"{chosen['trials']} trials, {chosen['seconds']:.0f} s, validation AUC {chosen['validation_auc']:.4f}"
        print(f"{peer}: {cost}")
        found = {seed: np.load(file) for seed in ours if (file := asked.out / f"{peer}_{seed}.npz").is_file()}
        for task in next(iter(found.values())).files if found else ():
            theirs, gains = [], []
            for seed, scores in found.items():
                known = ours[seed].tasks[task]
                compared = {"peer": scores[task], "triad": known.scores["fused"]}
                both = Answers("binary", known.labels, known.cluster, compared | {NAIVE: known.scores[NAIVE]})
                other, own = (estimates(both, model, "auc", params.bootstrap, params.seed) for model in compared)
                theirs.append(other)
                gains.append(own - other)
            alone, gain = (difference(each, params.confidence, params.seed) for each in (theirs, gains))
            shown = f"{alone.value:.4f} [{alone.low:.4f}, {alone.high:.4f}]"
            less = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
            print(f"  {task:<12} {shown} · Triad less {peer} {less}, {gain.seeds} seeds")


if __name__ == "__main__":
    main()
