"""LightGBM's trees, asked without it: its own answers, to the last bit."""

import numpy as np
import pytest

from triad.boosting import lightgbm
from triad.errors import TriadError
from triad.forest import Forest, Stack, forest, paths, scores_by


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


def test_moves_along_a_path_sum_to_the_score_and_count_for_the_columns_that_were_asked() -> None:
    library, random = lightgbm("a", "b"), np.random.default_rng(0)
    columns = random.normal(size=(4000, 4)).astype(np.float32)
    target = columns[:, 0] + 2 * (columns[:, 2] > 0)
    settings = {"num_leaves": 7, "verbose": -1, "num_threads": 1, "boost_from_average": False}
    text = library.train(settings, library.Dataset(columns, target), num_boost_round=40).model_to_string()
    group, whole = np.array([0, 1, 2, 1]), forest(text)
    moves = scores_by(paths(text, group, 3), columns, (40,))[0]
    start = scores_by(whole, columns, (40,))[0] - moves.sum(axis=1)  # what all rows start from
    assert np.ptp(start) < 1e-4 and start[0] == pytest.approx(target.mean(), abs=0.05)
    effect = [columns[:, 0], 0 * target, 2 * (columns[:, 2] > 0) - 1]
    for each in range(3):
        assert np.abs(moves[:, each] - effect[each]).mean() < 0.1
    for few in (columns[:9], columns[:2000]):
        assert Forest(paths(text, group, 3)).scores(few) == pytest.approx(moves[: len(few)])
    constant = library.train({"verbose": -1}, library.Dataset(columns, np.ones(4000)), num_boost_round=1)
    assert not Forest(paths(constant.model_to_string(), group, 3)).scores(columns).any()


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
