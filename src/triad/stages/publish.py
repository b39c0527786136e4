"""Stage `publish`: register the model with its lineage; promote it only on a PASS, and never for an experiment."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from triad import costs
from triad.artifacts import ARTIFACTS, TABLES, replacing, write_json
from triad.digests import digest
from triad.privacy.same_key import check_same_key
from triad.serving import stored
from triad.serving.night import Night
from triad.tracking import registry, runs
from triad.tracking.fetching import folder_of
from triad.tracking.lineage import REFIT, SERVED, Lineage, collect
from triad.tracking.moving import settle
from triad.tracking.place import experiment
from triad.tracking.serving import ServingModel
from triad.tracking.stock import with_stock
from triad.tracking.store import client, locked, quiet

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient

    from triad.config.params import Params
    from triad.config.publish import PublishParams

OUTPUT = ARTIFACTS / "publish"
LOG = logging.getLogger("triad.publish")


def publish(params: Params) -> None:
    """Write `artifacts/publish/published.json`. Doing it twice registers no second version.

    Raises:
        TriadError: an artifact is missing, the champion knows users by other pseudonyms, the store does not answer or
            is not the one it was, or another champion serves by now.
    """
    settings, start = params.publish, time.monotonic()
    LOG.info("%s", settings)
    lineage = collect(params)
    registry.serving(settings.model, settings.alias)  # before a store is made where one is lost
    mlflow_client = client()
    if (against := lineage.verdict.get("champion")) is not None:
        compared = registry.describe(settings.model, str(against))
        check_same_key(compared.lineage["data"], f"model {settings.model}, version {against}, the champion")
    with replacing(OUTPUT) as folder:
        served = _served(params, folder, lineage)
        with locked("publish"):
            version, run_id = _registered(mlflow_client, settings, lineage, served)
            runs.log_costs(mlflow_client, run_id, costs.metrics(costs.read(), params.retraining.prices))
        promoted, reasons = _promoted(mlflow_client, settings, lineage, version, params.retraining.light_serves)
        champion = registry.current(mlflow_client, settings.model, settings.alias)
        write_json(
            folder / "published.json",
            {
                "model": settings.model,
                "version": version,
                "run_id": run_id,
                "promoted": promoted,
                "verdict": lineage.verdict["verdict"],
                "reasons": reasons,
                "lineage_key": lineage.key,
                "champion": champion,
                "experiment": experiment(),
                "night": params.retraining.night,
            },
        )
    LOG.info(
        "version %s of %s, %s; champion is %s · %.1f s · %s",
        version,
        settings.model,
        "promoted" if promoted else "not promoted",
        champion or "none",
        time.monotonic() - start,
        OUTPUT,
    )


def _served(params: Params, folder: Path, lineage: Lineage) -> Path:
    """Write what serving needs as of the night, and the file with its digest, which goes with the version."""
    start, written = time.monotonic(), folder / SERVED.name
    model = ServingModel.load(REFIT / "state", REFIT / "fuse")
    written.mkdir()
    stored.save(Night.of(model, TABLES, with_stock(params.recommend)), written)
    signed = written.with_suffix(".json")
    write_json(signed, {"digest": digest(written), "last_day": lineage.data["last_day"]})
    LOG.info("served state · %.1f s", time.monotonic() - start)
    return signed


def _registered(
    mlflow_client: MlflowClient, settings: PublishParams, lineage: Lineage, served: Path
) -> tuple[str, str]:
    """Number and run of the version with this lineage, registered if there is none yet."""
    import mlflow

    against = lineage.verdict.get("champion")
    tags = runs.facts(lineage) | ({"compared_with": str(against)} if against is not None else {})
    tags |= {"experiment": name} if (name := experiment()) is not None else {}
    version = registry.find(mlflow_client, settings.model, lineage.key)
    if version is None:
        run_id, uri = runs.log(mlflow_client, settings.experiment, settings.model, lineage, served)
        # tags come with the version: written later, a kill between would leave a version that nobody finds again
        with quiet():
            made = mlflow.register_model(uri, settings.model, tags=tags)
        registry.explain(mlflow_client, settings.model, settings.alias, str(made.version), runs.words(lineage))
        return str(made.version), run_id
    LOG.info("this lineage is version %s already", version)
    folder_of(settings.model, version)  # whoever registered it: it is promoted only if it was signed here
    entry = mlflow_client.get_model_version(settings.model, version)
    run_id = entry.run_id
    # an experiment rewrites no verdict of a night; compared with itself, a version says nothing new of its promotion
    own = experiment() is None or ("experiment" in entry.tags and "promoted_at" not in entry.tags)
    if own and version != str(against):
        made = Lineage.from_dict(registry.describe(settings.model, version).lineage)  # whose code the version carries
        judged = replace(made, metrics=lineage.metrics, verdict=lineage.verdict, validation=lineage.validation)
        runs.update(mlflow_client, run_id, judged)
        registry.tag(mlflow_client, settings.model, version, tags | runs.facts(judged))
        registry.explain(mlflow_client, settings.model, settings.alias, version, runs.words(judged))
    return version, run_id


def _promoted(
    mlflow_client: MlflowClient, settings: PublishParams, lineage: Lineage, version: str, light_serves: bool
) -> tuple[bool, list[str]]:
    """Whether the version serves after this, and why."""
    reasons = [str(reason) for reason in lineage.verdict.get("reasons", [])]
    with locked("alias"):
        settle(mlflow_client, settings.model, settings.alias)
    serving, against = registry.current(mlflow_client, settings.model, settings.alias), lineage.verdict.get("champion")
    if serving == version:
        return True, reasons
    if lineage.verdict["verdict"] != "PASS":
        return False, reasons
    held_back = None
    if (name := experiment()) is not None:
        held_back = f"the experiment {name} promotes nothing; `triad promote {version}` does"
    elif "rolled_back_at" in mlflow_client.get_model_version(settings.model, version).tags:
        held_back = f"it was rolled back; `triad rollback --to {version}` brings it back"
    elif lineage.night and not light_serves:
        held_back = f"retraining.light_serves is false; `triad promote {version}` lets it serve"
    elif lineage.night and serving != against:  # there is nothing to be judged again
        held_back = f"version {serving} serves by now, and the next light night goes on from that"
    if held_back is not None:
        return False, [*reasons, held_back]
    registry.promote(mlflow_client, settings.model, settings.alias, version, None if against is None else str(against))
    return True, reasons
