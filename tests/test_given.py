"""Lists that hold given candidates, and what members of several markets are made of."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from test_studies_markets import crowd, folder, form  # noqa: F401  # a fixture

from triad.config.fuse import FuseParams
from triad.config.similarity import SimilarityParams
from triad.datasets.markets import read
from triad.datasets.markets import weights as market_factors
from triad.datasets.markets.joined import together
from triad.datasets.markets.weights import market_weights
from triad.errors import TriadError
from triad.fusion.lists import Lists
from triad.fusion.reranking import Lesson
from triad.kinds import KINDS
from triad.members.given import Given
from triad.members.linear import Linear
from triad.members.pairs import keep_largest
from triad.members.popularity import Popularity


@pytest.fixture
def markets(folder):  # noqa: F811
    return read(form(markets=crowd(folder)), folder)


def listed(data, width: int = 10):
    """Queries, and for each its target among others."""
    rows = np.concatenate([data.rows(split, "lists") for split in ("validation", "fusion")])
    random, size = np.random.default_rng(1), len(data.items.item_id)
    target = data.lists.target[data.lists.offsets[rows]]
    others = [random.choice(np.delete(np.arange(size), t), width - 1, replace=False) for t in target.tolist()]
    return rows, np.c_[target, np.array(others)]


def test_others_have_no_chance_and_the_given_keep_their_odds(markets) -> None:
    data = markets["target"]
    rows, item = listed(data)
    user, history = data.lists.user[rows], data.lists.history[rows]
    plain = Popularity.fit(data, {}, half_life_days=1e9)
    asked = Given.of(plain, user, history, item)
    scores, back = asked.rank(data, user, history), asked.rank(data, user[::-1], history[::-1])
    whole, row = plain.rank(data, user, history), np.arange(len(rows))[:, None]
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert ((scores > 0).sum(axis=1) == item.shape[1]).all()
    np.testing.assert_allclose(
        scores[row, item] / scores[row, item[:, :1]], whole[row, item] / whole[row, item[:, :1]], rtol=1e-5
    )
    np.testing.assert_array_equal(back, scores[::-1])
    with pytest.raises(TriadError, match="1 of 2 queries have no candidates"):
        asked.rank(data, user[[0, 0]], np.array([history[0], 99]))


def test_a_re_ranker_learns_of_the_given_alone(markets) -> None:
    data = markets["target"]
    rows, item = listed(data)
    weights, _ = market_weights(markets, together(markets, "target"), "target")
    asked = data.lists.user[rows], data.lists.history[rows], item
    params = SimilarityParams(recent=(1000,), half_life_days=(1e6,))
    linear = Linear.fit(data, keep_largest(weights["ease all"], 20), params)
    members = {"ease": linear, "popularity": Popularity.fit(data, {}, half_life_days=1e9)}
    given = {name: Given.of(member, *asked) for name, member in members.items()}
    lesson = Lesson.of([Lists(data, given, rows, KINDS["ranking"])], FuseParams(candidates=item.shape[1]))
    found = lesson.candidates.item.reshape(item.shape)
    np.testing.assert_array_equal(found, np.sort(item, axis=1))
    np.testing.assert_array_equal(found[lesson.taken.reshape(item.shape)], item[:, 0])
    every = np.ones(len(rows), bool)
    for loss, objective in (("xe_ndcg", "rank_xendcg"), ("lambdarank", "lambdarank")):
        assert f"[objective: {objective}]" in replace(lesson, loss=loss).fit(every, 2, 0.0).texts[0]
    dials = FuseParams(candidates=item.shape[1], loss="lambdarank")
    assert Lesson.of([Lists(data, given, rows, KINDS["ranking"])], dials).loss == "lambdarank"


def test_weights_know_each_market_and_what_is_held_out_of_none(markets) -> None:
    weights, shares = market_weights(markets, together(markets, "target"), "target")
    data, source = markets["target"], markets["source"]
    size = len(data.items.item_id)
    assert all(each.shape == (size, size) and not np.diag(each).any() for n, each in weights.items() if "ease" in n)
    ours = data.streams.item[data.streams.split == 0]
    expected = np.bincount(ours, minlength=size) + 1
    np.testing.assert_allclose(shares["popularity target"], expected / expected.sum(), rtol=1e-6)
    elsewhere = np.isin(np.asarray(data.items.item_id), np.asarray(source.items.item_id))
    assert elsewhere.any() and not elsewhere.all()
    assert not weights["cosine source"][~elsewhere].any() and weights["cosine target"][~elsewhere].any()
    assert (weights["ease target and all"] != weights["ease all"]).any()


def test_factors_join_items_of_a_kind_that_nobody_took_together(monkeypatch) -> None:
    monkeypatch.setattr(market_factors, "RANKS", (2,))
    taken = csr_array(np.array([[1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1]], float))
    weights = market_factors.factor_weights(taken)
    kind = np.kron(np.eye(2), np.ones((3, 3))) - np.eye(6)
    np.testing.assert_allclose(weights["factors 2 alike"], kind, atol=1e-6)
    # V of a kind is √count over the root of its sum, 4: D_i^-½ V Vᵀ D_i^½ gives an item its share of the kind's steps
    share = np.array([1, 2, 1, 1, 2, 1]) / 4
    np.testing.assert_allclose(weights["factors 2 projected"], kind * share, atol=1e-6)
