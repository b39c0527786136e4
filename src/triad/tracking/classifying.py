"""What a registered model says a product is, from its title, description and picture: a class of each task.

A picture is sent as data (`data:image/png;base64,…`). No file that a request names is opened.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from triad.arrays import Floats
from triad.errors import TriadError
from triad.examples.dataset import Dataset, nobody
from triad.examples.products import COLUMNS, UNIT, Products
from triad.images.decoding import SMALLEST, Fault, decode
from triad.images.files import is_held, read
from triad.kinds import KINDS
from triad.texts import Texts

if TYPE_CHECKING:
    from triad.features.state import State
    from triad.fusion.fused import Fused

READ = "read"


def classes(state: State, fused: Fused, said: Mapping[str, Sequence[str]]) -> pa.Table:
    """A row a product: item_id; `picture`, `read` or why there is none; of each task its likeliest class, and `_score`,
    the probability of it.

    Args:
        said: (n,) texts by column of items, `item_id` among them; "" where nothing is said.

    Raises:
        TriadError: the model was not taught to class products.
    """
    tasks, data = tasks_of(state, fused), _dataset(state, said)
    seen = [_seen(sent, path) for sent, path in zip(said["image_path"], _sent(said), strict=True)]
    rows = np.arange(len(seen))
    scores = fused.predict(data, rows, tasks, UNIT.name)
    columns: dict[str, Any] = {
        "item_id": pa.array(said["item_id"], pa.string()),
        "picture": pa.array(seen, pa.string()),
    }
    for task in tasks:
        chosen, names = scores[task].argmax(axis=1), data.meta.classes[task]
        columns[task] = pa.array([names[place] for place in chosen], pa.string())
        columns[f"{task}_score"] = pa.array(scores[task][rows, chosen], pa.float64())
    return pa.table(columns)


def tasks_of(state: State, fused: Fused) -> list[str]:
    """Those that give products a class.

    Raises:
        TriadError: there is none.
    """
    own = fused.of_unit(nobody(state.meta, {}), UNIT.name)
    if tasks := [task for task in own if KINDS[state.tasks[task].kind].has_classes]:
        return tasks
    mend = "add tasks with the label `product_class` to params.yaml, and let a night train them"
    raise TriadError("the model classes no products", where="params.mode", mend=mend)


def scores_of(
    state: State, fused: Fused, said: Mapping[str, Sequence[str]], tasks: Collection[str]
) -> dict[str, Floats]:
    """Task → (n, classes) probabilities of products, of which `classes` says the likeliest."""
    return fused.predict(_dataset(state, said), np.arange(len(said["item_id"])), tasks, UNIT.name)


def _dataset(state: State, said: Mapping[str, Sequence[str]]) -> Dataset:
    """The products, which are none of the shop's: what is said of them is kept nowhere."""
    count, paths = len(said["item_id"]), _sent(said)
    told = {name: Texts.of(said[name]) for name in ("title", "description")} | {"image_path": Texts.of(paths)}
    own = Products(
        product_id=Texts.of(said["item_id"]),
        item=np.full(count, -1),
        kin=np.arange(count),
        split=np.full(count, -1, np.int8),
        labels=np.full((count, len(state.meta.tasks.get(UNIT.name, ()))), np.nan, np.float32),
        **(dict.fromkeys((*COLUMNS, "facts"), Texts.of([""] * count)) | told),
    )
    return nobody(state.meta, {UNIT.name: own})


def _sent(said: Mapping[str, Sequence[str]]) -> list[str]:
    return [path if is_held(path) else "" for path in said["image_path"]]


def _seen(sent: str, path: str) -> str:
    if sent and not path:
        return "no file is opened here: send the picture as data:image/…;base64,…"
    content = read(None, path)
    fault = content if isinstance(content, Fault) else decode(content, SMALLEST)
    return str(fault) if isinstance(fault, Fault) else READ
