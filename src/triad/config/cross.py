"""Rules between sections of `params.yaml`. They are checked when the file is read, before any work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from triad.config.base import near
from triad.config.fuse import POINTWISE_MEMBERS
from triad.config.ingest import SIMULATED_ATTRIBUTES
from triad.config.tasks import chain, given
from triad.schema import TABLES

if TYPE_CHECKING:
    from triad.config.params import Params

STEPS = {"clicked": "click", "carted": "cart", "purchased": "purchase", "spend": "purchase"}
"""Label → the kind of event that it is made of."""


def check(params: Params) -> None:
    """Raises ValueError, with the key's place, where two sections contradict each other."""
    for rule in _RULES:
        rule(params)


def _chains(params: Params) -> None:
    tasks, needed = params.tasks, given(params.tasks)
    for name, task in tasks.items():
        if task.given is not None and (task.given not in tasks or tasks[task.given].kind != "binary"):
            binary = [other for other, each in tasks.items() if each.kind == "binary" and other != name]
            raise ValueError(f"tasks.{name}.given: {task.given!r} is no binary task{near(task.given, binary)}")
        steps = chain(name, needed)
        if needed.get(steps[-1]) is not None:
            raise ValueError(f"tasks.{name}.given: {' needs '.join([*steps, needed[steps[-1]]])}: a circle")


def _one_ranking(params: Params) -> None:
    rankings = [name for name, task in params.tasks.items() if task.kind == "ranking"]
    if len(rankings) > 1:
        raise ValueError(f"tasks: {' and '.join(rankings)} are rankings, and there is one list a customer: keep one")
    if rankings and not set(params.fuse.members) - set(POINTWISE_MEMBERS):
        raise ValueError(f"fuse.members: none of {', '.join(params.fuse.members)} ranks items for task {rankings[0]}")


def _windows(params: Params) -> None:
    days = params.features.split_days.model_dump()
    later = sum(days.values())
    if later >= params.ingest.window_days:
        raise ValueError(f"features.split_days take {later} days of ingest.window_days={params.ingest.window_days}")
    split, shortest = min([*days.items(), ("train", params.ingest.window_days - later)], key=lambda each: each[1])
    for name, task in params.tasks.items():
        if task.label in ("price_move", "spend") and task.horizon_days >= shortest:
            raise ValueError(
                f"tasks.{name}.horizon_days: the {task.horizon_days} days after an exposure must end inside its split, "
                f"and {split} has {shortest}; shorten it, or widen features.split_days"
            )
    funnel = any(task.label in STEPS for task in params.tasks.values())
    if funnel and params.features.attribution_hours >= 24 * shortest:
        raise ValueError(
            f"features.attribution_hours: {params.features.attribution_hours} hours after an exposure must end inside "
            f"its split, and {split} has {shortest} days"
        )


def _attributes(params: Params) -> None:
    known = _known_attributes(params)
    for name in params.features.user_attributes:
        if name not in known:
            raise ValueError(f"features.user_attributes: users has no column {name!r}{near(name, known)}")
    for name, task in params.tasks.items():
        if task.label != "user_attribute":
            continue
        if task.column in params.features.user_attributes:
            raise ValueError(f"tasks.{name}: its label {task.column!r} is also in features.user_attributes")
        if task.column not in known:
            raise ValueError(f"tasks.{name}.column: users has no column {task.column!r}{near(str(task.column), known)}")


def _known_attributes(params: Params) -> Collection[str]:
    files = params.ingest.files
    if params.ingest.source == "simulated" or files is None:
        return SIMULATED_ATTRIBUTES
    return [name for name in files.users.columns if name not in TABLES["users"].names]


def _sources(params: Params) -> None:
    files = params.ingest.files
    if params.ingest.source == "simulated" or files is None:
        return
    constant = files.events.columns["kind"].constant
    for name, task in params.tasks.items():
        if task.label == "price_move" and files.prices is None:
            raise ValueError(f"tasks.{name}: needs the table prices; map ingest.files.prices, say {{from: events}}")
        if constant is not None and STEPS.get(task.label, constant) != constant:
            raise ValueError(f"tasks.{name}: needs {STEPS[task.label]} events, and all events are {constant!r}")


def _members(params: Params) -> None:
    pointwise = [name for name, task in params.tasks.items() if task.kind != "ranking"]
    for name in params.finetune.tasks or ():
        if name not in pointwise:
            raise ValueError(f"finetune.tasks: {name!r} is no task with rows of its own{near(name, pointwise)}")
    for name in params.fuse.members:
        if name in ("transitions", "ease", "successors", "attributes") and name not in params.similarity.linear.members:
            raise ValueError(f"fuse.members: {name} is fitted where similarity.linear.members names it")
        if name == "informed" and not params.profile.informed:
            raise ValueError("fuse.members: informed is fitted where profile.informed is true")


def _starts(params: Params) -> None:
    starts = [name for name in ("pretrain", "finetune") if getattr(params, name).init == "market"]
    if starts and params.champion.market.model is None:
        raise ValueError(f"{starts[0]}.init is market, but champion.market.model names none")


def _lists(params: Params) -> None:
    order, binary = params.recommend.order_by, [n for n, task in params.tasks.items() if task.kind == "binary"]
    if order is not None and order not in binary:
        raise ValueError(f"recommend.order_by: {order!r} is no binary task{near(order, binary)}")


_RULES: Iterable[Callable[[Params], None]] = (
    _chains,
    _one_ranking,
    _windows,
    _attributes,
    _sources,
    _members,
    _starts,
    _lists,
)
