"""Formulas that several packages read, by hand."""

import math

import pytest

from triad.statistics.multiple import holm


def test_holm_multiplies_by_the_tests_that_are_left_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert len(holm([])) == 0


def test_holm_leaves_an_undefined_test_so_and_counts_it_for_none() -> None:
    corrected = holm([0.5, math.nan, 0.9])
    assert corrected[0] == 1.0 and math.isnan(corrected[1])
    assert holm([0.02, math.nan]).tolist()[0] == 0.02
