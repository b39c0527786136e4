"""SASRec of Torch-RecHub on Amazon Beauty and Toys, in an environment of its own (requirements.txt).

    TRIAD_DATASETS=… python sasrec.py [beauty toys] [--trials 10] [--seeds 1 2 3 4 5] [--jobs N] [--out …]

The same files, test items and masking as `benchmarks/sequences.py`: dials are drawn at random (the first trial has the
settings of SASRec's own repository) and the best taken by NDCG@10 on one half of the users' last item but one; then,
for each seed, the network learns all but the last item for as many epochs as that took, and the full catalogue less the
history is ranked for the last one. Loss and negatives are the repository's: binary cross-entropy, one negative a
position.

A GPU is used where there is one; N trials or seeds (by default one a core) run at once. What is there is not run again.
Prints HIT@10 and NDCG@10 over users, mean and spread over seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus
from torch_rechub.basic.features import SequenceFeature
from torch_rechub.models.matching import SASRec

K, SCORED = 10, 512
LENGTH = 20
"""Steps that are read, as in `benchmarks/sequences.py`; its own repository reads 50, and few users have so many."""
EVERY, PATIENCE = 5, 4
"""Epochs between two looks at the validation lists, and looks without a better one that end the training."""
OWN = {"dim": 50, "blocks": 2, "heads": 1, "dropout": 0.5, "lr": 1e-3, "batch": 128}
"""Beauty's settings in SASRec's own repository (Kang & McAuley 2018)."""

Sequences = list[np.ndarray]
"""Each user's items, from 1 on, in order."""

torch.set_num_threads(1)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Network(SASRec):
    """The library's network on any device: its own `seq_forward` makes its positions and masks on the CPU."""

    def seq_forward(self, x: dict[str, torch.Tensor], embedded: torch.Tensor) -> torch.Tensor:
        """(users, LENGTH, dim) of items (users, LENGTH) and their embeddings, as the library's in all else."""
        real = (x["seq"] != 0).unsqueeze(-1)
        steps = torch.arange(LENGTH, device=embedded.device)
        state = self.emb_dropout(embedded * self.embed_dim**0.5 + self.position_emb(steps)) * real
        later = steps > steps[:, None]
        for norm, attend, second, forward in zip(
            self.attention_layernorms, self.attention_layers, self.forward_layernorms, self.forward_layers, strict=True
        ):
            keys = state.transpose(0, 1)
            asked = norm(keys)
            seen, _ = attend(asked, keys, keys, attn_mask=later, need_weights=False)
            state = forward(second((asked + seen).transpose(0, 1))) * real
        return self.last_layernorm(state)


@cache
def read(path: Path) -> tuple[Sequences, np.ndarray, int]:
    """Sequences, (users,) whether the last item but one is for choosing by, and how many items there are."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    place = {item: 1 + at for at, item in enumerate(sorted({item for _, *items in lines for item in items}))}
    users = [np.array([place[item] for item in items]) for _, *items in lines]
    dealt = [hashlib.blake2b(user.encode(), digest_size=8).digest()[0] < 128 for user, *_ in lines]
    return users, np.array(dealt), len(place)


def dials(trial: int) -> dict[str, Any]:
    """What a trial is asked to try."""
    if trial == 0:
        return OWN
    random = np.random.default_rng(trial)
    return {
        "dim": int(random.choice([50, 64, 128])),
        "blocks": int(random.integers(1, 3)),
        "heads": int(random.integers(1, 3)),
        "dropout": float(random.uniform(0.2, 0.6)),
        "lr": float(np.exp(random.uniform(np.log(5e-4), np.log(4e-3)))),
        "batch": int(random.choice([128, 512])),
    }


def padded(users: Sequences) -> np.ndarray:
    """(users, LENGTH) the latest items, 0 after them: what stands behind is then never attended to."""
    table = np.zeros((len(users), LENGTH), np.int64)
    for row, items in zip(table, users, strict=True):
        row[: len(items[-LENGTH:])] = items[-LENGTH:]
    return table


def pairs(users: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
    """The place of each user in `users`, and an item that it took, one pair a step."""
    place = np.repeat(np.arange(len(users)), [len(each) for each in users])
    return torch.from_numpy(place).to(DEVICE), torch.from_numpy(np.concatenate(users)).to(DEVICE)


def keep(path: Path, found: Any) -> None:
    """Write JSON, whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(found, indent=2))
    fresh.replace(path)


def build(chosen: dict[str, Any], items: int) -> Any:
    """The network, with xavier tables as in SASRec's repository; the library's own start at 0.0001."""
    shared = {"vocab_size": items + 1, "embed_dim": chosen["dim"], "pooling": "concat"}
    features = [SequenceFeature("seq", **shared)]
    features += [SequenceFeature(name, shared_with="seq", **shared) for name in ("pos", "neg")]
    model = Network(
        features,
        max_len=LENGTH,
        dropout_rate=chosen["dropout"],
        num_blocks=chosen["blocks"],
        num_heads=chosen["heads"],
    )
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.xavier_normal_(weight)
    return model.to(DEVICE)


def stepper(model: Any, lr: float, batch: int) -> Callable[..., None]:
    """One step of Adam on items, those that follow and negatives, (batch, LENGTH) each. On a GPU it is one CUDA graph,
    since its kernels are too small to be launched one by one.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.98), capturable=DEVICE == "cuda")

    def step(seq: torch.Tensor, pos: torch.Tensor, neg: torch.Tensor) -> None:
        yes, no = model({"seq": seq, "pos": pos, "neg": neg})
        real = (pos > 0).float()
        loss = (softplus(-yes) + softplus(no)).mul(real).sum() / real.sum()  # binary cross-entropy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    if DEVICE == "cpu":
        return step
    given = [torch.ones((batch, LENGTH), dtype=torch.long, device=DEVICE) for _ in range(3)]
    start, warm = deepcopy(model.state_dict()), torch.cuda.Stream()
    warm.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(warm):
        for _ in range(3):
            step(*given)
    torch.cuda.current_stream().wait_stream(warm)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(*given)
    model.load_state_dict(start)
    for moments in optimizer.state.values():
        for each in moments.values():
            each.zero_()

    def replay(*now: torch.Tensor) -> None:
        for held, new in zip(given, now, strict=True):
            held.copy_(new)
        graph.replay()

    return replay


def train(users: Sequences, items: int, chosen: dict[str, Any], seed: int) -> Iterator[Any]:
    """The network after each epoch, without end."""
    torch.manual_seed(seed)
    model, batch = build(chosen, items).train(), chosen["batch"]
    learned = [each for each in users if len(each) > 1]
    seq = torch.from_numpy(padded([each[:-1] for each in learned])).to(DEVICE)
    pos = torch.from_numpy(padded([each[1:] for each in learned])).to(DEVICE)
    taken = torch.zeros((len(learned), items + 1), dtype=torch.bool, device=DEVICE)
    taken[pairs(learned)] = True
    step = stepper(model, chosen["lr"], batch)
    while True:
        model.train()
        neg = torch.randint(1, items + 1, pos.shape, device=DEVICE)
        while (again := taken.gather(1, neg)).any():
            neg[again] = torch.randint(1, items + 1, (int(again.sum()),), device=DEVICE)
        for rows in torch.randperm(len(seq), device=DEVICE)[: len(seq) // batch * batch].view(-1, batch):
            step(seq[rows], pos[rows], neg[rows])
        yield model


def ranks(model: Any, users: Sequences, target: np.ndarray) -> np.ndarray:
    """(users,) place of each target in the catalogue less the user's items, from 1; ties count against it."""
    model.eval()
    found, table = [], model.item_emb.embed_dict["seq"].weight
    with torch.no_grad():
        for start in range(0, len(users), SCORED):
            part = users[start : start + SCORED]
            seq = torch.from_numpy(padded(part)).to(DEVICE)
            wanted = torch.from_numpy(target[start : start + SCORED]).to(DEVICE)[:, None]
            rows = torch.arange(len(part), device=DEVICE)
            state = model.seq_forward({"seq": seq}, table[seq])[rows, (seq != 0).sum(dim=1) - 1]
            scores = state @ table.T
            own = scores.gather(1, wanted)
            scores[:, 0] = -torch.inf
            scores[pairs(part)] = -torch.inf
            found.append((1 + (scores >= own).sum(dim=1) - (scores.gather(1, wanted)[:, 0] >= own[:, 0]).long()).cpu())
    return torch.cat(found).numpy()


def worth(places: np.ndarray) -> tuple[float, float]:
    """HIT@K and NDCG@K of one target a user."""
    hit = places <= K
    return float(hit.mean()), float((hit / np.log2(places + 1)).mean())


def attempt(path: Path, out: Path, epochs: int, trial: int) -> dict[str, Any]:
    """A trial: its dials, its best NDCG@K and after how many epochs it was reached."""
    kept = out / f"{path.stem}_trial_{trial}.json"
    if not kept.is_file():
        users, watched, items = read(path)
        watched = watched & np.array([len(each) > 2 for each in users])
        judged = [each for each, look in zip(users, watched, strict=True) if look]
        shown, wanted = [each[:-2] for each in judged], np.array([each[-2] for each in judged])
        chosen, best, waited = dials(trial), (-1.0, 0), 0
        for epoch, model in enumerate(train([each[:-2] for each in users], items, chosen, 0), 1):
            if epoch % EVERY == 0 or epoch >= epochs:
                reached = worth(ranks(model, shown, wanted))[1]
                best, waited = ((reached, epoch), 0) if reached > best[0] else (best, waited + 1)
            if waited >= PATIENCE or epoch >= epochs:
                break
        keep(kept, {"dials": chosen, "validation_ndcg": best[0], "epochs": best[1]})
        print(f"{path.stem}, trial {trial}: {best[0]:.4f} after {best[1]} epochs", flush=True)
    return json.loads(kept.read_text())


def test(path: Path, out: Path, trial: int, best: dict[str, Any], seed: int) -> tuple[float, float]:
    """HIT@K and NDCG@K of the last items, with what `trial` found best."""
    kept = out / f"{path.stem}_trial_{trial}_seed_{seed}.json"
    if not kept.is_file():
        users, _, items = read(path)
        shown = [each[:-1] for each in users]
        model = next(islice(train(shown, items, best["dials"], seed), best["epochs"] - 1, None))
        keep(kept, worth(ranks(model, shown, np.array([each[-1] for each in users]))))
    return tuple(json.loads(kept.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=["beauty", "toys"])
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=int, default=200, help="at most, of a trial")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trials, then seeds, that run at once")
    parser.add_argument("--out", type=Path, default=Path("runs/peers/sasrec"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        for name in asked.data:
            path = Path(os.environ["TRIAD_DATASETS"]) / "sequences" / f"{name}.txt"
            found = list(pool.map(partial(attempt, path, asked.out, asked.epochs), range(asked.trials)))
            trial, best = max(enumerate(found), key=lambda each: each[1]["validation_ndcg"])
            print(f"{name}, best of {asked.trials} trials, {trial}: {best}", flush=True)
            told = np.array(list(pool.map(partial(test, path, asked.out, trial, best), asked.seeds)))
            spread = told.std(axis=0, ddof=min(1, len(told) - 1))
            each = (
                f"{metric} {told[:, at].mean():.4f} ± {spread[at]:.4f}"
                for at, metric in enumerate((f"HIT@{K}", f"NDCG@{K}"))
            )
            print(f"{name}, {len(told)} seed(s) on {DEVICE}: {', '.join(each)}", flush=True)


if __name__ == "__main__":
    main()
