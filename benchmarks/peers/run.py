"""Other people's models on the rows that `export.py` wrote, in an environment of their own (requirements.txt).

    python run.py ROWS.npz OUT [--trials 10] [--seeds 1 2 3 4 5] [--peers lightgbm mmoe ple esmm aitm]

Each peer is searched with the same number of trials (Optuna's TPE) by its mean validation AUC, then fitted with each
seed. `OUT/<peer>_<seed>.npz` holds its probabilities of the test rows, `OUT/<peer>.json` what was chosen. What is there
of the same rows and as many trials is not run again. No label of the fusion and test windows is read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import networks
import numpy as np
import optuna
import trees
from problem import Problem, read

PEERS = {"lightgbm": (trees.fit, trees.dials)} | {
    name: (partial(networks.fit, name), networks.dials) for name in ("mmoe", "ple", "esmm", "aitm")
}


def run(name: str, problem: Problem, folder: Path, asked: dict[str, Any], seeds: list[int]) -> None:
    """Search, then one fit a seed. `asked`: how many trials, and the digest of the rows."""
    fit, dials = PEERS[name]
    if name == "esmm" and (len(problem.tasks) != 2 or problem.given[1] != problem.tasks[0]):
        print("esmm: it needs two tasks, the second given the first; left out")
        return
    chosen = folder / f"{name}.json"
    kept = json.loads(chosen.read_text()) if chosen.is_file() else {}
    if not kept.items() >= asked.items():
        for other in folder.glob(f"{name}_*.npz"):
            other.unlink()
        start = time.monotonic()
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=1))
        study.optimize(lambda trial: problem.auc(fit(problem, dials(trial), 0)("validation")), n_trials=asked["trials"])
        kept = asked | {"dials": study.best_params, "validation_auc": study.best_value}
        chosen.write_text(json.dumps(kept | {"seconds": time.monotonic() - start}, indent=2))
    for seed in seeds:
        target = folder / f"{name}_{seed}.npz"
        if not target.is_file():
            fresh = folder / "unfinished.npz"  # so that a killed fit leaves nothing to be read
            np.savez(fresh, **fit(problem, kept["dials"], seed)("test"))
            fresh.replace(target)
            print(f"{name}, seed {seed}: done", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked.out.mkdir(parents=True, exist_ok=True)
    problem = read(asked.rows)
    about = {"trials": asked.trials, "rows": hashlib.sha256(asked.rows.read_bytes()).hexdigest()}
    for name in asked.peers:
        run(name, problem, asked.out, about, asked.seeds)


if __name__ == "__main__":
    main()
