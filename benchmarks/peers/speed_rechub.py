"""Torch-RecHub's MMoE as a contender of `speed.py`.

    python speed_rechub.py ROWS.npz [--history] [--loader] [--turns 1] [--batch 1024] [--threads 2]

Its inputs are the columns of `networks.py`; with `--history` also the items and kinds of the last interactions, each a
`SequenceFeature` of which the library takes the mean. Batches are cut from whole tensors, which is faster than the
library's own loader (`--loader` takes that one). Four experts of 64 units, Adam at 0.001. An epoch has `--turns` turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from networks import SCORED, build, inputs
from problem import Problem, Rows, read
from torch.nn.functional import binary_cross_entropy
from torch.utils.data import DataLoader
from torch_rechub.basic.features import SequenceFeature
from torch_rechub.utils.data import TorchDataset
from turns import Turns

DIALS = {"lr": 1e-3, "weight_decay": 1e-5, "embed_dim": 8, "width": 64, "dropout": 0.1, "experts": 4}
SEQUENCES = ("item", "kind")

Inputs = dict[str, torch.Tensor]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--history", action="store_true")
    parser.add_argument("--loader", action="store_true")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=1)
    return parser.parse_args()


def made(asked: argparse.Namespace, problem: Problem) -> Any:
    """The library's network."""
    size, sequences = int(DIALS["embed_dim"]), []
    if asked.history:
        item = problem.sizes[problem.names.index("item")]
        kinds = 1 + max(
            int(rows.history[:, :, 1].max()) for rows in problem.splits.values() if rows.history is not None
        )
        sequences = [
            SequenceFeature("history_item", item, size, shared_with="item", padding_idx=0),
            SequenceFeature("history_kind", kinds, size, padding_idx=0),
        ]
    return build("mmoe", problem, DIALS, sequences)


def columns(asked: argparse.Namespace, problem: Problem, split: str) -> Inputs:
    rows: Rows = problem.splits[split]
    found = inputs("mmoe", problem, rows)
    if asked.history and rows.history is not None:
        for place, name in enumerate(SEQUENCES):
            found[f"history_{name}"] = torch.from_numpy(np.ascontiguousarray(rows.history[:, :, place]))
    return found


def batches(asked: argparse.Namespace, x: Inputs, y: torch.Tensor) -> Iterator[tuple[Inputs, torch.Tensor]]:
    """Inputs and labels, epoch after epoch, in random order."""
    random = np.random.default_rng(1)
    loader = DataLoader(TorchDataset(x, y), batch_size=asked.batch, shuffle=True)  # as its `DataGenerator` makes it
    while True:
        if asked.loader:
            yield from loader
            continue
        for at in map(torch.from_numpy, np.array_split(random.permutation(len(y)), -(-len(y) // asked.batch))):
            yield {name: values[at] for name, values in x.items()}, y[at]


def main() -> None:
    asked, turns = arguments(), Turns()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(1)
    problem = read(asked.rows)
    model = made(asked, problem)
    optimizer = torch.optim.Adam(model.parameters(), lr=DIALS["lr"], weight_decay=DIALS["weight_decay"])
    x, later = columns(asked, problem, "train"), columns(asked, problem, "validation")
    y, count = torch.from_numpy(problem.splits["train"].labels), len(problem.splits["validation"].labels)
    source, steps = batches(asked, x, y), -(-len(y) // asked.batch) // asked.turns
    while True:
        turns.begin()
        model.train()
        learned = 0
        for batch, labels in islice(source, steps):
            said = model(batch).clamp(1e-7, 1 - 1e-7)
            loss = binary_cross_entropy(said, labels, reduction="none").mean(dim=0).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            learned += len(labels)
        turns.stop()
        model.eval()
        with torch.no_grad():
            parts = [
                model({name: values[start : start + SCORED] for name, values in later.items()}).numpy()
                for start in range(0, count, SCORED)
            ]
        turns.tell(learned, problem.aucs(dict(zip(problem.tasks, np.concatenate(parts).T, strict=True))))


if __name__ == "__main__":
    main()
