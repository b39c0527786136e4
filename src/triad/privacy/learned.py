"""What the registry still holds of a person: files that name them, and versions that have learned from them.

A model names nobody, but it was fitted on what they did. One that started from another keeps what that had learned.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triad.errors import TriadError
from triad.privacy.looking import Names
from triad.privacy.whereabouts import Place, Stored
from triad.tracking import fetching, registry

if TYPE_CHECKING:
    from mlflow import MlflowClient

_RETRAIN = (
    "cannot be dropped without learning anew: a full night with pretrain.init: scratch, finetune.init: pretrain and "
    "champion.version: null; when its version serves, `triad retraining prune --keep-versions 0`"
)


@dataclass(frozen=True)
class Learner:
    """A version, how it knows the person (empty: not directly), and the versions that it started from."""

    model: str
    number: str
    directly: str
    starts: tuple[tuple[str, str], ...]
    serves: bool


def starts(
    model: str, params: Mapping[str, Any], night: Mapping[str, str] | None = None
) -> tuple[tuple[str, str], ...]:
    """Model and version that a run with these flat params, or a light night, started from."""
    inits = {params.get("pretrain.init"), params.get("finetune.init")}
    own = [(model, params.get("champion.version"))] * ("champion" in inits)
    own += [(model, night["twin"])] if night else []
    other = [(params.get("champion.market.model"), params.get("champion.market.version"))] * ("market" in inits)
    return tuple((str(name), str(number)) for name, number in own + other if name and number is not None)


def tainted(learners: list[Learner]) -> dict[tuple[str, str], str]:
    """Version → how it knows the person, directly or by the version it started from."""
    known = {(one.model, one.number): one.directly for one in learners if one.directly}
    grew = True
    while grew:
        grew = False
        for one in learners:
            source = next((start for start in one.starts if start in known), None)
            if (one.model, one.number) not in known and source:
                known[one.model, one.number] = f"it started from version {source[1]} of {source[0]}, which did"
                grew = True
    return known


def versions(mlflow_client: MlflowClient, names: Names, held: Stored) -> Iterator[Place]:
    """Registered versions whose files name the person, or that learned from them."""
    learners = []
    for model in mlflow_client.search_registered_models():
        serving = set(map(str, model.aliases.values()))
        for number in registry.versions(mlflow_client, model.name):
            where = f"version {number} of {model.name}"
            try:
                lineage = registry.describe(model.name, number).lineage
                files = _files(names, model.name, number)
            except TriadError as error:
                yield Place(where, f"perhaps: it cannot be read ({error.what})", _RETRAIN)
                continue
            if files:
                yield Place(where, f"files that name them: {files}", _RETRAIN)
            directly = _directly(lineage, held)
            learners.append(
                Learner(
                    model.name,
                    number,
                    directly,
                    starts(model.name, lineage["params"], lineage.get("night")),
                    number in serving,
                )
            )
    taints = tainted(learners)
    for one in learners:
        if how := taints.get((one.model, one.number)):
            serves = ", and it serves" if one.serves else ""
            yield Place(f"version {one.number} of {one.model}{serves}", f"learned from them: {how}", _RETRAIN)


def _directly(lineage: Mapping[str, Any], held: Stored) -> str:
    data = lineage["data"]
    tables = {path: hash_ for path, hash_ in data["dvc"].items() if path.endswith("/tables")}
    named, unseen = held.holding(tables)
    window = f"{data['first_day']} to {data['last_day']}"
    if named:
        return f"its tables of {window} hold them"
    return f"perhaps, for its tables of {window} are not at hand" if unseen or not tables else ""


def _files(names: Names, model: str, number: str) -> str:
    with tempfile.TemporaryDirectory(prefix="triad-forget-") as scratch:
        folder = fetching.fetch(model, number, Path(scratch) / "files")
        return ", ".join(str(path.relative_to(folder)) for path in names.below(folder))


def runs(mlflow_client: MlflowClient, names: Names) -> Iterator[Place]:
    """Runs, also deleted ones, whose reports name the person."""
    import mlflow
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    for experiment in mlflow_client.search_experiments(view_type=ViewType.ALL):
        token = None
        while True:
            page = mlflow_client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, page_token=token)
            for run in page:
                number = run.info.run_id
                scratch = Path(tempfile.mkdtemp(prefix="triad-forget-"))
                try:
                    mlflow.artifacts.download_artifacts(run_id=number, dst_path=str(scratch))
                    files = [str(path.relative_to(scratch)) for path in names.below(scratch)]
                except (MlflowException, OSError) as error:
                    files = [f"perhaps: it cannot be read ({type(error).__name__})"]
                finally:
                    shutil.rmtree(scratch)
                if files:
                    mend = f"`mlflow runs delete --run-id {number}`, then `mlflow gc`"
                    yield Place(f"run {number} of {experiment.name}", ", ".join(files), mend)
            token = page.token
            if not token:
                break
