"""The fusion asked like a member: the formula itself, who is asked, what is written, and the stages end to end."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from fusion_data import TASKS, make_vectors, other_night
from make_dataset import make_dataset

from triad.artifacts import ARTIFACTS, read_json
from triad.config.fuse import FuseParams
from triad.config.params import Params, parse
from triad.config.similarity import SimilarityParams
from triad.errors import TriadError
from triad.examples.dataset import save
from triad.fusion.candidates import lists_of
from triad.fusion.fitting import fit_fusion
from triad.fusion.fused import Fused
from triad.kinds import KINDS
from triad.members.item_similarity import Similarity
from triad.members.popularity import Popularity
from triad.stages.fuse import fuse
from triad.stages.profile import profile
from triad.stages.similarity import similarity

ROOT = Path(__file__).parents[1]


@dataclass
class Says:
    """A member that gives constants."""

    scores: dict
    ranks: bool = False
    asked: list = field(default_factory=list)

    @property
    def tasks(self):
        return tuple(self.scores)

    def predict(self, data, rows, tasks=None):
        found = {task: np.full(len(rows), v) for task, v in self.scores.items() if tasks is None or task in tasks}
        self.asked.append(sorted(found))
        return found

    def rank(self, data, users, history):
        return np.full((len(users), len(data.items.item_id)), 1 / len(data.items.item_id))

    def save(self, folder):
        raise NotImplementedError

    load = None


@pytest.fixture(scope="module")
def data():
    return make_dataset(150, 48, 0)


@pytest.fixture(scope="module")
def fused(data):
    members = {
        "similarity": Similarity.fit(data, make_vectors(data), TASKS, SimilarityParams()),
        "popularity": Popularity.fit(data, TASKS, half_life_days=14),
    }
    return fit_fusion(data, members, TASKS, FuseParams(bootstrap=50))


def by_hand(weights) -> tuple[Fused, dict[str, Says]]:
    members = {"a": Says({"click": 0.2, "conversion": 0.3}), "b": Says({"click": 0.4}), "idle": Says({"click": 0.9})}
    plain = {task: dict.fromkeys(names) for task, names in weights.items()}
    kinds = {"click": "binary", "conversion": "binary"}
    return Fused(members, kinds, {"conversion": "click"}, plain, weights), members


def test_it_is_the_weighted_sum_and_asks_only_who_counts(data) -> None:
    weights = {"click": {"a": 0.25, "b": 0.75, "idle": 0.0}, "conversion": {"a": 1.0}}
    fused, members = by_hand(weights)
    found = fused.predict(data, np.arange(4))
    assert found["click"] == pytest.approx([0.35] * 4)
    assert found["conversion"] == pytest.approx([0.3] * 4)
    assert members["idle"].asked == []
    assert (members["a"].asked, members["b"].asked) == ([["click", "conversion"]], [["click"]])
    assert fused.predict(data, np.arange(4), ["click"]).keys() == {"click"}
    assert members["a"].asked[1:] == [["click"]]
    assert set(fused.predict_members(data, np.arange(4))) == {"a", "b", "idle"}
    assert fused.tasks == ("click", "conversion")
    assert not fused.ranks
    with pytest.raises(TriadError, match="no ranking task"):
        fused.ranker(data)


def test_what_needs_a_click_is_no_likelier_than_the_click(data) -> None:
    fused, _ = by_hand({"click": {"a": 1.0, "b": 0.0, "idle": 0.0}, "conversion": {"a": 1.0}})
    found = fused.predict(data, np.arange(3))
    assert found["conversion"].tolist() == found["click"].tolist() == [0.2] * 3
    assert fused.predict(data, np.arange(3), ["conversion"])["conversion"].tolist() == [0.2] * 3


def test_who_could_only_raise_a_click_is_not_asked_where_the_click_is_likely_enough(data) -> None:
    fused, members = by_hand({"click": {"a": 0.5, "b": 0.5, "idle": 0.0}, "conversion": {"a": 1.0}})
    chance = np.linspace(0, 0.4, 9)
    members["a"].predict = lambda data, rows, tasks=None: {"click": np.full(len(rows), 0.2), "conversion": chance[rows]}
    asked = []
    members["b"].predict = lambda data, rows, tasks=None: asked.append(rows) or {"click": np.full(len(rows), 0.4)}
    found = fused.predict(data, np.arange(9), ["conversion"])["conversion"]
    assert found == pytest.approx(np.minimum(chance, 0.3))
    assert asked[0].tolist() == [2, 3, 4, 5, 6, 7, 8]  # half of what `a` says is 0.1
    assert (found == fused.combine(fused.predict_members(data, np.arange(9)), data, np.arange(9))["conversion"]).all()


def test_fitted_scores_are_the_calibrated_mixture(data, fused) -> None:
    rows = data.rows("test")
    alone = fused.predict_members(data, rows)
    found = fused.predict(data, rows)
    assert set(found) == {"click", "conversion", "profile", "price"}
    for task in ("click", "price"):
        expected = sum(w * alone[name][task] for name, w in fused.weights[task].items() if w)
        assert found[task] == pytest.approx(expected)
    assert found["profile"].sum(axis=1) == pytest.approx(1)
    assert (found["conversion"] <= found["click"]).all()
    for task, record in fused.record.items():
        assert sum(fused.weights[task].values()) == pytest.approx(1)
        assert record["served"] <= min(member["alone"] for member in record["members"].values()) + 1e-9
    for task in found:
        only = fused.predict(data, rows, [task])
        assert list(only) == [task] and (only[task] == found[task]).all()
    # whoever has the members' scores gets the fusion's from them
    again = fused.combine(alone, data, rows)
    assert all((again[task] == found[task]).all() for task in found)
    ranker, queries = fused.ranker(data), lists_of(data, np.arange(6))
    ranked, parts = ranker.rank(queries), ranker.open(queries)(slice(None))
    assert ranked.sum(axis=1) == pytest.approx(1)
    assert set(parts) == {"similarity", "popularity"}
    assert ranked == pytest.approx(ranker.mix(queries, parts))
    calibrations, weights = fused.calibrations["next"], fused.weights["next"]
    base = sum(
        w * KINDS["ranking"].calibrate(calibrations[name], parts[name].table()) for name, w in weights.items() if w
    )
    assert replace(ranker, reranker=None).rank(queries) == pytest.approx(base)


def test_what_is_written_scores_the_same_and_opens_only_what_it_needs(data, fused, tmp_path) -> None:
    fused.save(tmp_path)
    again = Fused.load(tmp_path)
    assert again.record == fused.record
    rows = data.rows("test")
    for task, scores in fused.predict(data, rows).items():
        assert (again.predict(data, rows)[task] == scores).all()
    assert list(again.members) == ["similarity", "popularity"]
    assert len(again.members) == 2
    with pytest.raises(KeyError):
        again.members["finetune"]
    later = other_night(data, order=np.random.default_rng(0).permutation(48))
    assert again.predict(later, rows)["click"] == pytest.approx(fused.predict(data, rows)["click"], abs=1e-6)

    one = replace(fused, weights={"click": {"similarity": 1.0, "popularity": 0.0}})
    one.save(tmp_path / "one")
    (tmp_path / "one" / "members" / "popularity" / "share.npy").unlink()
    Fused.load(tmp_path / "one").predict(data, rows[:5])  # popularity is never opened


def test_what_cannot_be_fused_is_refused(data) -> None:
    naive = {"popularity": Popularity.fit(data, TASKS, half_life_days=14)}
    with pytest.raises(TriadError, match="task price: no member scores it"):
        fit_fusion(data, {"a": Says({"click": 0.2})}, {"price": TASKS["price"]}, FuseParams())
    with pytest.raises(TriadError, match=r"task click, member a: .* no finite numbers"):
        fit_fusion(data, {"a": Says({"click": np.nan})}, {"click": TASKS["click"]}, FuseParams())
    none = np.zeros(0, int)
    silent = data.replaced(lists=replace(data.lists, user=none, history=none, time=none, split=none, target=none))
    with pytest.raises(TriadError, match="task next, split fusion"):
        fit_fusion(silent, naive, {"next": TASKS["next"]}, FuseParams())


def test_queries_are_sampled_where_there_are_many(data) -> None:
    naive = {"popularity": Popularity.fit(data, TASKS, half_life_days=14)}
    fused = fit_fusion(data, naive, {"next": TASKS["next"]}, FuseParams(max_queries=40, bootstrap=20))
    assert fused.record["next"]["rows"] == 40
    assert fused.tasks == ()


def params(**sections) -> Params:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["tasks"] = {name: task for name, task in values["tasks"].items() if name in TASKS}
    return parse(values | sections, "test")


@pytest.mark.proof
def test_the_stages_end_to_end(data, tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    save(data, ARTIFACTS / "features")
    settings = params(
        fuse={"members": ["similarity", "trees", "popularity"], "bootstrap": 50},
        profile={"max_iterations": 25, "min_rows_a_leaf": 20},
    )
    with pytest.raises(TriadError, match=r"pretrain/embeddings\.npy: no such file"):
        similarity(settings)
    (ARTIFACTS / "pretrain").mkdir()
    np.save(ARTIFACTS / "pretrain" / "embeddings.npy", make_vectors(data))
    with pytest.raises(TriadError, match=r"member 'similarity' was not fitted[\s\S]*run the stage similarity"):
        fuse(settings)
    similarity(settings)
    profile(settings)
    fuse(settings)
    written = read_json(ARTIFACTS / "fuse" / "fusion.json")
    assert written["members"] == ["similarity", "trees", "popularity"]
    assert set(written["weights"]) == set(TASKS)
    fused = Fused.load(ARTIFACTS / "fuse")
    rows = data.rows("test")
    first = fused.predict(data, rows)
    assert set(first) == set(data.meta.tasks["exposures"])
    assert "the fusion serves" in caplog.text or "the best alone serves" in caplog.text

    fuse(settings)  # again: the same numbers
    assert read_json(ARTIFACTS / "fuse" / "fusion.json") == written
    for task, scores in Fused.load(ARTIFACTS / "fuse").predict(data, rows).items():
        assert (scores == first[task]).all()

    # a failed run leaves the former outputs usable
    np.save(ARTIFACTS / "pretrain" / "embeddings.npy", make_vectors(data)[:-1])
    for stage in (similarity, profile):
        with pytest.raises(TriadError, match="finite item vectors"):
            stage(settings)
    fuse(settings)
