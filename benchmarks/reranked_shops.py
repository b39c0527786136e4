"""Re-ranked lists over the best member on simulated shops of several seeds, and the best possible beside them.

    python benchmarks/reranked_shops.py [--size small] [--seeds 1 2 3 4 5] [--epochs 12] [--lists 2000]
    python benchmarks/reranked_shops.py --workspaces runs/online_retail --lists 10000

Each seed is a shop and networks of its own. The stages up to `similarity` run in a workspace a seed; the task `next`
alone is fused. Workspaces where these stages ran are taken as they are. NDCG@10 of test lists (a sample), read once.
95 % intervals over users.
"""

from __future__ import annotations

import argparse
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from own_history import K, alone, shown, values

from triad.artifacts import ORACLE
from triad.config.members import RECIPES
from triad.config.params import load as load_params
from triad.evaluation.oracle import oracle
from triad.evaluation.window import window
from triad.examples.dataset import load
from triad.fusion.fitting import fit_fusion
from triad.members.bench import Bench
from triad.members.pretrained import item_vectors
from triad.members.registry import load_member, make_member
from triad.ranking import ranking_values

MEMBERS = ("pretrain", "similarity", "item_knn", "transitions", "own_history", "popularity")


def prepared(seed: int, size: str, epochs: int, folder: Path) -> Path:
    """A workspace whose stages up to `similarity` ran."""
    place, overlay = folder / f"{size}_{seed}", folder / f"reranked_{seed}.yaml"
    sections = {name: {"seed": seed} for name in ("similarity", "fuse", "features")}
    first = {"ingest": {"simulated": {"size": size, "seed": seed}}, "pretrain": {"seed": seed, "max_epochs": epochs}}
    overlay.write_text(yaml.safe_dump(first | sections))
    subprocess.run(["triad", "workspace", str(overlay), str(place)], check=True, stdout=subprocess.DEVNULL)
    with (folder / f"reranked_{seed}.log").open("w") as log:
        subprocess.run(["dvc", "repro", "similarity"], cwd=place, check=True, stdout=log, stderr=log)
    return place


def judged(place: Path, most: int) -> None:
    """Prints what a shop's lists are worth."""
    params, made = load_params(place / "params.yaml"), place / "artifacts"
    data = load(made / "features")

    def found(name: str):
        return load_member(name, made / RECIPES[name].stage / RECIPES[name].folder)

    bench = Bench(data, params, partial(item_vectors, made / "pretrain", data), found)
    members = {n: make_member(n, bench) if RECIPES[n].stage == "fuse" else found(n) for n in MEMBERS}
    tasks = {"next": params.tasks["next"]}
    fused = fit_fusion(data, members, tasks, params.fuse)
    ranker, test = fused.ranker(data), window(data, "test", most, 1)
    best_possible, rows = oracle(place / ORACLE, data, tasks, test), test.queries
    _, cluster = np.unique(data.lists.user[rows], return_inverse=True)
    worth = {name: values(data, rows, partial(alone, ranker, name)) for name in MEMBERS}
    best = max(MEMBERS, key=lambda name: worth[name].mean())
    served, possible = values(data, rows, ranker.rank), "–"
    if best_possible is not None and best_possible.ranks is not None:
        possible = shown(ranking_values(best_possible.ranks, test.query, len(rows), K)[:, 0], cluster)
    print(
        f"| {place.name} | {len(rows):,} | {best} {shown(worth[best], cluster)} | {shown(served, cluster)} "
        f"| {shown(served - worth[best], cluster)} | {possible} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="small")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=int, default=12, help="of the Transformer, at most")
    parser.add_argument("--lists", type=int, default=2000, help="of the test window, a sample")
    parser.add_argument("--workspaces", type=Path, nargs="+", default=[], help="in place of seeds")
    parser.add_argument("--folder", type=Path, default=Path("runs/seeds"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    print("| shop | lists | best member | re-ranked | more | best possible |\n|---|---|---|---|---|---|", flush=True)
    for place in asked.workspaces:
        judged(place.resolve(), asked.lists)
    for seed in () if asked.workspaces else asked.seeds:
        judged(prepared(seed, asked.size, asked.epochs, asked.folder.resolve()), asked.lists)


if __name__ == "__main__":
    main()
