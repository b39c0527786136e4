"""Does the service say what the batch says? Scores of every task of exposures, after what customers did this morning.

    python benchmarks/online_is_batch.py [FOLDER] [--rows 5000]

FOLDER is a checkout with a finished night. Customers and items are drawn; some clicked, carted and bought since the
night. The batch reads the night's log with these events and impressions in it; the service answers from its state.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa

from triad.config.params import load
from triad.schema import EVENT_KINDS
from triad.serving import asking
from triad.serving.night import Event, Night
from triad.tables import connect, present
from triad.tracking.recommending import DAY
from triad.tracking.serving import ServingModel

EACH = 50
"""Items a customer is shown."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    parser.add_argument("--rows", type=int, default=5000)
    asked = parser.parse_args()
    work = asked.folder / "artifacts"
    settings = load(asked.folder / "params.yaml").recommend
    model = ServingModel.load(work / "refit/state", work / "refit/fuse", "1")
    folder = work / "validate/tables"
    night, random = Night.of(model, folder, settings), np.random.default_rng(1)
    names, items = list(night.users), list(night.items)
    since, shown, now = [], [], night.moment + DAY // 3
    for user in random.choice(names, asked.rows // EACH, replace=False).tolist():
        for n in range(random.integers(0, 5)):
            kind = EVENT_KINDS[1 + random.integers(3)]
            since.append((user, items[random.integers(len(items))], kind, night.moment + n * 60_000_000))
        places = random.integers(1, 40, EACH).tolist()
        for item, place in zip(random.choice(items, EACH, replace=False).tolist(), places, strict=True):
            shown.append((user, item, ("home", "search", "elsewhere")[place % 3], place))
    with connect(folder) as session:
        log = {name: session.sql(f"SELECT * FROM {name}").to_arrow_table() for name in present(folder)}
    log["events"] = pa.concat_tables([log["events"], _rows(log["events"].schema, since, shown, now)])
    ids = pa.array([f"new{n}" for n in range(len(since), len(since) + len(shown))])
    batch = {(row["user_id"], row["item_id"]): row for row in model.predict(log, ids).to_pylist()}
    worst: dict[str, float] = {}
    for user in dict.fromkeys(user for user, *_ in shown):
        events = [Event(night.items[item], EVENT_KINDS.index(k), t) for u, item, k, t in since if u == user]
        mine = [(item, surface, place) for u, item, surface, place in shown if u == user]
        visit = night.visit(night.users[user], events, now)
        places, surfaces = [place for *_, place in mine], [surface for _, surface, _ in mine]
        for task, values in asking.score(visit, np.array([night.items[i] for i, *_ in mine]), places, surfaces).items():
            classes = night.data.meta.classes.get(task)
            for at, name in enumerate([task] if classes is None else [f"{task}_{each}" for each in classes]):
                own = values if classes is None else values[:, at]
                gap = np.abs(own - [batch[user, item][name] for item, *_ in mine]).max()
                worst[task] = float(np.maximum(worst.get(task, 0.0), gap))  # NaN stays
    print(f"{len(shown):,} rows, {len(since)} events since the night; largest difference by task:")
    for task, gap in worst.items():
        print(f"| {task} | {gap:.1e} |")


def _rows(schema: pa.Schema, since: list, shown: list, now: int) -> pa.Table:
    """Deeds of this morning, and impressions at one moment."""
    rows = []
    for n, (user, item, *more) in enumerate([*since, *shown]):
        row = {"event_id": f"new{n}", "user_id": user, "item_id": item, "quantity": 1}
        if n < len(since):
            rows.append({**row, "kind": more[0], "occurred_at": more[1]})
        else:
            rows.append({**row, "kind": "impression", "occurred_at": now, "surface": more[0], "position": more[1]})
    columns = {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in schema}
    return pa.table(columns, schema=schema)


if __name__ == "__main__":
    main()
