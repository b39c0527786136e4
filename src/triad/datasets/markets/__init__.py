"""The form "ratings of several markets"."""

from triad.datasets.markets.examples import read
from triad.datasets.markets.form import MarketsForm

__all__ = ["MarketsForm", "read"]
