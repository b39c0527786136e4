"""Triad beside the peers: test AUC over seeds, and the paired difference with its interval.

    python benchmarks/peers/report.py STUDY OUT

Reads what `run.py` left in OUT and the units of the study's reference in `ablations/outcomes`; seeds that both have.
"""

from __future__ import annotations

import json

import numpy as np
from asked import FOLDER, asked

from triad.ablations.compare import difference, estimates
from triad.ablations.outcome import Answers, Outcome
from triad.ablations.spec import Unit
from triad.evaluation.assess import NAIVE


def main() -> None:
    name, study, out = asked(__doc__, "out")
    params = study.settings(study.reference).evaluate
    ours: dict[int, Outcome] = {}
    for seed in study.seeds:
        folder = FOLDER / "outcomes" / name / Unit(name, study.reference, 1.0, seed).name
        if folder.is_dir():
            ours[seed] = Outcome.load(folder)
    for path in sorted(out.glob("*.json")):
        chosen, peer = json.loads(path.read_text()), path.stem
        cost = f"{chosen['trials']} trials, {chosen['seconds']:.0f} s, validation AUC {chosen['validation_auc']:.4f}"
        print(f"{peer}: {cost}")
        found = {seed: np.load(file) for seed in ours if (file := out / f"{peer}_{seed}.npz").is_file()}
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
