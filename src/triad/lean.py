"""Keras without what its wrappers and galleries need: who imports it waits for neither scikit-learn nor Matplotlib.

Keras looks whether both are there and does without them. Triad asks for none of what they are for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType

_UNUSED = ("matplotlib", "sklearn")


class Lean(MetaPathFinder):
    """Answers Keras itself that a package is not there; whoever else asks, in any thread, is told the truth."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises:
        ModuleNotFoundError: Keras may do without `fullname`.
        """
        if fullname in _UNUSED and _asker().split(".")[0] == "keras":
            raise ModuleNotFoundError(f"Keras does without {fullname}", name=fullname)
        return None


def _asker() -> str:
    """The module whose import this thread is at."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("importlib"):
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def begin() -> None:
    """From now on Keras is imported so."""
    if not any(isinstance(finder, Lean) for finder in sys.meta_path):
        sys.meta_path.insert(0, Lean())
