"""The form "tabular"."""

from triad.datasets.tabular.examples import read, tasks
from triad.datasets.tabular.form import TabularForm

__all__ = ["TabularForm", "read", "tasks"]
