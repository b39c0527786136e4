"""The places that still hold a person: folders, DVC's cache and remotes, each with the command that removes it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from triad import day_store
from triad.artifacts import ARTIFACTS, replacing_file
from triad.config.yaml_loader import Loader
from triad.privacy.looking import Names
from triad.privacy.pseudonyms import key
from triad.redaction import KEY
from triad.retraining import delivery
from triad.retraining.run import CLOSED, RECORD
from triad.retraining.seeding import BRANCHES
from triad.retraining.stage import KEPT
from triad.worktree import every, git

_OWN = Path(".triad")


@dataclass(frozen=True)
class Place:
    """Where it is, what lies there, and how to drop it."""

    name: str
    holds: str
    mend: str


@dataclass(frozen=True)
class Stored:
    """What DVC's cache holds of a person. `outputs`: hash of a folder → its path and the count."""

    outputs: Mapping[str, tuple[str, int]]
    looked: frozenset[str]  # hashes of the folders that lie whole in the cache

    def holding(self, hashes: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Of a lock's outputs (path → hash): those that hold the person, and those that could not be looked at."""
        named = [path for path, hash_ in hashes.items() if hash_ in self.outputs]
        unseen = [path for path, hash_ in hashes.items() if hash_.endswith(".dir") and hash_ not in self.looked]
        return sorted(named), sorted(unseen)


def folders(here: Path, names: Names) -> Iterator[Place]:
    """Checkout, workspaces and deliveries."""
    for folder in every(here):
        night = (folder / RECORD).is_file()
        mend = f"`cd {folder} && dvc repro`, which ingests without them"
        if night:
            mend = "`triad retraining prune --keep-days 0 --keep 0`, which leaves what is worked in"
        if counts := names.below(folder / ARTIFACTS):
            yield Place(f"{'night' if night else 'checkout'} {folder}", _summed(counts, folder), mend)
        if counts := names.below(folder / _OWN, without=[folder / day_store.STORES]):
            mend = "a killed run left it: its stage deletes it when it runs again, or delete it by hand"
            yield Place(f"what {folder} keeps for stages", _summed(counts, folder), mend)
    seen = [folder for folder in every(here) if folder != here]
    for folder in (here / "runs", here / "ablations", here / ".dvc" / "tmp" / "exps"):
        if counts := names.below(folder, without=seen):
            yield Place(f"studies in {folder}", _summed(counts, folder), "delete what lies there, or run it again")
    lists = delivery.place(here)
    for folder in sorted(lists.glob("*-v*-*")) if lists.is_dir() else []:
        if counts := names.below(folder):
            current = folder == (lists / delivery.CURRENT).resolve()
            mend = "`triad retraining deliver` makes the lists without them; then " if current else ""
            yield Place(f"delivery {folder}", _summed(counts, folder), f"{mend}`triad retraining prune --keep-days 0`")


def days(here: Path, names: Names) -> Iterator[Place]:
    """What `ingest` keeps of events, in the checkout and in each worktree."""
    secret = key()
    for stores in _stores(here):
        tables = day_store.kept(stores, secret.derived(day_store.PURPOSE) if secret else None)
        if count := sum(names.rows(table) for table in tables):
            yield Place(f"kept days {stores}", f"events ({count:,})", "`triad forget` deletes them")
        elif secret is None and any(stores.glob("*/*.sealed")):
            yield Place(f"kept days {stores}", "perhaps: they are encrypted", f"set {KEY} and ask again")


def without_days(here: Path) -> list[Path]:
    """Delete what `ingest` keeps of events; says where there was any."""
    return [stores for stores in _stores(here) if day_store.clear(stores)]


def _stores(here: Path) -> list[Path]:
    return list(dict.fromkeys(folder / day_store.STORES for folder in every(here)))


def _summed(values: Mapping[Path, int], root: Path) -> str:
    """Values a folder, two levels deep."""
    total: dict[str, int] = defaultdict(int)
    for path, count in values.items():
        total["/".join(path.relative_to(root).parts[:3])] += count
    return ", ".join(f"{name} ({count:,})" for name, count in total.items())


def stored(here: Path, names: Names) -> Stored:
    """Look into every folder that DVC's cache of `here` holds."""
    from dvc.repo import Repo

    known: dict[str, int] = {}
    outputs, looked = {}, set()
    with Repo(str(here)) as repo:
        cache = Path(repo.cache.local.path)
    for listing in sorted(cache.glob("??/*.dir")):
        hash_, count, where = listing.parent.name + listing.name, 0, set()
        entries = json.loads(listing.read_text())
        for entry in entries:
            suffix, md5 = Path(entry["relpath"]).suffix, entry["md5"]
            path = cache / md5[:2] / md5[2:]
            if md5 not in known and path.is_file():
                known[md5] = names.count(path, suffix or ".bin")
            if known.get(md5):
                count += known[md5]
                where.add(entry["relpath"].split("/")[0])
        if all(entry["md5"] in known for entry in entries):
            looked.add(hash_)
        if count:
            outputs[hash_] = (", ".join(sorted(where)), count)
    return Stored(outputs, frozenset(looked))


def hashes(lock: str) -> dict[str, str]:
    """A lock's outputs: path → hash."""
    stages = (yaml.load(lock, Loader=Loader) or {}).get("stages") or {}
    outs = [out for stage in stages.values() for out in stage.get("outs") or []]
    return {out["path"]: out["md5"] for out in outs if "md5" in out}


def kept(here: Path, held: Stored) -> Iterator[Place]:
    """Branches and tags by their locks, and what lies in the cache that none of them names."""
    loose = set(held.outputs)
    for ref in git(here, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags").splitlines():
        if not git(here, "ls-tree", ref, "--", "dvc.lock"):
            continue
        locked = hashes(git(here, "show", f"{ref}:dvc.lock"))
        named, unseen = held.holding(locked)
        loose -= set(locked.values())
        short = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        mend = f"`git {'tag -d' if ref.startswith('refs/tags/') else 'branch -D'} {short}`"
        if short.startswith(f"{BRANCHES}/"):
            mend = f"{mend} here and where you push it, then `triad retraining prune --keep-days 0`"
        if named:
            yield Place(f"branch {short}", f"its data in the cache: {', '.join(named)}", mend)
        elif any(path.endswith("tables") for path in unseen):
            again = f"`dvc fetch` at it and ask again, or drop it unseen: {mend}"
            yield Place(f"branch {short}", "perhaps: its tables are not at hand", again)
    for hash_ in sorted(loose):
        what, count = held.outputs[hash_]
        mend = "`dvc exp remove` if `dvc exp list --all-commits` shows any, then `triad retraining prune`"
        yield Place(f"cache object {hash_[:12]}", f"{what} ({count:,}), which no branch names", mend)


def remotes(here: Path, held: Stored) -> Iterator[Place]:
    """What of the cache's also lies in a DVC remote."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with Repo(str(here)) as repo:
        for name in repo.config["remote"]:
            mend = f"drop the branches that name it, then `triad retraining prune --keep-days 0 --remote {name}`"
            try:
                store = repo.cloud.get_remote_odb(name)
                there = {hash_ for hash_ in store.all() if hash_.endswith(".dir")}
            except (DvcException, OSError) as error:
                yield Place(f"remote {name}", f"perhaps: it does not answer ({type(error).__name__})", mend)
                continue
            if held_there := there & set(held.outputs):
                what = sorted({held.outputs[hash_][0] for hash_ in held_there})
                yield Place(f"remote {name}", f"{len(held_there)} folders: {'; '.join(what)}", mend)
            if unseen := there - held.looked:
                again = f"`dvc fetch --all-branches` and ask again, or {mend}"
                yield Place(f"remote {name}", f"perhaps: {len(unseen)} folders there are not at hand", again)


def restart(here: Path) -> list[Path]:
    """Take `ingest` out of the locks of checkout, worktrees and open nights, so that DVC runs it again; says which."""
    from dvc.repo import Repo

    done = []
    for folder in every(here):
        if (folder / CLOSED).is_file() or not (folder / ".dvc").is_dir():
            continue
        with Repo(str(folder), _wait_for_lock=True) as repo, repo.lock:
            # the copy first: what it has more than the lock is brought back
            if any([_without_ingest(folder / KEPT), _without_ingest(folder / "dvc.lock")]):
                done.append(folder)
    return done


def _without_ingest(lock: Path) -> bool:
    known = (yaml.load(lock.read_text(), Loader=Loader) or {}) if lock.is_file() else {}
    if known.get("stages", {}).pop("ingest", None) is None:
        return False
    with replacing_file(lock) as fresh:
        fresh.write_text(yaml.safe_dump(known, sort_keys=False))
    return True
