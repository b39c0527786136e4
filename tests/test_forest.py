"""LightGBM's trees, asked without it: its own answers, to the last bit."""

import numpy as np
import pytest

from triad.boosting import lightgbm
from triad.errors import TriadError
from triad.forest import Stack, forest, scores_by


@pytest.mark.parametrize("leaves", [2, 7, 16])
def test_answers_are_the_librarys_to_the_last_bit(leaves: int) -> None:
    library, random = lightgbm("a", "b"), np.random.default_rng(0)
    columns = random.normal(size=(4000, 5)).astype(np.float32)
    columns[:, 0] = np.round(columns[:, 0])  # many equal a limit
    columns[random.random(4000) < 0.2, 1] = np.nan
    target = columns[:, 0] * columns[:, 2] + np.isnan(columns[:, 1]) + random.normal(size=4000)
    settings = {"num_leaves": leaves, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    model = library.train(settings, library.Dataset(columns, target), num_boost_round=30)
    asked = np.concatenate([columns, columns])
    asked[4000:][random.random((4000, 5)) < 0.3] = np.nan  # also where none was missing in training
    found = scores_by(forest(model.model_to_string()), asked, (0, 10, 30))
    for count, scores in zip((10, 30), found[1:], strict=True):
        np.testing.assert_array_equal(scores, model.predict(asked, num_iteration=count))
    assert not found[0].any()
    for few in (asked[3990:4100], asked[:1]):
        np.testing.assert_array_equal(Stack.of(forest(model.model_to_string())).scores(few), model.predict(few))


def test_trees_that_it_cannot_follow_are_refused() -> None:
    library = lightgbm("a", "b")
    columns = np.random.default_rng(0).normal(size=(500, 1))
    model = library.train({"verbose": -1, "num_leaves": 31}, library.Dataset(columns, columns[:, 0]), num_boost_round=1)
    with pytest.raises(TriadError, match="16 leaves at most"):
        forest(model.model_to_string())
    constant = library.train({"verbose": -1}, library.Dataset(columns, np.ones(500)), num_boost_round=1)
    asked = columns.astype(np.float32)
    trees, told = forest(constant.model_to_string()), pytest.approx(constant.predict(asked))
    assert scores_by(trees, asked, (1,))[0] == told and Stack.of(trees).scores(asked) == told
