"""The trigger form of `manual_retraining`, and its conversion to arguments of `triad retraining open`."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, get_args

import yaml
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

from triad.airflow import settings
from triad.config.finetune import FinetuneParams
from triad.config.ingest import SimulatedParams
from triad.config.retraining import RetrainingParams

if TYPE_CHECKING:
    from airflow.sdk import Context


def form(stages: Iterable[str]) -> dict[str, Param]:
    """What a person may set; an empty field leaves what params.yaml or the config says."""
    return {
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            title="As of",
            description="The first UTC day that is not read. Empty: the day of the trigger.",
        ),
        "config": _choice(
            "Config",
            "The shop: a file of configs/ to lay over params.yaml.",
            sorted(str(p.relative_to(settings.checkout())) for p in settings.checkout().glob("configs/*.yaml")),
        ),
        "night": _choice(
            "Night",
            "full: train and judge a new model. light: only teach the one that serves the newest days. Empty: as "
            "retraining.full_every_days says.",
            _values(RetrainingParams, "night"),
        ),
        "size": _choice("Size", "Of the simulated shop.", _values(SimulatedParams, "size")),
        "tasks": _several("Tasks", "What the model learns. Empty: all.", _tasks()),
        "init": _choice("Transfer", "What fine-tuning starts from (finetune.init).", _values(FinetuneParams, "init")),
        "overrides": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "pattern": r"^[a-z_]+(\.\w+)+=.*$"},
            title="Overrides",
            description="Any key of params.yaml, one a line: finetune.max_epochs=3",
        ),
        "forced": _several("Forced stages", "Run these though they are up to date.", stages),
        "dry_run": Param(
            False, type=["null", "boolean"], title="Dry run", description="Show what would run, and end there."
        ),
    }


def arguments(context: Context) -> list[str]:
    """The arguments of `triad retraining open` for what was entered.

    Raises:
        AirflowFailException: the run was triggered with a key that the form does not have.
    """
    entered = context["params"]
    # not `entered`: Airflow lays the run's keys into it, known or not
    refuse_unknown(context["dag_run"].conf or {}, context["dag"].params)
    as_of = entered["as_of"] or context["dag_run"].run_after.date()
    sets = [f"ingest.simulated.size={entered['size']}"] if entered["size"] else []
    sets += [f"finetune.init={entered['init']}"] if entered["init"] else []
    sets += entered["overrides"] or []
    named = ["--config", entered["config"]] if entered["config"] else []
    named += ["--night", entered["night"]] if entered["night"] else []
    named += [part for task in entered["tasks"] or [] for part in ("--task", task)]
    return ["--as-of", str(as_of), *named, *(part for one in sets for part in ("--set", one))]


def refuse_unknown(conf: Collection[str], known: Collection[str]) -> None:
    """Airflow takes a key it does not know without a word; a misspelt one would then run something else.

    Raises:
        AirflowFailException: naming the key and the nearest known one.
    """
    for key in sorted(set(conf) - set(known)):
        near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
        mend = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known) or 'none'}"
        raise AirflowFailException(f"unknown key {key!r} in the run's configuration: {mend}")


def _choice(title: str, description: str, values: Iterable[str]) -> Param:
    return Param(
        None,
        type=["null", "string"],
        enum=[None, *values],
        values_display={"null": "as configured"},
        title=title,
        description=description,
    )


def _several(title: str, description: str, values: Iterable[str]) -> Param:
    known = list(values)
    return Param(
        [],
        type=["null", "array"],  # the form gives null where all was taken out again
        items={"type": "string", "enum": known},
        examples=known,
        uniqueItems=True,
        title=title,
        description=description,
    )


def _values(section: Any, field: str) -> tuple[str, ...]:
    return get_args(section.model_fields[field].annotation)


def _tasks() -> list[str]:
    return list(yaml.safe_load((settings.checkout() / "params.yaml").read_text(encoding="utf-8"))["tasks"])
