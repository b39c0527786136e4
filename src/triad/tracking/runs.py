"""One MLflow run per night: parameters, metrics, report, and the model with everything it needs to serve."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import triad
from triad.artifacts import ARTIFACTS, TABLES
from triad.tracking.lineage import Lineage, parts
from triad.tracking.packing import CODE, pack
from triad.tracking.registry import LINEAGE_FILE, lineage_of
from triad.tracking.signing import seal, sign
from triad.tracking.store import experiment_id, quiet
from triad.tracking.wording import WORDED

if TYPE_CHECKING:
    from mlflow import MlflowClient

NEEDED = (
    "mlflow",
    "bm25s",
    "duckdb",
    "faiss-cpu",
    "fsspec",
    "keras",
    "lightgbm",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "PyYAML",
    "rapidfuzz",
    "scikit-learn",
    "scipy",
    "tensorflow",
    "tqdm",
)
"""Packages a serving process installs. Inferring them would load the model in a fresh process for half a minute."""

REASONS = 20
"""Of a verdict, on a page of MLflow; its tags have 8,000 characters at most."""
REPORT = ARTIFACTS / "evaluate" / "report" / "report.html"


def requirements() -> list[str]:
    """`NEEDED`, at the versions that trained."""
    return [f"{name}=={metadata.version(name)}" for name in NEEDED if _installed(name)]


def log(client: MlflowClient, experiment: str, model: str, lineage: Lineage, served: Path) -> tuple[str, str]:
    """Write a run with the model, signed as one of `model`; returns its id and the model's URI.

    Where writing fails the run is marked so.

    Args:
        served: the file that has the digest of the served state.
    """
    import mlflow

    with (
        quiet(),
        mlflow.start_run(
            experiment_id=experiment_id(client, experiment),
            run_name=f"{lineage.data['as_of']} {lineage.key[:8]}",
        ) as run,
    ):
        mlflow.log_params({safe(name): value for name, value in lineage.params.items()})
        mlflow.log_input(_input(lineage), context="training")
        if REPORT.is_file():
            mlflow.log_artifact(str(REPORT))
        update(client, run.info.run_id, lineage)
        return run.info.run_id, _log_model(model, lineage, served)


def log_costs(client: MlflowClient, run_id: str, costs: Mapping[str, float]) -> None:
    """Write what the stages of the night took, as metrics of its run."""
    from mlflow.entities import Metric
    from mlflow.utils.time import get_current_time_millis

    now = get_current_time_millis()
    client.log_batch(run_id, metrics=[Metric(safe(name), value, now, 0) for name, value in costs.items()])


def update(client: MlflowClient, run_id: str, lineage: Lineage) -> None:
    """Write metrics, main points and the whole lineage of a run, in place of what it held."""
    import mlflow
    from mlflow.entities import Metric
    from mlflow.utils.time import get_current_time_millis

    now = get_current_time_millis()
    client.log_batch(run_id, metrics=[Metric(safe(name), value, now, 0) for name, value in lineage.metrics.items()])
    for name, value in {**facts(lineage), "mlflow.note.content": words(lineage)}.items():
        client.set_tag(run_id, name, value)
    mlflow.log_dict(seal(lineage.as_dict(), lineage_of(run_id)), LINEAGE_FILE, run_id=run_id)


def facts(lineage: Lineage) -> dict[str, str]:
    """The lineage's main points, as tags of the run and of the model version."""
    return {
        "lineage_key": lineage.key,
        "git_commit": str(lineage.code["commit"]),
        "git_dirty": str(lineage.code["dirty"]),
        "code_digest": lineage.code["digest"],
        "data_digest": lineage.data["digest"],
        "as_of": str(lineage.data["as_of"]),
        "data_days": str(lineage.data["days"]),
        "event_rows": str(lineage.data["rows"].get("events", 0)),
        "trigger": lineage.trigger,
        "verdict": str(lineage.verdict["verdict"]),
        **({"learned_until": lineage.learned["refitted"]["last_day"]} if lineage.learned else {}),
        **({"night": "light", "goes_on_from": lineage.night["twin"]} if lineage.night else {}),
    }


def words(lineage: Lineage) -> str:
    """The verdict and its reasons, as the pages of the run and of the version describe them (Markdown)."""
    verdict, champion = lineage.verdict["verdict"], lineage.verdict.get("champion")
    against = f"compared with version {champion}" if champion is not None else "with no champion to compare with"
    night = "Light night" if lineage.night else "Night"
    told = lineage.verdict.get("reasons", [])
    reasons = "".join(f"* {reason}\n" for reason in told[:REASONS])
    reasons += f"* and {len(told) - REASONS} more\n" if len(told) > REASONS else ""
    return (
        f"**{verdict}.** {night} as of {lineage.data['as_of']}, {against}.\n\n{reasons}\n"
        "The run's artifact report.html shows the numbers. `triad why VERSION` tells what the version was made of."
    )


def safe(name: str) -> str:
    """`name` in the letters that MLflow allows."""
    return re.sub(r"[^\w\-. /:]", "_", name)


def _input(lineage: Lineage) -> Any:
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.data.meta_dataset import MetaDataset

    source = resolve_dataset_source(str(TABLES.resolve()))
    return MetaDataset(source, name=f"tables as of {lineage.data['as_of']}", digest=lineage.data["digest"])


ASKED = (("mode", "string", "score"), ("k", "long", 0), ("query", "string", ""), ("user_id", "string", ""), *WORDED)
"""What a request may say beside its tables: name, type and default."""


def _log_model(model: str, lineage: Lineage, served: Path) -> str:
    import mlflow
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ParamSchema, ParamSpec

    def save_model(path: str, mlflow_model: Model, **what: Any) -> None:
        mlflow.pyfunc.save_model(path, mlflow_model=mlflow_model, **what)
        pack(package, Path(path))
        mlflow_model.flavors[mlflow.pyfunc.FLAVOR_NAME][mlflow.pyfunc.CODE] = str(CODE)
        mlflow_model.save(str(Path(path) / "MLmodel"))
        # before anything leaves this machine: what is read back from a store may be another's by then
        sign(Path(path), model, str(mlflow_model.run_id))

    package = Path(triad.__file__).parent
    info = Model.log(
        None,
        SimpleNamespace(save_model=save_model),
        name="model",
        flavor_name="pyfunc.ModelFromCode",
        python_model=str(package / "tracking" / "registered.py"),
        artifacts={n: part.resolve().as_uri() for n, part in (parts(lineage.night) | {served.stem: served}).items()},
        signature=ModelSignature(params=ParamSchema([ParamSpec(*each) for each in ASKED])),
        pip_requirements=requirements(),
        metadata={"lineage_key": lineage.key, "code_digest": lineage.code["digest"]},
    )
    return str(info.model_uri)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
