"""SASRec of Torch-RecHub on Amazon Beauty and Toys, in an environment of its own (requirements.txt).

    TRIAD_DATASETS=… python sasrec.py [beauty toys] [--trials 10] [--seeds 1 2 3 4 5] [--epochs 200] [--out FOLDER]

The same files, splits and masking as `benchmarks/sequences.py`: dials are searched (Optuna's TPE; the first trial has
the settings of SASRec's own repository) by NDCG@10 on one half of the users' last item but one; then, for each seed,
the network learns all but the last item for as many epochs as that took, and the full catalogue less the history is
ranked for the last one. Loss and negatives are the repository's: binary cross-entropy, one negative a position.

What is there is not run again. Prints HIT@10 and NDCG@10 over users, mean and spread over seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
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


def read(path: Path) -> tuple[Sequences, np.ndarray, int]:
    """Sequences, (users,) whether the last item but one is for choosing by, and how many items there are."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    place = {item: 1 + at for at, item in enumerate(sorted({item for _, *items in lines for item in items}))}
    users = [np.array([place[item] for item in items]) for _, *items in lines]
    dealt = [hashlib.blake2b(user.encode(), digest_size=8).digest()[0] < 128 for user, *_ in lines]
    return users, np.array(dealt), len(place)


def dials(trial: optuna.Trial) -> dict[str, Any]:
    """What is searched."""
    return {
        "dim": trial.suggest_categorical("dim", [50, 64, 128]),
        "blocks": trial.suggest_int("blocks", 1, 2),
        "heads": trial.suggest_categorical("heads", [1, 2]),
        "dropout": trial.suggest_float("dropout", 0.2, 0.6),
        "lr": trial.suggest_float("lr", 5e-4, 4e-3, log=True),
        "batch": trial.suggest_categorical("batch", [128, 512]),
    }


def padded(users: Sequences) -> np.ndarray:
    """(users, LENGTH) the latest items, 0 after them: what stands behind is then never attended to."""
    table = np.zeros((len(users), LENGTH), np.int64)
    for row, items in zip(table, users, strict=True):
        row[: len(items[-LENGTH:])] = items[-LENGTH:]
    return table


def build(chosen: dict[str, Any], items: int) -> Any:
    """The network, with xavier tables as in SASRec's repository; the library's own start at 0.0001."""
    shared = {"vocab_size": items + 1, "embed_dim": chosen["dim"], "pooling": "concat"}
    features = [SequenceFeature("seq", **shared)]
    features += [SequenceFeature(name, shared_with="seq", **shared) for name in ("pos", "neg")]
    model = SASRec(
        features,
        max_len=LENGTH,
        dropout_rate=chosen["dropout"],
        num_blocks=chosen["blocks"],
        num_heads=chosen["heads"],
    )
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.xavier_normal_(weight)
    return model


def states(model: Any, seq: torch.Tensor) -> torch.Tensor:
    """(users, LENGTH, dim)."""
    table = model.item_emb.embed_dict["seq"].weight
    return model.seq_forward({"seq": seq}, table[seq])


def train(users: Sequences, items: int, chosen: dict[str, Any], seed: int) -> Iterator[Any]:
    """The network after each epoch, without end."""
    torch.manual_seed(seed)
    random, model = np.random.default_rng(seed), build(chosen, items)
    optimizer = torch.optim.Adam(model.parameters(), lr=chosen["lr"], betas=(0.9, 0.98))
    learned = [each for each in users if len(each) > 1]
    seq, pos = padded([each[:-1] for each in learned]), padded([each[1:] for each in learned])
    taken = np.zeros((len(learned), items + 1), bool)
    for row, each in zip(taken, learned, strict=True):
        row[each] = True
    while True:
        model.train()
        for rows in np.array_split(random.permutation(len(seq)), max(len(seq) // chosen["batch"], 1)):
            neg = random.integers(1, items + 1, size=pos[rows].shape)
            while (again := taken[rows[:, None], neg]).any():
                neg[again] = random.integers(1, items + 1, size=again.sum())
            batch = {name: torch.from_numpy(each) for name, each in (("seq", seq[rows]), ("pos", pos[rows]))}
            yes, no = model({**batch, "neg": torch.from_numpy(neg)})
            real = batch["pos"] > 0
            loss = binary_cross_entropy_with_logits(yes[real], torch.ones_like(yes[real]))
            loss = loss + binary_cross_entropy_with_logits(no[real], torch.zeros_like(no[real]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield model


def ranks(model: Any, users: Sequences, target: np.ndarray) -> np.ndarray:
    """(users,) place of each target in the catalogue less the user's items, from 1; ties count against it."""
    model.eval()
    found, table = [], model.item_emb.embed_dict["seq"].weight
    with torch.no_grad():
        for start in range(0, len(users), SCORED):
            part, wanted = users[start : start + SCORED], target[start : start + SCORED]
            last = np.array([min(len(each), LENGTH) - 1 for each in part])
            state = states(model, torch.from_numpy(padded(part)))[np.arange(len(part)), last]
            scores = (state @ table.T).numpy()
            scores[:, 0] = -np.inf
            own = scores[np.arange(len(part)), wanted]
            for row, each in zip(scores, part, strict=True):
                row[each] = -np.inf
            found.append(1 + (scores >= own[:, None]).sum(axis=1) - (scores[np.arange(len(part)), wanted] >= own))
    return np.concatenate(found)


def worth(places: np.ndarray) -> tuple[float, float]:
    """HIT@K and NDCG@K of one target a user."""
    hit = places <= K
    return float(hit.mean()), float((hit / np.log2(places + 1)).mean())


def search(users: Sequences, watched: np.ndarray, items: int, trials: int, epochs: int) -> dict[str, Any]:
    """The best dials and how many epochs they took."""
    shown = [each[:-2] for each, look in zip(users, watched, strict=True) if look and len(each) > 2]
    wanted = np.array([each[-2] for each, look in zip(users, watched, strict=True) if look and len(each) > 2])

    def run(trial: optuna.Trial) -> float:
        chosen, best, waited = dials(trial), (-1.0, 0), 0
        for epoch, model in enumerate(train([each[:-2] for each in users], items, chosen, 0), 1):
            if epoch % EVERY == 0 or epoch >= epochs:
                reached = worth(ranks(model, shown, wanted))[1]
                best, waited = ((reached, epoch), 0) if reached > best[0] else (best, waited + 1)
                print(f"trial {trial.number} epoch {epoch}: {reached:.4f}", flush=True)
            if waited >= PATIENCE or epoch >= epochs:
                break
        trial.set_user_attr("epochs", best[1])
        return best[0]

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=1))
    study.enqueue_trial(OWN)
    start = time.monotonic()
    study.optimize(run, n_trials=trials)
    best = study.best_trial
    return {
        "dials": best.params,
        "epochs": best.user_attrs["epochs"],
        "validation_ndcg": best.value,
        "trials": trials,
        "seconds": time.monotonic() - start,
    }


def test(users: Sequences, items: int, chosen: dict[str, Any], seed: int) -> np.ndarray:
    """(users,) the rank of each last item."""
    network = train([each[:-1] for each in users], items, chosen["dials"], seed)
    model = next(islice(network, chosen["epochs"] - 1, None))
    return ranks(model, [each[:-1] for each in users], np.array([each[-1] for each in users]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=["beauty", "toys"])
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=int, default=200, help="at most, of a trial")
    parser.add_argument("--out", type=Path, default=Path("runs/peers/sasrec"))
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.data:
        users, watched, items = read(Path(os.environ["TRIAD_DATASETS"]) / "sequences" / f"{name}.txt")
        path = asked.out / f"{name}.json"
        if not path.is_file():
            path.write_text(json.dumps(search(users, watched, items, asked.trials, asked.epochs), indent=2))
        chosen, found = json.loads(path.read_text()), []
        print(f"{name}: {chosen}", flush=True)
        for seed in asked.seeds:
            target = asked.out / f"{name}_{seed}.npy"
            if not target.is_file():
                np.save(target, test(users, items, chosen, seed))
            found.append(worth(np.load(target)))
        mean, spread = np.mean(found, axis=0), np.std(found, axis=0, ddof=min(1, len(found) - 1))
        told = (f"{each} {mean[at]:.4f} ± {spread[at]:.4f}" for at, each in enumerate((f"HIT@{K}", f"NDCG@{K}")))
        print(f"{name}, {len(users):,} users, {len(found)} seed(s): {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
