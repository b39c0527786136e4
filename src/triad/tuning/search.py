"""`triad tune`: search the dials of a space for the smallest validation loss, with Optuna.

Trials are drawn by a tree-structured Parzen estimator (Bergstra et al. 2011) and stopped early where their loss of an
epoch is worse than the median of the trials before (Golovin et al. 2017). All is kept in a SQLite file, so that a
search that was killed goes on where it was: the trial it died in is run again with the same dials. Each trial is an
MLflow run below that of the search. Only the train and validation windows are read (`space.blind`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import TrialState

from triad.ablations.members import Workshop
from triad.ablations.params import StudyParams
from triad.config.params import merge
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.paths import sqlite_url
from triad.tracking.runs import safe
from triad.tracking.store import client, experiment_id
from triad.training.checkpoints import fingerprint
from triad.training.runtime import settle
from triad.tuning.space import Space, blind, overlay

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("triad.tune")

PARENT = "mlflow_run"


def search(
    data: Dataset,
    params: StudyParams,
    space: Space,
    *,
    name: str,
    folder: Path,
    experiment: str,
    after_trial: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Any], float]:
    """The best trial's overlay over `params`, and its validation loss.

    Args:
        name: the search's; the same name goes on with it.
        folder: where its trials and the members they made are kept.
        experiment: of MLflow.
        after_trial: called when a trial is written down; the search may end here and go on in another process.

    Raises:
        TriadError: the search was begun on other data or params, or no trial came to its end.
    """
    data, store = blind(data), client()
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=name,
        storage=sqlite_url((folder / "trials.db").resolve()),
        load_if_exists=True,
        direction="minimize",
        pruner=optuna.pruners.MedianPruner(space.warm_trials, space.warm_epochs),
    )
    key = fingerprint(data, params.model_dump(), space.model_dump(exclude={"trials"}))
    _same(study, key, folder)
    experiment_of = experiment_id(store, experiment)
    parent = study.user_attrs.get(PARENT)
    if parent is None:
        parent = store.create_run(experiment_of, run_name=f"tune {name}").info.run_id
        study.set_user_attr(PARENT, parent)
    _bury(study)
    while (done := len(_ended(study))) < space.trials:
        # a sampler of its own for each trial, so that a search that was broken off draws what it would have drawn
        study.sampler = optuna.samplers.TPESampler(seed=space.seed + done, n_startup_trials=space.warm_trials)
        trial = study.ask()
        chosen = {dial: each.suggest(trial, dial) for dial, each in space.dials.items()}
        with _run(store, experiment_of, parent, trial, chosen) as run:
            loss = _loss(data, params, space, overlay(chosen), run, folder=folder, key=key)
        log.info(
            "trial %d of %d: %s · %s", done + 1, space.trials, chosen, "stopped" if loss is None else f"{loss:.5f}"
        )
        study.tell(trial, loss, TrialState.PRUNED if loss is None else TrialState.COMPLETE)
        after_trial()
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise TriadError("no trial came to its end", where=f"tune {name}", mend="give the search more trials")
    best = study.best_trial
    store.log_metric(parent, "validation_loss", study.best_value)
    store.log_dict(parent, overlay(best.params), "best.json")
    store.set_terminated(parent)
    return overlay(best.params), study.best_value


def _same(study: optuna.Study, key: str, folder: Path) -> None:
    if study.user_attrs.get("key", key) != key:
        raise TriadError(
            "this search was begun on other data, params or dials",
            where=str(folder),
            mend="name a new search, or delete the folder",
        )
    study.set_user_attr("key", key)


def _ended(study: optuna.Study) -> list[Any]:
    return [trial for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def _bury(study: optuna.Study) -> None:
    """Trials that a killed process left running fail, and their dials are tried again first."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)


class _Run:
    """One trial and its MLflow run."""

    def __init__(self, store: MlflowClient, run_id: str, trial: optuna.Trial) -> None:
        self.store, self.run_id, self.trial = store, run_id, trial
        self.stopped = False

    def epoch(self, row: dict[str, float]) -> None:
        """Report an epoch's losses; raises where the trial is not worth going on with."""
        step = int(row["epoch"])
        for metric, value in row.items():
            self.store.log_metric(self.run_id, safe(metric), value, step=step)
        self.trial.report(row["validation_loss"], step)
        if self.trial.should_prune():
            raise optuna.TrialPruned


@contextmanager
def _run(
    store: MlflowClient, experiment: str, parent: str, trial: optuna.Trial, chosen: dict[str, Any]
) -> Iterator[_Run]:
    tags = {"mlflow.parentRunId": parent}
    run_id = store.create_run(experiment, tags=tags, run_name=f"trial {trial.number}").info.run_id
    for dial, value in chosen.items():
        store.log_param(run_id, dial, value)
    run, status = _Run(store, run_id, trial), "FAILED"
    try:
        yield run
        status = "FINISHED"
    finally:
        store.set_tag(run_id, "stopped_early", str(run.stopped))
        store.set_terminated(run_id, status)


def _loss(
    data: Dataset, params: StudyParams, space: Space, laid: dict[str, Any], run: _Run, *, folder: Path, key: str
) -> float | None:
    """The best validation loss of the objective's network under `laid`; None where it was stopped early."""
    settings = StudyParams.model_validate(merge(params.model_dump(), laid))
    section = settings.pretrain if space.objective == "pretrain" else settings.finetune
    runtime = settle(settings.runtime, section.seed)
    shop = Workshop(data, settings, runtime, folder / "shelf", key, reported=space.objective, on_epoch=run.epoch)
    try:
        shop.member(space.objective)
    except optuna.TrialPruned:
        run.stopped = True
        return None
    loss = min(row["validation_loss"] for row in shop.histories[space.objective])
    run.store.log_metric(run.run_id, "best_validation_loss", loss)
    return loss
