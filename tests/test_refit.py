"""The model that serves: what it learns from, what it keeps of what was chosen, and what keeps it from serving."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from make_dataset import make_dataset
from make_kill import killed_at
from make_night import make_params
from make_tables import END, START, make_tables
from scipy.special import logsumexp
from test_members import BENCH, DATA, LACKING, untrained
from test_training import PARAMS, RUNTIME, differing, params_with

from triad.config.evaluate import EvaluateParams
from triad.config.members import RECIPES
from triad.config.refit import HealthLimits
from triad.errors import TriadError
from triad.evaluation.gate import Comparison, judge
from triad.evaluation.refit_health import Side, _agreement, doubts, figures
from triad.examples.dataset import Dataset
from triad.features.build import fit
from triad.features.champion import Champion, origins
from triad.features.dataset import SPLITS
from triad.features.splits import last_train_day, whole
from triad.fusion.fitting import fit_fusion
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.protocol import Retriever, RowScorer
from triad.members.registry import make_member
from triad.members.trees_boosted import count
from triad.models.networks import SequenceNetwork
from triad.models.trunk import trunk_config
from triad.stages.refit import _refitted
from triad.tables import connect
from triad.texts import Texts
from triad.training.again import Again, Evaluated, in_turn, reach
from triad.training.feeds import UnitFeed
from triad.training.finetuning import finetune_network
from triad.training.pretraining import make_loss, pretrain_network
from triad.training.pretraining_feeds import TargetFeed, days
from triad.training.refit import Refit

DAY = 86_400_000_000


def all_days(data: Dataset) -> Dataset:
    """`data` as `build.fit` makes it where nothing is held out."""
    spans = data.meta.windows
    last = spans[SPLITS[-1]][1]
    ends = {split: (last if place else spans["train"][0], last) for place, split in enumerate(SPLITS)}
    streams = data.streams
    units = {name: replace(each, split=np.minimum(np.asarray(each.split), 0)) for name, each in data.units.items()}
    return data.replaced(
        **{name: units[name] for name in units if name != "lists"},
        streams=replace(streams, split=np.zeros(len(streams.item), np.int8)),
        meta=replace(data.meta, windows=ends),
    )


WHOLE = replace(BENCH, data=all_days(DATA))


def test_new_rows_are_all_learned_and_as_many_earlier_ones_as_are_asked_for() -> None:
    time = np.arange(100) * DAY
    for replay, earlier in ((0.0, 0), (0.5, 10), (1.0, 20), (9.0, 80)):
        rows = Refit(1, since=80 * DAY, replay=replay).rows(time)
        assert (rows >= 80).sum() == 20 and len(np.unique(rows)) == len(rows) == 20 + earlier
        assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(Refit(1).rows(time), np.arange(100))
    one, other = (Refit(1, since=80 * DAY, seed=seed).rows(time) for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_all_days_are_train_and_no_row_of_a_vocabulary_moves() -> None:
    assert set(whole(START, END).values()) == {(whole(START, END)["train"]), (whole(START, END)["test"])}
    params = make_params()
    with connect(make_tables()) as session:
        held, state = fit(session, params.features, params.tasks, (START, END))
        grown = Champion(0, state.meta, state.vocabularies)
        data, now = fit(session, params.features, params.tasks, (START, END), grown, hold_out=False)
    assert set(np.unique(data.exposures.split)) <= {-1, 0} and not len(data.lists.user)
    assert (data.exposures.split == 0).sum() >= (np.asarray(held.exposures.split) >= 0).sum()
    assert last_train_day(now.meta.windows) == str(np.datetime64(END) - 1)
    assert last_train_day(state.meta.windows) == str(np.datetime64(END) - 1 - 14)
    for name, vocabulary in now.vocabularies.items():
        assert vocabulary.ids[: len(state.vocabularies[name].ids)] == state.vocabularies[name].ids
    for name, rows in origins(state.vocabularies, now.vocabularies).items():
        known = state.vocabularies[name].rows
        np.testing.assert_array_equal(rows[:known], np.arange(known), err_msg=name)


def test_what_was_fitted_meets_the_columns_and_classes_it_knows_whatever_later_days_hold() -> None:
    params, tables = make_params(), make_tables()
    cut, events = END - timedelta(days=10), tables["events"].to_pandas()
    late = events["occurred_at"].dt.date >= cut
    seen = events["surface"].notna()
    events.loc[late & seen, "surface"] = ["app" if n % 4 else "category" for n in range((late & seen).sum())]
    events.loc[~late, "query"] = None
    events = events[late | (events["kind"] != "cart")]
    users = tables["users"].to_pandas()
    earlier = {"users": pa.Table.from_pandas(users[users["segment"] != "rare"], preserve_index=False)}
    schema, known = tables["events"].schema, set(earlier["users"]["user_id"].to_pylist())
    before = events[(events["occurred_at"].dt.date < cut) & events["user_id"].isin(known)]
    earlier["events"] = pa.Table.from_pandas(before, schema, preserve_index=False)
    later = tables | {"events": pa.Table.from_pandas(events, schema, preserve_index=False)}
    with connect(tables | earlier) as session:
        _, state = fit(session, params.features, params.tasks, (START, cut))
    grown = Champion(0, state.meta, state.vocabularies)
    with connect(later) as session:
        asked = session, params.features, params.tasks, (START, END), grown
        again, now = fit(*asked, hold_out=False, like=state)
        _, anew = fit(*asked, hold_out=False)
    assert now.meta.context == state.meta.context != anew.meta.context
    assert again.exposures.context.shape[1] == len(state.meta.context)
    assert "surface_app" in anew.meta.context and now.surfaces == state.surfaces
    assert now.meta.classes == state.meta.classes != anew.meta.classes


@pytest.mark.parametrize(
    "name",
    [name for name, recipe in RECIPES.items() if recipe.stage not in ("pretrain", "finetune") and name not in LACKING],
)
def test_a_member_is_fitted_on_all_days_with_what_it_chose(name: str) -> None:
    member = make_member(name, BENCH)
    again = member.refit(WHOLE, name)
    assert type(again) is type(member)
    if name == "search_text":
        assert again == member, "it reads the catalogue where it is searched, and learns of no day"
        return
    for chosen in ("blend", "power", "floor", "half_life_days", "recent", "logits", "strengths", "given"):
        assert getattr(again, chosen, None) == getattr(member, chosen, None), chosen
    for fitted, now in ((member, again), *(((member.reader, again.reader),) if hasattr(member, "reader") else ())):
        if isinstance(getattr(fitted, "trees", None), int | tuple):
            assert fitted.trees == now.trees
        elif hasattr(fitted, "trees"):
            rounds = [{t: [count(m) for m in models] for t, models in each.trees.items()} for each in (fitted, now)]
            assert rounds[0] == rounds[1]
    differs = False
    if isinstance(member, RowScorer) and member.tasks:
        for task in member.tasks:
            rows = DATA.rows("test", DATA.unit_of(task))
            before, after = (each.predict(DATA, rows, [task])[task] for each in (member, again))
            differs |= not np.array_equal(before, after)
    if isinstance(member, Retriever):
        states = DATA.lists.user[:30], DATA.lists.history[:30]
        differs |= not np.array_equal(member.rank(DATA, *states), again.rank(DATA, *states))
    if not isinstance(member, Retriever) and not member.tasks:
        pytest.skip("this shop has no rows that it reads")
    assert differs, "it learned nothing from the later days"


@pytest.mark.parametrize("name", ["pretrain", "finetune"])
def test_a_network_needs_what_trains_it(name: str) -> None:
    with pytest.raises(TriadError, match="run the stage refit"):
        untrained(name).refit(WHOLE, name)


def networks_of(**refit):
    """Evaluated networks, and what makes a bench on which they learn the later days."""
    data = make_dataset()
    small = {"max_epochs": 1, "body": "shared_bottom", "tasks": ("click",)}
    params = params_with(pretrain={"max_epochs": 1}, finetune=small, refit=refit)
    sequence, _ = pretrain_network(data, params.pretrain, RUNTIME)
    scorer, _ = finetune_network(
        data, params.tasks, params.finetune, RUNTIME, trunk=params.pretrain.trunk, pretrained=sequence.network
    )
    same = {name: np.arange(count) for name, count in data.meta.vocabulary_rows.items()}
    epochs = {"pretrain": {"": 2}, "finetune": {"": 2}}
    since, continues = data.meta.windows["train"][1], params.refit.networks == "continue"
    evaluated = Evaluated(lambda: sequence, since, same, continues, epochs, learned_from_source=True)

    def bench() -> Bench:
        return Bench(all_days(data), params, dict, networks=Again(all_days(data), params, RUNTIME, evaluated))

    return {"pretrain": sequence, "finetune": scorer}, bench


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "gbce"])
def test_what_was_not_yet_on_the_shelf_is_no_negative(loss: str) -> None:
    data = all_days(make_dataset())
    time, there = np.asarray(data.streams.time), np.array(data.items.available_from)
    there[:20] = np.median(time)
    there[20] = data.streams.time.max() + DAY  # taken all the same, before it was there
    data = data.replaced(items=replace(data.items, available_from=there))
    dials = params_with(pretrain={"loss": loss}).pretrain
    feed = TargetFeed(data, dials, refit=Refit(1, on_shelf=True))
    planned = feed.plan(0)[0]
    count, batch = feed.build(planned, 0, 0)
    network = SequenceNetwork(trunk_config(data, dials.trunk.model_copy(update={"dropout": 0.0, "id_dropout": 0.0})))
    none, first = np.zeros(len(there), bool), days(data, there)
    less, more = (float(make_loss(network, loss, none, each)(batch)[0]) for each in (first, None))
    assert np.isfinite(less) and less < more
    if loss == "softmax":
        asked = feed.asked.take(planned[1])
        later = there[None, :] > np.maximum(asked.time, there[asked.item])[:, None]
        assert later.any() and (there[asked.item] > asked.time).any()
        logits = np.asarray(network.logits(batch))[:count]
        own = logits[np.arange(count), asked.item]
        assert less == pytest.approx((logsumexp(np.where(later, -np.inf, logits), axis=1) - own).mean(), rel=1e-4)
    assert "moment" not in TargetFeed(data, dials, refit=Refit(1)).build(planned, 0, 0)[1]


def test_a_window_that_is_rehearsed_has_passes_of_its_own() -> None:
    params = params_with(refit={"epochs": {"pretrain": 2, "window": 5}})
    evaluated = Evaluated(lambda: untrained("pretrain"), 0, {}, continues=True)
    for asked, epochs in ((params, 2), (in_turn(params), 5)):
        rules = Again(WHOLE.data, asked, RUNTIME, evaluated)._rules("pretrain", ())[""]
        assert rules.epochs == epochs and rules.on_shelf


@pytest.mark.parametrize("networks", ["continue", pytest.param("anew", marks=pytest.mark.proof)])
def test_networks_go_on_or_start_anew_on_all_days(networks: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    members, new_bench = networks_of(networks=networks, rate=0.3)
    bench = new_bench()
    now = {name: members[name].refit(bench, name) for name in ("finetune", "pretrain")}
    assert bench.train().sequence(members["pretrain"]) is now["pretrain"], "trained once"
    assert all(differing(now[name], members[name]) for name in members)
    # what goes on stays near its twin, what starts anew has other weights altogether
    rows = bench.data.rows("train")
    clicks = [member.predict(bench.data, rows)["click"] for member in (now["finetune"], members["finetune"])]
    assert np.corrcoef(*clicks)[0, 1] > (0.9 if networks == "continue" else 0.0)
    if networks == "anew":  # the trunk is the pretrained one of all days, moved a little by fine-tuning
        near, far = (
            np.linalg.norm(each.network.trunk.get_weights()[0] - now["finetune"].network.trunk.get_weights()[0])
            for each in (now["pretrain"], members["pretrain"])
        )
        assert near < far


@pytest.mark.proof
def test_a_refit_that_was_killed_ends_like_an_undisturbed_one(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    members, new_bench = networks_of(networks="continue", epochs={"pretrain": 2, "finetune": 2}, rate=0.3)
    for name, feed in (("pretrain", TargetFeed), ("finetune", UnitFeed)):
        with killed_at(epoch=1, step=3):
            whole = members[name].refit(new_bench(), name)
        build, steps = feed.build, []

        def counting(self, planned, *at, build=build, steps=steps):
            steps.append(at)
            return build(self, planned, *at)

        monkeypatch.setattr(feed, "build", counting)
        again = members[name].refit(new_bench(), name)
        assert steps[0] == (1, 3), "resumed from its checkpoint"
        assert not differing(whole, again)


def test_going_on_learns_the_later_days_and_what_is_replayed() -> None:
    data, params = all_days(make_dataset()), PARAMS.pretrain
    since = make_dataset().meta.windows["train"][1]
    everything = TargetFeed(data, params, refit=Refit(1))
    fresh = TargetFeed(data, params, refit=Refit(1, since, replay=0))
    twice = TargetFeed(data, params, refit=Refit(1, since, replay=1))
    assert 0 < fresh.examples < everything.examples
    assert twice.examples == min(2 * fresh.examples, everything.examples)


def test_a_label_that_was_not_yet_known_is_as_new_as_what_happened_since() -> None:
    data, params = WHOLE.data, make_params()
    rows, time = data.rows("train"), np.asarray(data.exposures.time)
    since = data.meta.windows["train"][1] - 2 * DAY
    labels = np.asarray(data.labels("click"))
    for task, hours in reach(params).items():
        assert hours == params.features.attribution_hours * 3_600_000_000, task
    happened = Refit(1, since, replay=0).of_unit(data, "exposures")
    known = Refit(1, since, replay=0, reach=reach(params)).of_unit(data, "exposures")
    assert (time[happened] >= since).all() and set(happened) < set(known)
    young = np.setdiff1d(known, happened)
    assert len(young) and (time[young] >= since - DAY).all() and np.isfinite(labels[young]).any()
    assert set(known) == set(rows[(time[rows] >= since - DAY) & (time[rows] < since)]) | set(happened)
    price = {"kind": "regression", "label": "price_move", "horizon_days": 3}
    ahead = make_params(tasks={"price": price}, recommend={"order_by": None})
    assert reach(ahead) == {"price": 4 * DAY}


def test_members_that_a_light_night_keeps_are_not_fitted(fused) -> None:
    again = _refitted(fused, WHOLE, ("trees",))
    assert again.members["trees"] is fused.members["trees"]
    assert list(again.members) == fused.needed(fused.weights)
    assert all(again.members[name] is not fused.members[name] for name in again.members if name != "trees")


@pytest.fixture(scope="module")
def fused():
    tasks = BENCH.params.tasks
    members = {name: make_member(name, BENCH) for name in ("popularity", "trees", "similarity")}
    params = make_params().fuse.model_copy(update={"bootstrap": 20})
    return fit_fusion(DATA, members, tasks, params)


def test_a_refitted_model_that_answers_alike_is_healthy_and_another_is_not(fused) -> None:
    limits, tasks = HealthLimits(), BENCH.params.tasks
    known = Texts.of(sorted(DATA.items.item_id.tolist()))
    twin = Side(fused, DATA, known)
    same = figures(twin, twin, tasks, limits, seed=1)
    assert set(same) >= set(fused.tasks)
    for name, found in same.items():
        assert found["rank_correlation"] == pytest.approx(1, abs=1e-6), name
        assert found.get("drift", 0) == found.get("new_items", 0) == 0
    assert same[fused.ranking]["lists_kept"] == 1
    assert doubts(same, limits) == []

    class Gone:
        """What a training that diverged gives: the opposite order, and far too high."""

        def __init__(self, fused) -> None:
            self._fused = fused

        def __getattr__(self, name: str):
            return getattr(self._fused, name)

        def predict(self, data, rows, unit="exposures"):
            return {
                t: 1 - v if v.ndim == 1 else v[:, ::-1] for t, v in self._fused.predict(data, rows, unit=unit).items()
            }

        def ranker(self, data):
            return self

        def rank(self, queries):
            lists = 1 / (1e-9 + self._fused.ranker(DATA).rank(queries))
            return lists / lists.sum(axis=1, keepdims=True)

    few = Texts.of(sorted(DATA.items.item_id.tolist())[::2])
    wrong = figures(Side(fused, DATA, few), Side(Gone(fused), DATA, known), tasks, limits, seed=1)
    said = doubts(wrong, limits)
    for task in ("click", "conversion", "next"):
        assert any(line.startswith(f"{task}: ") and "rank correlation" in line for line in said), (task, said)
    assert any("click" in line and "calibration error" in line for line in said)
    assert any("click" in line and "drift" in line for line in said)
    assert 0 < wrong["next"]["new_items"] < 1
    loose = HealthLimits(min_rank_correlation=-1, max_drift=10, max_calibration_loss=2, max_new_items=1)
    assert doubts(wrong, loose) == []


def test_a_value_none_of_whose_sampled_rows_is_labelled_is_compared_all_the_same() -> None:
    scores = np.linspace(0, 1, 50)
    found = _agreement(KINDS["regression"], np.full(50, np.nan), scores, scores + 0.1)
    assert found["rank_correlation"] == pytest.approx(1) and found["drift"] == pytest.approx(0.1 / scores.std())


def test_a_refit_that_went_wrong_does_not_serve() -> None:
    better = [Comparison("click", "AUC", np.r_[0.01, 0.01 + 0.002 * np.random.default_rng(0).normal(size=300)])]
    assert judge(better, EvaluateParams(), champion=True).outcome == "PASS"
    verdict = judge(better, EvaluateParams(), champion=True, unfit=["click: rank correlation 0.1, below 0.5"])
    assert verdict.outcome == "INCONCLUSIVE" and verdict.doubts == ("click: rank correlation 0.1, below 0.5",)
