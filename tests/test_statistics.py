"""Formulas that several packages read, by hand."""

import math

import numpy as np
import pytest

from triad.statistics.multiple import holm
from triad.statistics.shapley import coalitions, shares


def test_holm_multiplies_by_the_tests_that_are_left_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert len(holm([])) == 0


def test_holm_leaves_an_undefined_test_so_and_counts_it_for_none() -> None:
    corrected = holm([0.5, math.nan, 0.9])
    assert corrected[0] == 1.0 and math.isnan(corrected[1])
    assert holm([0.02, math.nan]).tolist()[0] == 0.02


def test_shares_of_players_are_shapleys_where_two_act_together_and_always_sum() -> None:
    """Of players 0 and 1, worth 1 and 2 alone and 3 more together; then of any worths."""
    there = coalitions(5)
    value = there[:, 0] + 2.0 * there[:, 1] + 3.0 * (there[:, 0] & there[:, 1])
    np.testing.assert_allclose(shares(value), [2.5, 3.5, 0, 0, 0], atol=1e-12)
    assert len({tuple(row) for row in there.tolist()}) == len(there) == 10
    for players in (1, 2, 8):
        values = np.random.default_rng(players).normal(size=(2 * players, 3))
        np.testing.assert_allclose(shares(values).sum(axis=0), values[-1] - values[0])
