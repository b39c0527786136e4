"""What a known customer leans to, for the order of what they search for: odds of a click, beside those of a stranger.

A judged query names no customer, so trees that order products learn nothing of one. The model of clicks does: it reads
what this customer did before, with the product and with its like. What it says of anybody is taken off, so that
popularity counts once, and a customer of whom nothing is known gets the order that all get.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import logit

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.fusion.fused import Fused
from triad.fusion.searching import Leaning
from triad.kinds import KINDS

LEAST = 1e-6
"""No event is taken to be surer than that."""
Shown = Callable[[Ints], Dataset]
"""(n,) catalogue rows → data whose exposures they are, shown to somebody now."""


def leaning_of(fused: Fused, customer: Shown, stranger: Shown) -> Leaning | None:
    """By the first task of an event that needs no other; None where there is none."""
    tasks = [name for name in fused.tasks if KINDS[fused.kinds[name]].is_event and not fused.parents(name)]
    if not tasks:
        return None
    task = tasks[0]

    def log_odds(data: Dataset) -> Floats:
        chance = fused.predict(data, np.arange(len(data.exposures.item)), [task])[task]
        return np.asarray(logit(np.clip(chance, LEAST, 1 - LEAST)))

    return lambda items: log_odds(customer(items)) - log_odds(stranger(items))
