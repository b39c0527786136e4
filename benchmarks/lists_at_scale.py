"""What lists cost: seconds, users a second and peak memory, by how many users and items there are.

    python benchmarks/lists_at_scale.py [--users 10000 100000] [--lists 65536] [--items 100000] [--index]

Lists of 50 for every user, or with --lists for the first ones of so large a shop: the six members that rank by default,
the candidates of each merged, ordered by a re-ranker of 200 trees. With --index candidates are found by the approximate
index, and the lists of a thousand users are compared with those of all products. The shop is drawn: items by how
popular they are, and each user mostly from a few of 1,000 groups. Items' vectors are directions of who took what, as
trained ones are; the network is not trained otherwise, and the re-ranker learns of a thousand drawn lists, as what they
know does not change what they cost. Fitting members is timed beside, and is no part of the lists. Each count of users
runs in a process of its own. Memory is what the process holds when members are fitted and what fitting took is given
back, and its peak from there on; all lists stay in it.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from triad.environment import ENVIRONMENT

DAY = 86_400_000_000
GROUPS, K, TREES = 1000, 50, 200
ONE_WINDOW = MappingProxyType({"fusion": 1000})


def shop(users: int, items: int, steps: int, seed: int = 1, *, lists: Mapping[str, int] = ONE_WINDOW):
    """`steps` purchases a user on average over 180 days; so many lists of each split follow late ones."""
    from triad.datasets.streams import items_of, of_streams, purchases, users_of
    from triad.examples.lists import Lists
    from triad.features.dataset import SPLITS
    from triad.texts import Texts

    random = np.random.default_rng(seed)
    length = 1 + random.poisson(steps - 1, users)
    offsets = np.r_[0, np.cumsum(length)]
    user = np.repeat(np.arange(users), length)
    taste = random.integers(GROUPS, size=(users, 3))
    group = np.where(random.random(len(user)) < 0.7, taste[user, random.integers(3, size=len(user))], -1)
    group = np.where(group < 0, random.integers(GROUPS, size=len(user)), group)
    size = items // GROUPS
    item = group * size + np.minimum(random.geometric(4 / size, len(user)) - 1, size - 1)
    again = random.random(len(user)) < 0.2  # what the user took two steps before
    again[: offsets[1]] = False
    item = np.where(again & (np.arange(len(user)) - 2 >= offsets[user]), np.roll(item, 2), item)
    time_ = 180 * DAY + np.sort(random.integers(180 * DAY, size=len(user)))
    time_ = time_[np.lexsort((np.argsort(random.random(len(user))), user))]
    for_user = np.lexsort((time_, user))
    count = sum(lists.values())
    item, time_ = item[for_user], time_[for_user]
    long = np.flatnonzero(length > 2)
    late = long[np.argsort(time_[offsets[long + 1] - 1])[-max(count, len(long) // 8) :]]
    asked = np.sort(random.choice(late, count, replace=False))
    of_split = random.permutation(np.repeat([SPLITS.index(name) for name in lists], list(lists.values())))
    last = offsets[asked + 1] - 1
    split = np.zeros(len(user), np.int8)
    split[last] = of_split
    return of_streams(
        items_of(Texts.of([f"i{each:07d}" for each in range(items)]), 1 + np.arange(items)),
        users_of(Texts.of([f"u{each:07d}" for each in range(users)])),
        purchases(offsets, item, time_, split),
        Lists(asked, length[asked] - 1, time_[last], of_split, np.arange(count + 1), item[last]),
        rows={"item": items + 1},
        windows={"train": (180 * DAY, 360 * DAY)} | dict.fromkeys(lists, (360 * DAY, 361 * DAY)),
    )


def members_of(data):
    """The members that rank by default, made in the ways of a night but for what is chosen or trained."""
    import keras
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import svds

    from triad.config.pretrain import TrunkParams
    from triad.config.similarity import LinearParams
    from triad.members.history import Look
    from triad.members.item_similarity import Similarity
    from triad.members.linear import WEIGHTS, Linear
    from triad.members.neighbours import Blend
    from triad.members.own_history import OwnHistory
    from triad.members.pairs import item_neighbours, taken_by
    from triad.members.popularity import Popularity, item_shares
    from triad.members.sequence import Sequence
    from triad.models.networks import SequenceNetwork
    from triad.models.trunk import trunk_config

    keras.utils.set_random_seed(1)
    network = SequenceNetwork(trunk_config(data, TrunkParams(dim=48, layers=2, heads=2, max_steps=64)), 1000)
    ids, share = data.items.item_id, item_shares(data)
    vectors = np.array(svds(taken_by(data), 48, rng=1)[2].T, np.float32)
    vectors += 1e-4 * np.random.default_rng(1).normal(size=vectors.shape)  # of what nobody took
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    network.trunk.tower.inputs["ids"].tables["item"].weight.assign(np.r_[np.zeros((1, 48)), vectors])
    pretrain = Sequence(network)
    blend = Blend(1.5, 8.0, (0.05, 0.5, 0.25, 0.2))
    near = item_neighbours(data, neighbours=100, shrink=10.0)
    similarity = Similarity(ids, near, vectors, share, {}, blend, Look(1000, 14.0))
    follows = csr_array(WEIGHTS["transitions"](data, LinearParams()), dtype=np.float32)
    return {
        "pretrain": pretrain,
        "similarity": similarity,
        "item_knn": similarity.item_knn(),
        "transitions": Linear(ids, follows, share, 1.5, 0.2, Look(1000, 20.0)),
        "own_history": OwnHistory(
            ids, csr_array((len(ids), len(ids)), dtype=np.float32), share, 0.5, 0.5, Look(1000, 60.0)
        ),
        "popularity": Popularity(ids, share, {}),
    }


def one(asked: argparse.Namespace) -> None:
    """Prints a row of the table."""
    from triad.config.fuse import FuseParams
    from triad.fusion.blends import Blend
    from triad.fusion.lists import Lists
    from triad.fusion.ranker import Ranker
    from triad.fusion.reranking import Lesson
    from triad.kinds import KINDS
    from triad.tracking import retrieving
    from triad.tracking.shelf import Shelf

    users, items = asked.users[0], asked.items
    listed = min(asked.lists or users, users)
    started = time.monotonic()
    data = shop(users, items, asked.steps)
    made = time.monotonic()
    members, kind = members_of(data), KINDS["ranking"]
    rows = data.rows("fusion", "lists")
    lesson = Lesson.of([Lists(data, members, rows, kind)], FuseParams(candidates=asked.candidates))
    reranker = lesson.fit(np.ones(len(rows), bool), TREES, 0.0)
    pairs = len(lesson.columns) / len(rows)
    weights = dict.fromkeys(members, 0.0) | {"pretrain": 1.0}
    ranker = Ranker(
        data,
        members,
        kind,
        dict.fromkeys(members),
        Blend((weights,)),
        tuple(members),
        reranker,
        mask_seen=False,
        index=asked.index,
    )
    fitted, before = time.monotonic(), settled()
    processor = time.process_time()
    order = np.arange(items)
    shelf = Shelf(np.ones(items, bool), (order[:0], order[:0]))
    ranker.keep()
    of_all = ranker, 361 * DAY, order, K, shelf
    lists = [retrieving.retrieve(*of_all, share=share) for share in retrieving.shares(listed)]
    wall, processor = time.monotonic() - fitted, time.process_time() - processor
    assert sum(len(each.user) for each in lists) == listed * K
    peak = held("VmHWM")
    print(
        f"| {users:,} | {listed:,} | {items:,} | {pairs:.0f} | {wall:.1f} s | {listed / wall:,.0f} "
        f"| {processor:.1f} s | {before:.2f} GiB | {peak:.2f} GiB | {made - started:.0f} + {fitted - made:.0f} s |",
        flush=True,
    )
    if asked.index:
        compared(ranker, order, shelf)


def held(name: str) -> float:
    """GiB of the process, as Linux says them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 2**20


def settled() -> float:
    """GiB held once what is free is given back. The peak counts anew from here."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return held("VmRSS")


def compared(ranker, order, shelf) -> None:
    """Prints what share of exact lists those by the index hold, and what each cost, of the first thousand users."""
    from triad.fusion.candidates import Queries
    from triad.tracking import retrieving

    few = np.arange(1000)
    queries = Queries(few, np.diff(np.asarray(ranker.data.streams.offsets))[few], np.full(1000, 361 * DAY))
    found = {}
    for name, asked in (("index", ranker), ("exact", replace(ranker, index=False))):
        asked.open(queries[:1], asked.needed)  # what is prepared once
        before, parts = time.process_time(), []
        opened = asked.open(queries, asked.needed)
        for start in range(0, 1000, 80):
            part = slice(start, start + 80)
            parts.append(
                retrieving.best(asked, queries[part], opened(part), shelf.allows(few[part]), order=order, count=K)
            )
        found[name] = np.concatenate([each.item for each in parts]).reshape(1000, K)
        print(f"1,000 users by {name}: {time.process_time() - before:.2f} s of one processor")
    for k in (10, K):
        pairs = zip(found["index"][:, :k].tolist(), found["exact"][:, :k].tolist(), strict=True)
        held = [len(set(one) & set(other)) / k for one, other in pairs]
        print(f"of the first {k} of an exact list the one by the index holds {np.mean(held):.3f}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000])
    arguments.add_argument("--lists", type=int, help="only of so many users, the first ones")
    arguments.add_argument("--items", type=int, default=100_000)
    arguments.add_argument("--steps", type=int, default=20, help="purchases a user, on average")
    arguments.add_argument("--candidates", type=int, default=40, help="of each member")
    arguments.add_argument("--index", action="store_true", help="by the approximate index")
    arguments.add_argument("--one", action="store_true", help="in this process, without the table's head")
    asked = arguments.parse_args()
    if asked.one:
        one(asked)
        return
    print("| users | lists of | items | candidates | time | users/s | processor | held before | peak | shop, members |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for users in asked.users:
        dials = [f"--users={users}", f"--items={asked.items}", f"--steps={asked.steps}"]
        dials += [f"--candidates={asked.candidates}", "--one", *(["--index"] if asked.index else [])]
        dials += [f"--lists={asked.lists}"] if asked.lists else []
        subprocess.run([sys.executable, Path(__file__), *dials], check=True, env={**os.environ, **ENVIRONMENT})


if __name__ == "__main__":
    main()
