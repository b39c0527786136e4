"""Runs a registered version of other code by the code in its own package, in a separate process.

So the gate compares with the champion as it serves, and a change of a saved format never stops a night. The two sides
speak in ids and numbers (`evaluation/champion_protocol.py`), in files of a temporary folder:

    python -m triad.tracking.packaged answers|recommend FOLDER TABLES EXCHANGE VERSION

A version's package holds this module; what it reads and writes must therefore stay as it is, or only grow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import triad
from triad.digests import code_digest
from triad.errors import TriadError
from triad.evaluation.champion_protocol import Answers, Question
from triad.texts import Texts
from triad.tracking.packing import importable

if TYPE_CHECKING:
    from triad.config.recommend import RecommendParams

PASSED = (
    *("PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE", "PYTHONDONTWRITEBYTECODE"),
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    *(
        "MALLOC_MMAP_MAX_",
        "MALLOC_TRIM_THRESHOLD_",
        "MALLOC_TOP_PAD_",
        "GX_ANALYTICS_ENABLED",
        "MLFLOW_DISABLE_TELEMETRY",
    ),
    *("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    *("TF_FORCE_GPU_ALLOW_GROWTH", "XLA_FLAGS", "KERAS_BACKEND", "CUDA_VISIBLE_DEVICES"),
)
"""All that a version's own code learns of this process's environment: how to run, and no store, key or password."""

_CLASSES, _RANKS, _TASK = "classes", "ranks", "task_"
_ROWS = "rows_"
_TEXTS = ("item_id", "user_id")  # of a question; its numbers lie in question.npz


@dataclass(frozen=True)
class Packaged:
    """A version that is asked through its package; `ServingModel` without its inside."""

    model: str
    version: str
    folder: Path

    def answers(self, tables: Path, question: Question) -> Answers:
        """As `ServingModel.answers`."""
        with tempfile.TemporaryDirectory(prefix="triad_") as exchange:
            _write(question, Path(exchange))
            self._run("answers", tables, exchange)
            with np.load(Path(exchange) / "answers.npz", allow_pickle=False) as arrays:
                classes = json.loads(str(arrays[_CLASSES]))
                tasks = {name.removeprefix(_TASK): arrays[name] for name in arrays.files if name.startswith(_TASK)}
                ranks = arrays[_RANKS] if _RANKS in arrays.files else None
        return Answers(tasks, {task: tuple(names) for task, names in classes.items()}, ranks)

    def recommend(self, tables: Path, settings: RecommendParams, as_of: int | None = None) -> pa.Table:
        """As `ServingModel.recommend`."""
        with tempfile.TemporaryDirectory(prefix="triad_") as exchange:
            request = {"settings": settings.model_dump(mode="json"), "as_of": as_of}
            (Path(exchange) / "asked.json").write_text(json.dumps(request))
            self._run("recommend", tables, exchange)
            return pq.read_table(Path(exchange) / "lists.parquet")

    def _run(self, what: str, tables: Path, exchange: str) -> None:
        paths = [importable(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        said = [what, *map(str, (self.folder.resolve(), tables.resolve(), exchange)), self.version]
        command = [sys.executable, "-P", "-m", __name__, *said]
        environment = {name: os.environ[name] for name in PASSED if name in os.environ}
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "HOME": exchange}
        done = subprocess.run(command, env=environment, cwd=exchange, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            error = Path(exchange) / "error.txt"
            raise TriadError(
                error.read_text() if error.is_file() else f"its process ended with exit status {done.returncode}",
                where=f"model {self.model}, version {self.version}, asked by the code in its package",
                mend="check out the commit `triad why` names, `triad rollback --to` another version, "
                "or start anew under another publish.model",
            )


def is_of_this_code(folder: Path) -> bool:
    """Whether the model in `folder` was written by just the code that runs."""
    described = (
        yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8")) if (folder / "MLmodel").is_file() else {}
    )
    return (described.get("metadata") or {}).get("code_digest") == code_digest()


def main(what: str, folder: str, tables: str, exchange: str, version: str) -> None:
    """The other side, which runs the package's code."""
    place = Path(exchange)
    try:
        if not Path(triad.__file__).is_relative_to(Path(folder) / "code"):
            raise TriadError("runs other code than its own", where=triad.__file__, mend="register the model again")
        _answer(what, Path(folder), Path(tables), place, version)
    except Exception as error:
        (place / "error.txt").write_text(f"{type(error).__name__}: {error}")
        raise


def _write(question: Question, exchange: Path) -> None:
    parts = {part.name: getattr(question, part.name) for part in fields(question)}
    for name in _TEXTS:
        parts.pop(name).save(exchange / f"{name}.arrow")
    for unit, ids in parts.pop("rows").items():
        ids.save(exchange / f"{_ROWS}{unit}.arrow")
    np.savez(exchange / "question.npz", **parts)


def _read(exchange: Path) -> Question:
    with np.load(exchange / "question.npz", allow_pickle=False) as held:
        parts: dict[str, Any] = {name: Texts.load(exchange / f"{name}.arrow") for name in _TEXTS}
        files = sorted(exchange.glob(f"{_ROWS}*.arrow"))
        parts["rows"] = {file.stem.removeprefix(_ROWS): Texts.load(file) for file in files}
        return Question(**parts, **held)


def _answer(what: str, folder: Path, tables: Path, exchange: Path, version: str) -> None:
    from triad.config.recommend import RecommendParams
    from triad.tracking.serving import ServingModel

    served = ServingModel.registered(folder / "artifacts", version)
    if what == "answers":
        scores = served.answers(tables, _read(exchange))
        arrays: dict[str, Any] = {_CLASSES: json.dumps(scores.classes)}
        arrays |= {_TASK + task: values for task, values in scores.tasks.items()}
        arrays |= {} if scores.ranks is None else {_RANKS: scores.ranks}
        np.savez(exchange / "answers.npz", **arrays)
        return
    request = json.loads((exchange / "asked.json").read_text())
    known = {name: value for name, value in request["settings"].items() if name in RecommendParams.model_fields}
    pq.write_table(served.recommend(tables, RecommendParams(**known), request["as_of"]), exchange / "lists.parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
