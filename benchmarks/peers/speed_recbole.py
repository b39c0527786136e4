"""Models of RecBole as contenders of `speed.py`: one answers one task.

    python speed_recbole.py ROWS.npz FOLDER [--model DeepFM|DIN] [--task click] [--turns 1] [--unjudged]

DeepFM reads the columns of `networks.py` and the user's id, DIN the item's columns and the history. Atomic files are
written into FOLDER, and the library reads, batches and trains by itself; dials are its defaults. An epoch has `--turns`
turns.
"""

from __future__ import annotations

import argparse
import os
import sys
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from problem import Problem, read
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed
from turns import Turns

SPLITS = ("train", "validation")
SCORED = 1024
OF_ITEM = ("brand", "price", "category_0", "category_1")


def frame(problem: Problem, rows: Path, split: str, model: str, task: str) -> pd.DataFrame:
    """The atomic file of a split."""
    with np.load(rows) as file:
        order = [str(name) for name in file["splits"]]
        user = file["user"][file["split"] == order.index(split)]
    own = problem.splits[split]
    columns = {"user_id:token": user, "item_id:token": own.sparse[:, problem.names.index("item")]}
    columns["label:float"] = own.labels[:, problem.tasks.index(task)]
    if model == "DIN":
        assert own.history is not None
        columns["item_id_list:token_seq"] = [" ".join(map(str, line[line > 0])) for line in own.history[:, :, 0]]
    else:
        for place, name in enumerate(problem.names):
            if name != "item":
                columns[f"{name}:token"] = own.sparse[:, place]
        for place, values in enumerate(own.filled.T):
            columns[f"dense_{place}:float"] = np.round(values, 5)
    return pd.DataFrame(columns)


def written(problem: Problem, rows: Path, folder: Path, model: str, task: str) -> dict[str, Any]:
    """Write the atomic files; gives the part of the library's configuration that says what they hold."""
    home = folder / f"{model}_{task}"
    home.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        made = frame(problem, rows, split, model, task)
        made.to_csv(home / f"{home.name}.{split}.inter", sep="\t", index=False)
    load = {"inter": [name.split(":")[0] for name in made]}
    if model == "DIN":
        places = [problem.names.index(name) for name in ("item", *OF_ITEM)]
        every = np.concatenate([each.sparse for each in problem.splits.values()])[:, places]
        names = [f"{name}:token" for name in ("item_id", *OF_ITEM)]
        items = pd.DataFrame(every, columns=names).drop_duplicates("item_id:token")
        items.to_csv(home / f"{home.name}.item", sep="\t", index=False)
        load["item"] = ["item_id", *OF_ITEM]
    dense = [name for name in load["inter"] if name.startswith("dense_")]
    listed = {"alias_of_item_id": ["item_id_list"], "MAX_ITEM_LIST_LENGTH": 64} if model == "DIN" else {}
    return {
        "data_path": str(folder),
        "dataset": home.name,
        "load_col": load,
        "numerical_features": dense,
        "benchmark_filename": [*SPLITS, SPLITS[-1]],
        **listed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=["DeepFM", "DIN"], default="DeepFM")
    parser.add_argument("--task", default="click")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--unjudged", action="store_true", help="do not look at validation")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    asked, turns = parser.parse_args(), Turns()
    sys.argv = sys.argv[:1]  # the library reads what is left there
    asked.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(asked.folder)  # where it also writes its log
    torch.set_num_threads(asked.threads)
    problem = read(asked.rows)
    about = {
        **written(problem, asked.rows, asked.folder, asked.model, asked.task),
        "LABEL_FIELD": "label",
        "train_neg_sample_args": None,
        "eval_args": {"split": {"RS": [8, 1, 1]}, "order": "TO", "mode": "labeled", "group_by": None},
        "metrics": ["AUC"],
        "valid_metric": "AUC",
        "train_batch_size": asked.batch,
        "use_gpu": False,
        "seed": 1,
        "state": "ERROR",
        "show_progress": False,
        "checkpoint_dir": str(asked.folder / "saved"),
    }
    config = Config(model=asked.model, dataset=about["dataset"], config_dict=about)
    init_seed(config["seed"], config["reproducibility"])
    train, later, _ = data_preparation(config, create_dataset(config))
    model = get_model(asked.model)(config, train._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], asked.model)(config, model)
    labels = later._dataset.inter_feat["label"].numpy()
    assert np.array_equal(labels, problem.splits["validation"].labels[:, problem.tasks.index(asked.task)])
    source, steps = chain.from_iterable(repeat(train)), len(train) // asked.turns
    while True:
        turns.begin()
        trainer._train_epoch(islice(source, steps), 0)
        turns.stop()
        learned = len(train._dataset) * steps // len(train)
        turns.tell(learned, {} if asked.unjudged else problem.aucs({asked.task: predicted(model, later)}))


def predicted(model: Any, data: Any) -> np.ndarray:
    """(n,) probabilities of the library's `data`."""
    model.eval()
    rows, count = data._dataset.inter_feat, len(data._dataset)
    with torch.no_grad():
        parts = [model.predict(rows[start : start + SCORED]).numpy().ravel() for start in range(0, count, SCORED)]
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
