"""Rules between sections of `params.yaml`. They are checked when the file is read, before any work."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from triad.config.base import near
from triad.config.evaluate import EvaluateParams
from triad.config.files import DERIVED
from triad.config.images import COLOURS, LITE0
from triad.config.ingest import SIMULATED_ATTRIBUTES
from triad.config.members import RECIPES
from triad.config.tasks import chain, given
from triad.config.text import MINILM, WORDS
from triad.kinds import KINDS
from triad.schema import TABLES
from triad.tasks import LABELS

if TYPE_CHECKING:
    from triad.config.params import Params
    from triad.config.tasks import Tasks


_VOCABULARIES = ("item", "category", "brand", "token")


def check(params: Params) -> None:
    """Raises ValueError, with the key's place, where two sections contradict each other."""
    for rule in _RULES:
        rule(params)


def _labels(params: Params) -> None:
    check_tasks(params.tasks)


def check_tasks(tasks: Tasks) -> None:
    """Raises ValueError, with the key's place, where a task has a kind or an option that is none of its label's."""
    for name, task in tasks.items():
        where = f"tasks.{name}"
        for key, value, known in (("kind", task.kind, KINDS), ("label", task.label, LABELS)):
            if value not in known:
                raise ValueError(f"{where}.{key}: there is no {value!r}{near(value, known)}")
        label = LABELS[task.label]
        if not {task.kind} <= set(label.kinds):
            kinds = " or ".join(label.kinds)
            raise ValueError(f"{where}: label {task.label!r} is of kind {kinds!r}, not {task.kind!r}")
        if ("column" in label.options) != (task.column is not None):
            having = " and ".join(name for name, each in LABELS.items() if "column" in each.options)
            raise ValueError(f"{where}.column: goes with the labels {having}, and with no other")
        if task.given is not None and not KINDS[task.kind].is_event:
            raise ValueError(f"{where}.given: is for tasks whose answer is an event, not {task.kind!r}")
    if alike := [each for place, each in enumerate(tasks) if each.lower() in map(str.lower, list(tasks)[:place])]:
        raise ValueError(f"tasks: two are called {alike[0]!r} but for capitals, which tables and files do not tell")
    _check_chains(tasks)


def _check_chains(tasks: Tasks) -> None:
    needed = given(tasks)
    for name, other in needed.items():
        events = [each for each, task in tasks.items() if KINDS[task.kind].is_event]
        if other not in events:
            known = [each for each in events if each != name]
            raise ValueError(f"tasks.{name}.given: {other!r} is no binary task{near(other, known)}")
        own, before = LABELS[tasks[name].label], LABELS[tasks[other].label]
        if not own.chains or type(own) is not type(before):
            raise ValueError(f"tasks.{name}.given: label {own.name!r} does not follow label {before.name!r}")
        steps = chain(name, needed)
        if needed.get(steps[-1]) is not None:
            raise ValueError(f"tasks.{name}.given: {' needs '.join([*steps, needed[steps[-1]]])}: a circle")


def _one_ranking(params: Params) -> None:
    rankings = [name for name, task in params.tasks.items() if KINDS[task.kind].ranks]
    if len(rankings) > 1:
        raise ValueError(f"tasks: {' and '.join(rankings)} are rankings, and there is one list a customer: keep one")
    if rankings and not any("Retriever" in RECIPES[name].protocols for name in params.fuse.members):
        raise ValueError(f"fuse.members: none of {', '.join(params.fuse.members)} ranks items for task {rankings[0]}")


def _windows(params: Params) -> None:
    days = params.features.split_days.model_dump()
    later = sum(days.values())
    if later >= params.ingest.window_days:
        raise ValueError(f"features.split_days take {later} days of ingest.window_days={params.ingest.window_days}")
    split, shortest = min([*days.items(), ("train", params.ingest.window_days - later)], key=lambda each: each[1])
    for name, task in params.tasks.items():
        if "horizon_days" in LABELS[task.label].options and task.horizon_days >= shortest:
            raise ValueError(
                f"tasks.{name}.horizon_days: the {task.horizon_days} days after an exposure must end inside its split, "
                f"and {split} has {shortest}; shorten it, or widen features.split_days"
            )
    of_events = any(LABELS[task.label].needs(task).events for task in params.tasks.values())
    if of_events and params.features.attribution_hours >= 24 * shortest:
        raise ValueError(
            f"features.attribution_hours: {params.features.attribution_hours} hours after an exposure must end inside "
            f"its split, and {split} has {shortest} days"
        )


def _drift(params: Params) -> None:
    said = "drift_days" in params.validate_.model_fields_set  # in a short window the default is not asked
    if said and params.validate_.drift_days >= params.ingest.window_days:
        raise ValueError(
            f"validate.drift_days: {params.validate_.drift_days} of ingest.window_days={params.ingest.window_days} "
            "leave no earlier days to compare with"
        )


def _attributes(params: Params) -> None:
    known = attributes(params)
    for name in params.features.user_attributes:
        if name not in known:
            raise ValueError(f"features.user_attributes: users has no column {name!r}{near(name, known)}")
    for name, task in params.tasks.items():
        for column in LABELS[task.label].needs(task).columns:
            if column in params.features.user_attributes:
                raise ValueError(f"tasks.{name}: its label {column!r} is also in features.user_attributes")
            if column not in known:
                raise ValueError(f"tasks.{name}.column: users has no column {column!r}{near(column, known)}")


def _misspelt(params: Params) -> None:
    """Names that may be none of those known: only a near miss is refused."""
    own = attributes(params)
    market = params.evaluate.market
    named = [("validate.public_attributes", each, own) for each in params.validate_.public_attributes]
    named += [("evaluate.market", market, own)] if market and market != EvaluateParams().market else []
    named += [("champion.market.apart", each, _VOCABULARIES) for each in params.champion.market.apart]
    encoders = (
        ("text.encoder", params.text.encoder, (WORDS, MINILM)),
        ("images.encoder", params.images.encoder, (COLOURS, LITE0)),
    )
    named += [each for each in encoders if not Path(each[1]).exists()]
    checks = [place.partition(".") for place in params.validate_.quarantine.checks]
    columns = [*TABLES["users"].names, *own]
    named += [("validate.quarantine.checks", each, columns) for table, _, each in checks if table == "users"]
    for key, name, known in named:
        if name not in known and difflib.get_close_matches(name, known, n=1, cutoff=0.7):
            raise ValueError(f"{key}: there is no {name!r}{near(name, known)}")


def attributes(params: Params) -> Collection[str]:
    """The shop's own columns of users."""
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
        needs = LABELS[task.label].needs(task)
        for table in needs.tables:
            if getattr(files, table) is None:
                derived = ", say {from: events}" if table in DERIVED else ""
                raise ValueError(f"tasks.{name}: needs the table {table}; map ingest.files.{table}{derived}")
        for event in needs.events:
            if constant not in (None, event):
                raise ValueError(f"tasks.{name}: needs {event} events, and all events are {constant!r}")


def _members(params: Params) -> None:
    pointwise = [name for name, task in params.tasks.items() if not KINDS[task.kind].ranks]
    for name in params.finetune.tasks or ():
        if name not in pointwise:
            raise ValueError(f"finetune.tasks: {name!r} is no task with rows of its own{near(name, pointwise)}")
    if len(set(params.finetune.tasks or ())) < len(params.finetune.tasks or ()):
        raise ValueError(f"finetune.tasks: {', '.join(params.finetune.tasks or ())}: name each once")
    units = {LABELS[params.tasks[name].label].unit for name in pointwise}
    for unit in params.finetune.apart:
        if unit not in units:
            raise ValueError(f"finetune.apart: no task is about {unit!r}{near(unit, sorted(units))}")
    for name in params.refit.light_keeps:
        if name not in RECIPES:
            raise ValueError(f"refit.light_keeps: there is no member {name!r}{near(name, RECIPES)}")
    for name in params.fuse.members:
        if missing := RECIPES[name].missing(params):
            raise ValueError(f"fuse.members: {name} is fitted where {missing}")
    for name in pointwise:
        unit, recipes = LABELS[params.tasks[name].label].unit, map(RECIPES.__getitem__, params.fuse.members)
        if not any("RowScorer" in each.protocols and each.answers in (None, unit) for each in recipes):
            raise ValueError(f"fuse.members: none of {', '.join(params.fuse.members)} answers task {name}")


def _vectors(params: Params) -> None:
    if "text" in params.features.item_vectors and params.text.encoder == WORDS:
        raise ValueError(
            "features.item_vectors: text.encoder: words makes no vectors, and words of titles are read as they are; "
            "take text out, or choose minilm, scratch or a folder"
        )


def _starts(params: Params) -> None:
    starts = [name for name in ("pretrain", "finetune") if getattr(params, name).init == "market"]
    if starts and params.champion.market.model is None:
        raise ValueError(f"{starts[0]}.init is market, but champion.market.model names none")


def _lists(params: Params) -> None:
    order, binary = params.recommend.order_by, [n for n, task in params.tasks.items() if KINDS[task.kind].is_event]
    if order is not None and order not in binary:
        raise ValueError(f"recommend.order_by: {order!r} is no binary task{near(order, binary)}; null: by the ranking")


def _challenger(params: Params) -> None:
    if params.serve.trial.alias == params.publish.alias:
        raise ValueError(f"serve.trial.alias: {params.publish.alias!r} is the champion's own (publish.alias)")


_RULES: Iterable[Callable[[Params], None]] = (
    _labels,
    _one_ranking,
    _windows,
    _drift,
    _attributes,
    _misspelt,
    _sources,
    _members,
    _vectors,
    _starts,
    _lists,
    _challenger,
)
