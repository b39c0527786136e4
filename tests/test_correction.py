"""Trees upon the fusion: they learn what no member says, serve where that is sure, and say what they add."""

from dataclasses import replace

import numpy as np
import pytest
from fusion_data import TASKS, make_chance, make_vectors
from make_dataset import make_dataset
from scipy.special import expit, logit

from triad.config.fuse import FuseParams
from triad.config.similarity import SimilarityParams
from triad.errors import TriadError
from triad.fusion.contributions import CONTEXT, MIXING, of_score
from triad.fusion.correction import Context, columns, table
from triad.fusion.fitting import fit_fusion
from triad.fusion.fused import Fused
from triad.members.item_similarity import Similarity
from triad.members.popularity import Popularity

PARAMS = FuseParams(bootstrap=50, corrections=(10, 25))
EVENTS = {"click": TASKS["click"], "conversion": TASKS["conversion"]}


def members(data):
    return {
        "similarity": Similarity.fit(data, make_vectors(data), EVENTS, SimilarityParams()),
        "popularity": Popularity.fit(data, EVENTS, half_life_days=14),
    }


@pytest.fixture(scope="module")
def data():
    """Half of the pages, which the context tells and no member reads, are clicked more often."""
    plain = make_dataset(150, 48, 0)
    random, exposures = np.random.default_rng(3), plain.exposures
    sign = random.integers(2, size=len(exposures.user)).astype(np.float32)
    context = np.array(exposures.context)
    context[:, 0] = sign
    labels = np.array(exposures.labels)
    click = list(plain.meta.tasks["exposures"]).index("click")
    labels[:, click] = np.where((sign > 0) & (random.random(len(sign)) < 0.4), 1, labels[:, click])
    return plain.replaced(exposures=replace(exposures, context=context, labels=labels))


@pytest.fixture(scope="module")
def fused(data):
    return fit_fusion(data, members(data), EVENTS, PARAMS)


def test_what_no_member_says_is_learned_serves_and_is_kept(data, fused, tmp_path) -> None:
    record = fused.record["click"]
    assert record["corrected"]["serves"] and record["corrected"]["gain"]["low"] > 0 and not record["fallback"]
    assert record["served"] < min(member["alone"] for member in record["members"].values())
    assert next(iter(record["corrected"]["shares"])) == data.meta.context[0]
    rows = data.rows("test")
    found, plain = (each.predict(data, rows) for each in (fused, replace(fused, corrections={})))
    label = np.asarray(data.labels("click")[rows])
    loss = [-np.log(np.where(label > 0, each["click"], 1 - each["click"])).mean() for each in (found, plain)]
    assert loss[0] < loss[1] - 0.01
    assert (found["conversion"] <= found["click"]).all()
    correction, context = fused.corrections["click"], Context.of(data, rows)
    said = {name: each["click"] for name, each in fused.predict_members(data, rows).items()}
    values = table(plain["click"], {name: said[name] for name in correction.members}, context)
    assert values.shape[1] == len(columns(correction.members, correction.context))
    by_library = correction.contributions(values)
    assert np.sum(list(by_library.values()), axis=0) == pytest.approx(correction.added(values), abs=1e-9)
    assert found["click"] == pytest.approx(expit(logit(plain["click"]) + correction.added(values)))
    fused.save(tmp_path)
    assert (Fused.load(tmp_path).predict(data, rows)["click"] == found["click"]).all()


def test_parts_of_a_corrected_score_sum_to_its_log_odds(data, fused) -> None:
    rows, both = data.rows("test")[:20], {"similarity": 0.7, "popularity": 0.3}
    for each in (fused, replace(fused, weights=fused.weights | {"click": both})):
        scored = of_score(each, data, rows, "click")
        assert scored.log_odds and scored.values == pytest.approx(each.predict(data, rows, ["click"])["click"])
        sums = [sum(part.value for part in parts) for parts in scored.parts]
        assert sums == pytest.approx(logit(scored.values))
        names = {part.name for parts in scored.parts for part in parts}
        assert CONTEXT in names
    assert {MIXING, *both} <= names


def test_where_nothing_is_to_be_learned_none_serves() -> None:
    data = make_chance()
    tasks = {"click": EVENTS["click"]}
    fused = fit_fusion(data, {"popularity": Popularity.fit(data, tasks, half_life_days=14)}, tasks, PARAMS)
    assert fused.corrections == {}
    assert not any(record["corrected"]["serves"] for record in fused.record.values())
    off = fit_fusion(data, fused.members, tasks, FuseParams(bootstrap=50, combine="convex"))
    assert not any("corrected" in record for record in off.record.values())


def test_another_context_is_refused(data, fused) -> None:
    names = ("new", *data.meta.context[1:])
    other = replace(data, meta=replace(data.meta, context=names))
    with pytest.raises(TriadError, match=rf"context differs from what was learned: .*{data.meta.context[0]}"):
        fused.predict(other, data.rows("test"), ["click"])
