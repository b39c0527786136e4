"""The serving model as MLflow loads it: a script that MLflow runs, so no pickle ties it to this code's layout.

The package travels in the model's `code/`; the fitted parts in its `artifacts/`. Not to be imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow.pyfunc import PythonModel, PythonModelContext


class Registered(PythonModel):
    """Raw tables in, scores or lists out, as a pandas table.

    `model_input` is a mapping of table name → DataFrame (in Python), or a DataFrame of one row whose column `tables`
    names a folder of the contract's Parquet, local or any fsspec URL (over REST too).
    """

    def load_context(self, context: PythonModelContext) -> None:
        from triad.tracking.serving import FUSE, STATE, ServingModel

        self._model = ServingModel.load(Path(context.artifacts[STATE]), Path(context.artifacts[FUSE]))

    # a type on model_input would make MLflow look for a schema in it
    def predict(self, context: PythonModelContext, model_input, params: dict[str, Any] | None = None) -> Any:  # type: ignore[no-untyped-def]
        """Scores of every exposure (`mode` score) or each user's `k` best items (`mode` recommend)."""
        from triad.config.recommend import RecommendParams
        from triad.errors import TriadError

        asked = {"mode": "score", "k": 0, **(params or {})}
        tables = _tables(model_input)
        if asked["mode"] == "score":
            return self._model.predict(tables).to_pandas()
        if asked["mode"] == "recommend":
            settings = RecommendParams()
            order_by = settings.order_by if settings.order_by in self._model.fused.tasks else None
            settings = RecommendParams(k=int(asked["k"]) or settings.k, order_by=order_by)
            return self._model.recommend(tables, settings).to_pandas()
        raise TriadError(f"unknown mode {asked['mode']!r}", where="params.mode", mend="ask for score or recommend")


def _tables(given: Any) -> Any:
    from triad.errors import TriadError

    if isinstance(given, Mapping):
        return given
    if "tables" in getattr(given, "columns", ()) and len(given) == 1:
        return str(given["tables"].iloc[0])
    raise TriadError(
        f"found {type(given).__name__} with {len(given) if hasattr(given, '__len__') else 'no'} rows",
        where="model input",
        mend="give a mapping of tables, or one row whose column `tables` names their folder",
    )


mlflow.models.set_model(Registered())
