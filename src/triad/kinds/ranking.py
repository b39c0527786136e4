"""Which item of the catalogue comes next? The scores are the items' probabilities: a choice among many classes."""

from __future__ import annotations

from triad.kinds.multiclass import Multiclass


class Ranking(Multiclass):
    """Labels are catalogue rows; a query may have several."""

    name = "ranking"


KIND = Ranking()
