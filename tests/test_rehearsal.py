"""The re-ranker that serves: which members it learns of, what these knew, and that one seed gives one re-ranker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fusion_data import TASKS, make_vectors
from make_dataset import make_dataset
from test_refit import all_days

from triad.config.fuse import FuseParams
from triad.config.similarity import SimilarityParams
from triad.fusion.fitting import fit_fusion
from triad.fusion.rehearsal import asked, before, relearned
from triad.members.item_similarity import Similarity
from triad.members.popularity import Popularity

PARAMS = FuseParams(bootstrap=50, candidates=20, trees=(100,))


@pytest.fixture(scope="module")
def planted():
    """The lists' targets are what the user took longest ago, so that trees serve."""
    data = make_dataset(150, 48, 0)
    lists, streams = data.lists, data.streams
    first = streams.item[streams.offsets[lists.user]]
    return data.replaced(lists=replace(lists, target=first, offsets=np.arange(len(first) + 1)))


@pytest.fixture(scope="module")
def fused(planted):
    members = {
        "similarity": Similarity.fit(planted, make_vectors(planted), TASKS, SimilarityParams()),
        "popularity": Popularity.fit(planted, TASKS),
    }
    return fit_fusion(planted, members, {"next": TASKS["next"]}, PARAMS)


def test_members_know_the_days_before_a_window_and_are_asked_about_it(planted) -> None:
    first, last = planted.meta.windows["fusion"]
    known = before(all_days(planted), first, last)
    time, split = np.asarray(known.streams.time), np.asarray(known.streams.split)
    for place, inside in enumerate((time < first, (time >= first) & (time < last), time >= last)):
        assert inside.any() and set(split[inside]) == {place}
    assert known.meta.windows["train"][1] == first
    assert (np.asarray(known.lists.split) > 0).all()
    rows = known.rows("validation", "lists")
    assert len(rows) and ((known.lists.time[rows] >= first) & (known.lists.time[rows] < last)).all()
    happened = np.unique(time[(time >= first) & (time < last) & (known.streams.kind == known.meta.target_kind)])
    assert set(known.lists.time[rows]) <= set(happened)
    exposed = np.asarray(known.exposures.time)
    assert set(known.exposures.split[exposed >= first]) == {-1} and 0 in known.exposures.split[exposed < first]
    assert Popularity.fit(known, {}).share == pytest.approx(Popularity.fit(only(known, time < first), {}).share)


def only(data, kept):
    """`data` without the interactions that are not `kept`."""
    streams = data.streams
    owner = np.repeat(np.arange(len(streams.offsets) - 1), np.diff(streams.offsets))[kept]
    parts = {name: np.asarray(getattr(streams, name))[kept] for name in ("item", "kind", "time", "split")}
    offsets = np.searchsorted(owner, np.arange(len(streams.offsets)))
    return data.replaced(streams=replace(streams, offsets=offsets, **parts))


def test_trees_learn_of_each_window_by_its_own_members_and_are_as_many_as_before(planted, fused) -> None:
    assert fused.reranker is not None and fused.record["next"]["reranked"]["serves"]
    known = before(all_days(planted), *planted.meta.windows["fusion"])
    fresh = replace(fused, members={**fused.members, "popularity": Popularity.fit(known, TASKS)})
    stale = [asked(fused, planted, 4000, 1), asked(fused, known, 4000, 1)]
    mixed = [stale[0], asked(fresh, known, 4000, 1)]
    learned = [relearned(fused, windows, PARAMS).reranker for windows in (stale, mixed, mixed)]
    assert all(each is not None and each.texts[0].count("\nTree=") == 100 for each in learned)
    texts = [each.texts for each in learned if each is not None]
    assert texts[0] != fused.reranker.texts and texts[0] != texts[1] and texts[1] == texts[2]
    assert len(asked(fused, known, 7, 1).rows) == 7
    nothing = replace(stale[0], rows=stale[0].rows[:0])
    assert relearned(fused, [nothing], PARAMS) is fused
