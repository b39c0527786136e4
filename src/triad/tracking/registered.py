"""The serving model as MLflow loads it: a script that MLflow runs, so no pickle depends on the code's layout.

The package travels in the model's `code/`; the fitted parts in its `artifacts/`. Not to be imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel, PythonModelContext

if TYPE_CHECKING:
    from triad.errors import TriadError


class RefusedError(MlflowException):
    """A rejected request, as the client sees it: what is wrong, where, and how to fix it."""

    def __init__(self, error: TriadError) -> None:
        super().__init__(str(error), INVALID_PARAMETER_VALUE)
        self._cause = {name: getattr(error, name) for name in ("what", "where", "mend")}

    def serialize_as_json(self) -> str:
        """The body of the answer. MLflow writes the whole request into `message`; here it holds the cause alone."""
        cause = self._cause
        message = f"{cause['where']}: {cause['what']}; to fix it: {cause['mend']}"
        return json.dumps({"error_code": self.error_code, "message": message, **cause})


class Registered(PythonModel):
    """Raw tables in, scores or lists out, as a pandas table without NaN.

    `model_input` is a mapping of table name → rows (DataFrame, Arrow, or a list of an object a row), or a DataFrame of
    one row whose column `tables` holds such a mapping, or names a folder of the contract's Parquet or its URL below a
    root that the operator allows (TRIAD_SERVE_ROOTS). The rule is the same in Python and over REST.
    """

    def load_context(self, context: PythonModelContext) -> None:
        from triad.tracking.serving import STATE, ServingModel

        self._model = ServingModel.registered(Path(context.artifacts[STATE]).parent)

    # a type on model_input would make MLflow look for a schema in it
    def predict(self, context: PythonModelContext, model_input, params: dict[str, Any] | None = None) -> Any:  # type: ignore[no-untyped-def]
        """What `mode` asks for: score, recommend, search, answer, price … (`asked.answer`)."""
        from triad.errors import TriadError
        from triad.tracking.asked import answer

        try:
            return answer(self._model, model_input, {"mode": "score", "k": 0, "query": "", **(params or {})})
        except TriadError as error:
            raise RefusedError(error) from error


mlflow.models.set_model(Registered())
