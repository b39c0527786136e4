"""Keras without what its wrappers and galleries need: who imports it waits for neither scikit-learn nor Matplotlib.

Keras looks whether both are there and does without them. Triad asks for none of what they are for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_UNUSED = ("matplotlib", "sklearn")


class Lean(MetaPathFinder):
    """Answers that a package is not there, as long as Keras is being imported and for nobody else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises:
        ModuleNotFoundError: Keras may do without `fullname`.
        """
        if fullname in _UNUSED and getattr(getattr(sys.modules.get("keras"), "__spec__", None), "_initializing", False):
            raise ModuleNotFoundError(f"Keras does without {fullname}", name=fullname)
        return None


def begin() -> None:
    """From now on Keras is imported so."""
    if not any(isinstance(finder, Lean) for finder in sys.meta_path):
        sys.meta_path.insert(0, Lean())
