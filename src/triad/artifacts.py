"""Where stages keep their outputs, and how an output is replaced atomically."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from triad.durable import sync, sync_tree
from triad.errors import TriadError
from triad.locking import held

ARTIFACTS = Path("artifacts")
"""Each stage writes `artifacts/<stage>/`, relative to the folder that holds dvc.yaml."""

INGESTED = ARTIFACTS / "ingest" / "tables"
"""The source's tables as they came. Only `validate` reads them."""
TABLES = ARTIFACTS / "validate" / "tables"
"""The same without the rows that `validate` set aside: what every later stage reads."""
ORACLE = ARTIFACTS / "ingest" / "oracle"
"""A simulated shop's true probabilities. Only evaluation may read them."""


@contextmanager
def replacing(target: Path, *, wait: bool = False) -> Iterator[Path]:
    """A fresh folder to write in, which takes `target`'s place at the end, and only if nothing was raised.

    The folder that stood there stays usable until then: a killed or failed writer loses nothing, nor does a power cut.

    Args:
        wait: for another writer of `target`, in place of being refused.

    Raises:
        TriadError: the disk is full, or another process writes `target`.
    """
    with replacing_together(target, wait=wait) as (fresh,):
        yield fresh


@contextmanager
def replacing_together(*folders: Path, files: Sequence[Path] = (), wait: bool = False) -> Iterator[list[Path]]:
    """`replacing` of several outputs beside one another, which appear all or none.

    Gives a fresh folder for each of `folders`, then a path to write to for each of `files`.
    """
    targets = [*folders, *files]
    parent, first = targets[0].parent, targets[0]
    fresh = [_new(target) for target in targets]
    parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for target in targets:
            stack.enter_context(held(target, wait=wait))
        _finish(parent / _SWAP.format(first.name))
        for target in targets:
            _restore(target)
            for leftover in (_new(target), _old(target)):
                _discard(leftover)
        for path in fresh[: len(folders)]:
            path.mkdir()
        _unseen.update(fresh)
        try:
            yield fresh
            for path in fresh:
                sync_tree(path)
            _announce(parent, [target.name for target in targets])
        except BaseException as error:
            for path in fresh:
                _discard(path)
            if not (isinstance(error, OSError) and _is_full(error, parent)):
                raise
            raise TriadError(
                f"no space left on the disk ({error}); earlier outputs are as they were",
                where=str(first),
                mend="free some space or choose a smaller window, and run again",
                transient=True,
            ) from error
        finally:
            _unseen.difference_update(fresh)
        _finish(parent / _SWAP.format(first.name))


_SWAP = ".swap.{}"
_FRESH = ".new."
_unseen: set[Path] = set()  # fresh outputs being written by this process


def _new(target: Path) -> Path:
    return target.with_name(f".{target.name}.new")


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _announce(parent: Path, names: Sequence[str]) -> None:
    """Write down which fresh outputs, whole and on the disk, take their places: from here on there is no way back."""
    sync(parent)
    note = parent / _SWAP.format(names[0])
    try:
        write_json(note, names)
    except BaseException:
        note.unlink(missing_ok=True)
        sync(parent)
        raise


def _finish(note: Path) -> None:
    """Do what `note` says, as far as it is not done: a writer may have been killed on any line of this."""
    if not note.is_file():
        return
    targets = [note.with_name(name) for name in read_json(note)]
    for target in targets:
        if _new(target).exists():
            if target.exists():
                _discard(_old(target))
                target.rename(_old(target))
            _new(target).rename(target)
    sync(note.parent)
    note.unlink()
    sync(note.parent)
    for target in targets:
        _discard(_old(target))


def _restore(target: Path) -> None:
    """Bring back what a writer moved away before it was killed, where no note says what was to follow."""
    if _old(target).exists() and not target.exists():
        _old(target).rename(target)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def recover(root: Path) -> None:
    """End what killed writers left half done in `root` and one level below, so that readers see whole outputs."""
    for folder in (root, *root.glob("*/")):
        for note in folder.glob(_SWAP.format("*")):
            with held(note.with_name(note.name.removeprefix(".swap.")), wait=True):
                _finish(note)
        for old in folder.glob(".*.old"):
            target = old.with_name(old.name[1:].removesuffix(".old"))
            if not target.exists():
                with held(target, wait=True):
                    _restore(target)


def _is_full(error: OSError, folder: Path) -> bool:
    # NumPy's writer says how much it could not write, without an error number
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or (
        error.errno is None and shutil.disk_usage(folder).free < 1 << 20
    )


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """A path to write to, of `path`'s suffix, which takes `path`'s place at the end, and only if nothing was raised.

    Another writer of `path` is waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(_FRESH + path.name)
    seen = _unseen.isdisjoint([path, *path.parents])  # else all is synced when the folder is whole
    with held(path, wait=True) if seen else nullcontext():
        try:
            yield fresh
            if seen:
                sync(fresh)
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        if seen:
            sync(path.parent)


def sweep_files(folder: Path) -> None:
    """Delete what killed writers of `replacing_file` left in `folder`: others write other names, so it would stay."""
    for fresh in folder.glob(f"{_FRESH}*"):
        target = fresh.with_name(fresh.name.removeprefix(_FRESH))
        with suppress(TriadError), held(target):  # whoever writes it has it
            fresh.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, the same bytes for the same value; NaN is refused."""
    with replacing_file(path) as fresh:
        fresh.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON value in `path`."""
    return json.loads(path.read_text())


def need(path: Path) -> Path:
    """`path`, an output of a stage.

    Raises:
        TriadError: it is not there yet.
    """
    if not path.exists():
        stage = path.relative_to(ARTIFACTS).parts[0]
        raise TriadError("is not there yet", where=str(path), mend=f"run the stage {stage} first: `dvc repro {stage}`")
    return path
