"""Members by name: the class of each, and how it is made and loaded. Asking for one imports its file and no other's."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from triad.config.members import RECIPES, known
from triad.errors import TriadError
from triad.members.bench import Bench
from triad.members.protocol import PROTOCOLS, Member
from triad.tasks import LABELS, are_lists

if TYPE_CHECKING:
    from triad.config.tasks import Tasks


def check_names(names: Iterable[str], where: str) -> None:
    """That each is a member's.

    Raises:
        TriadError: one is not; where it was renamed, with its present name.
    """
    for name in names:
        try:
            known(name)
        except ValueError as error:
            mend = "correct it; a model of former code is served by the commit that `triad why` names"
            raise TriadError(str(error), where=where, mend=mend) from error


def member_class(name: str) -> Any:
    """The class of the member called `name`.

    Raises:
        TriadError: no file declares it, or its file lacks the class.
    """
    check_names([name], "members")
    recipe = RECIPES[name]
    cls = getattr(importlib.import_module(recipe.module), recipe.made_by, None)
    if cls is None:
        raise TriadError(f"it has no class {recipe.made_by}", where=recipe.module, mend="correct its MEMBERS")
    return cls


@contextmanager
def read_beside(members: Mapping[str, Member], names: Iterable[str]) -> Iterator[None]:
    """Asks for members, which reads their files, in a thread beside what is done inside: a database can work meanwhile.

    TensorFlow takes seconds. What fails here fails again, and says so, where the member is asked for.
    """

    def each() -> None:
        for name in names:
            with suppress(Exception):
                members[name]

    thread, looked = Thread(target=each), gc.isenabled()
    gc.disable()  # of the modules and networks nothing is garbage, and each look for it stops both threads
    thread.start()
    try:
        yield
    finally:
        thread.join()
        if looked:
            gc.enable()


def load_member(name: str, folder: Path) -> Member:
    """The member called `name` from the folder its stage wrote."""
    return _checked(name, member_class(name).load(folder))


def make_member(name: str, bench: Bench) -> Member:
    """The member called `name`, of what is on `bench`.

    Raises:
        TriadError: it is a network, which its stage alone trains; or it finds nothing to learn from.
    """
    cls = member_class(name)
    if not hasattr(cls, "make"):
        stage = RECIPES[name].stage
        raise TriadError(f"the stage {stage} trains it", where=f"member {name}", mend=f"load what {stage} wrote")
    return _checked(name, cls.make(bench, name))


def make_members(stage: str, bench: Bench) -> dict[str, Member]:
    """All that `stage` makes and the params ask for."""
    recipes = [recipe for recipe in RECIPES.values() if recipe.stage == stage]
    return {each.name: make_member(each.name, bench) for each in recipes if each.missing(bench.params) is None}


def of_use(names: Iterable[str], tasks: Tasks) -> list[str]:
    """Those of `names` that answer what `tasks` ask. Where all of them are lists, no member of rows alone does."""
    units = {None, *(LABELS[task.label].unit for task in tasks.values())}
    of_rows = ("RowScorer",) if are_lists(tasks) else None
    return [name for name in names if RECIPES[name].answers in units and RECIPES[name].protocols != of_rows]


def _checked(name: str, member: Any) -> Member:
    """`member`, if it answers just what its file declares."""
    recipe = RECIPES[name]
    answered = sorted(word for word, protocol in PROTOCOLS.items() if isinstance(member, protocol))
    if answered != sorted(recipe.protocols) or not answered or not isinstance(member, Member):
        raise TriadError(
            f"{recipe.made_by} answers {', '.join(answered) or 'no protocol'}, declared: {', '.join(recipe.protocols)}",
            where=recipe.module,
            mend="let its MEMBERS say what its class has, and give it `save`, `load` and `refit` (members/protocol.py)",
        )
    return member
