"""Ratings of several markets, by hand; and networks carried from one to the next."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from test_training import PARAMS, RUNTIME

from triad.ablations.data import laid
from triad.ablations.members import Workshop
from triad.ablations.prepare import prepare
from triad.ablations.spec import Study
from triad.datasets.markets import MarketsForm, read
from triad.datasets.markets.joined import initial_rows, together
from triad.datasets.markets.lists import Candidates, run_of, sampled
from triad.datasets.streams import DAY
from triad.errors import TriadError
from triad.examples.dataset import load
from triad.members.registry import load_member
from triad.models.warm_start import InitialModel
from triad.training.pretraining import pretrain_network
from triad.training.pretraining_feeds import targets

HEAD = "userId\titemId\trating\n"
SOURCE = [("s1", "a", 5), ("s1", "b", 4), ("s1", "a", 5), ("s2", "b", 1), ("s2", "c", 5), ("s2", "a", 5)]
TARGET = [("t1", "d", 5), ("t1", "b", 5), ("t1", "c", 5), ("t2", "a", 5), ("t2", "d", 2)]
RUN = {"t1": ["a", "e"], "t2": ["b", "c"], "t3": ["a", "d"]}
QREL = [("t1", "e", 1), ("t3", "d", 1)]
FORM = {
    "form": "markets",
    "hash_buckets": 4,
    "markets": {
        "source": {"ratings": ["source/train.tsv", "source/more.tsv.gz"], "hold": 1.0},
        "target": {"ratings": ["target/train.tsv"], "run": "target/run.tsv", "qrel": "target/qrel.tsv", "hold": 1.0},
    },
}


def table(rows: list[tuple]) -> str:
    return HEAD + "".join(f"{user}\t{item}\t{rating}\n" for user, item, rating in rows)


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    (tmp_path / "source/train.tsv").write_text(table(SOURCE[:3]))
    (tmp_path / "source/more.tsv.gz").write_bytes(gzip.compress(table(SOURCE[2:]).encode()))
    (tmp_path / "target/train.tsv").write_text(table(TARGET))
    (tmp_path / "target/run.tsv").write_text("".join(f"{user}\t{','.join(items)}\n" for user, items in RUN.items()))
    (tmp_path / "target/qrel.tsv").write_text(table(QREL))
    return tmp_path


def form(**changes) -> MarketsForm:
    return MarketsForm.model_validate({**FORM, **changes})


def test_markets_are_examples_with_one_vocabulary(folder) -> None:
    found = read(form(), folder)
    source, target = found["source"], found["target"]
    assert source.items.item_id.tolist() == ["a", "b", "c"] and source.users.user_id.tolist() == ["s1", "s2"]
    assert source.streams.offsets.tolist() == [0, 2, 5]  # s1 took a twice, which counts once
    assert target.items.item_id.tolist() == ["a", "b", "c", "d", "e"]  # e is known from the run alone
    assert target.users.user_id.tolist() == ["t1", "t2", "t3"]  # t3 is asked about and took nothing
    assert target.streams.offsets.tolist() == [0, 3, 5, 5]
    held = np.flatnonzero(target.streams.split)  # of two items none is held out
    assert held.tolist() == [2] and target.streams.time[2] == target.streams.time[4] == 20_000 * DAY
    assert np.diff(target.streams.time[:3]).tolist() == [DAY, DAY]
    test = target.rows("test", "lists")
    queries = target.lists
    asked = [
        (
            target.users.user_id[queries.user[q]],
            queries.history[q],
            target.items.item_id[queries.target[queries.offsets[q]]],
        )
        for q in test
    ]
    assert asked == [("t1", 3, "e"), ("t3", 0, "d")]
    # rows of their own: the source's items first, then what the target's train steps add; the rest is shared
    known = source.meta.vocabulary_rows["item"]
    row = dict(zip(target.items.item_id.tolist(), target.items.vocabulary_row.tolist(), strict=True))
    assert source.items.vocabulary_row.tolist() == [row["a"], row["b"], row["c"]]
    assert known == 1 + 4 + 3 and row["d"] == known and 1 <= row["e"] <= 4
    rows = initial_rows(form(), target, source)
    assert rows["item"][:known].tolist() == list(range(known))
    assert len(rows["item"]) == target.meta.vocabulary_rows["item"] and 1 <= rows["item"][row["d"]] <= 4
    with pytest.raises(TriadError, match="comes after its target"):
        initial_rows(form(), source, target)


def test_what_is_held_out_follows_from_the_seed(folder) -> None:
    def held(**changes) -> list[str]:
        source = read(form(**changes), folder)["source"]
        return source.items.item_id[source.streams.item[source.streams.split > 0]].tolist()

    assert held() == held() and {tuple(held(seed=seed)) for seed in range(12)} == {("a",), ("b",), ("c",)}
    few = {name: {**files, "hold": 1e-9} for name, files in FORM["markets"].items()}
    assert held(markets=few) == []
    assert len(read(form(min_rating=2), folder)["source"].streams.item) == 4


def test_ratings_without_a_header(folder) -> None:
    files = {"source": FORM["markets"]["source"] | {"ratings": ["source/train.tsv"]}}
    expected = read(form(markets=files), folder)["source"]
    (folder / "source/u.data").write_text("".join(f"{rating}|{user}|{item}\n" for user, item, rating in SOURCE[:3]))
    files = {"source": files["source"] | {"ratings": ["source/u.data"]}}
    bare = form(markets=files, columns=["rating", "userId", "itemId"], delimiter="|")
    assert read(bare, folder)["source"].streams.item.tolist() == expected.streams.item.tolist() == [0, 1]
    (folder / "source/u.data").write_text("".join(f"{user};{item}\n" for user, item, _ in SOURCE[:3]))
    seen = form(markets=files, columns=["userId", "itemId"], delimiter=";", rating=None)
    assert len(read(seen, folder)["source"].streams.item) == len({row[:2] for row in SOURCE[:3]})
    with pytest.raises(ValidationError, match="min_rating asks for the column `rating`"):
        form(markets=files, rating=None, min_rating=3)


def test_markets_together(folder) -> None:
    markets = read(form(), folder)
    joined = together(markets, "target")
    assert joined.items.item_id.tolist() == ["a", "b", "c", "d", "e"]
    assert joined.users.user_id.tolist() == ["t1", "t2", "t3", "source/s1", "source/s2"]
    assert joined.streams.offsets.tolist() == [0, 3, 5, 5, 7, 10]
    taken = joined.items.item_id[joined.streams.item]
    assert taken[5:7].tolist() == ["a", "b"] and set(taken[7:]) == {"a", "b", "c"}
    assert np.flatnonzero(joined.streams.split).tolist() == [2]
    assert np.flatnonzero(together(markets, "target", hold_all=True).streams.split).tolist() == [2, 9]
    assert joined.items.vocabulary_row.tolist() == markets["target"].items.vocabulary_row.tolist()


def test_lists_and_their_gains(folder) -> None:
    data = read(form(), folder)["target"]
    lists = run_of(form(), "target", folder, data)
    assert np.asarray(data.items.item_id)[lists.item].tolist() == [RUN["t1"], RUN["t3"]]
    assert lists.wanted.tolist() == [[False, True], [False, True]]
    np.testing.assert_allclose(lists.ndcg(np.array([[1.0, 2.0], [2.0, 1.0]])), [1, 1 / np.log2(3)])
    np.testing.assert_allclose(lists.ndcg(np.zeros((2, 2))), 1 / np.log2(3))  # ties count against
    two = Candidates(np.arange(1), np.arange(12)[None], np.isin(np.arange(12), [0, 11])[None])
    np.testing.assert_allclose(two.ndcg(-np.arange(12.0)[None]), 1 / (1 + 1 / np.log2(3)))
    with pytest.raises(TriadError, match=r"markets\.source\.run: names no candidates"):
        run_of(form(), "source", folder, read(form(), folder)["source"])


def test_lists_made_like_a_run(tmp_path) -> None:
    random = np.random.default_rng(0)
    rows = [(f"u{user}", f"i{item:03d}", 5) for user in range(9) for item in random.choice(140, 6, replace=False)]
    rows += [("x", f"i{item:03d}", 5) for item in range(100, 140)]
    rows += [(f"z{item // 2}", f"i{item:03d}", 5) for item in range(140)]  # of two items none is held out
    (tmp_path / "train.tsv").write_text(table(rows))
    (tmp_path / "asked.tsv").write_text(table([row for row in rows if row[1] < "i120"]))
    files = {"ratings": ["train.tsv"], "asked": "asked.tsv", "hold": 1.0}
    one = form(markets={"only": files})
    data = read(one, tmp_path)["only"]
    splits = [sampled(one, "only", tmp_path, data, split) for split in ("validation", "fusion")]
    assert sum(len(lists.query) for lists in splits) == 10
    for lists in splits:
        assert lists.item.shape == (len(lists.query), 100) and (lists.wanted.sum(axis=1) == 1).all()
        for query, listed, wanted in zip(lists.query, lists.item, lists.wanted, strict=True):
            user = data.lists.user[query]
            taken = data.streams.item[data.streams.offsets[user] : data.streams.offsets[user + 1]]
            assert set(listed) & set(taken) == set(listed[wanted]) and len(set(listed)) == 100
            assert max(data.items.item_id[listed[~wanted]].tolist()) < "i120"
    (tmp_path / "train.tsv").write_text(table(rows + [("x", f"i{item:03d}", 5) for item in range(100)]))
    with pytest.raises(TriadError, match="user 'a' lacks only 0 items"):
        everything = read(one, tmp_path)["only"]
        [sampled(one, "only", tmp_path, everything, split) for split in ("validation", "fusion")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("source/train.tsv", None, "no such file"),
        ("source/train.tsv", "userId\titem\trating\n", "holds no row"),
        ("source/train.tsv", "userId\titem\trating\nu\ti\t5\n", "has no column 'itemId'"),
        ("source/train.tsv", HEAD + "u\t\t5\n", "1 rows lack a user, an item or a rating, first row 1"),
        ("source/train.tsv", HEAD + "u\ti\tfive\n", "is no number"),
        ("target/qrel.tsv", HEAD + "t1\tb\t1\n", "user 'a9': 'b' is none of the candidates"),
        ("target/run.tsv", "t1\ta,e\nt1\ta,b\n", "names a user twice"),
    ],
)
def test_bad_files_are_refused_by_name(folder, name: str, text: str | None, message: str) -> None:
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    with pytest.raises(TriadError, match=f"{name}.*{message}"):
        read(form(), folder)


@pytest.mark.usefixtures("eagerly")
def test_a_source_network_starts_a_targets(folder) -> None:
    one = form(markets=crowd(folder))
    markets = read(one, folder)
    dials = PARAMS.pretrain.model_copy(update={"max_epochs": 1, "warm_epochs": 1})
    source, _ = pretrain_network(markets["source"], dials, RUNTIME)
    initial = InitialModel(source.network, initial_rows(one, markets["target"], markets["source"]))
    target, _ = pretrain_network(markets["target"], dials, RUNTIME, initial=initial)
    assert len(targets(markets["target"], "validation").item) > 5
    rows = markets["target"].items.vocabulary_row
    ours, theirs = (n.network.trunk.tower.inputs["ids"].tables["item"].weight.numpy() for n in (target, source))
    both = rows < len(theirs)
    assert both.any() and not both.all()
    near = [np.linalg.norm(ours[row] - theirs[row]) / np.linalg.norm(theirs[row]) for row in rows[both]]
    assert max(near) < 0.5, "it begins where the source ended"


def crowd(folder: Path) -> dict[str, dict]:
    """Two markets of sixty users each, on items of which half are in both."""
    random = np.random.default_rng(1)
    for name, first in (("source", 0), ("target", 20)):
        rows = [
            (f"{name}{u}", f"i{item}", 5) for u in range(60) for item in first + random.choice(40, 6, replace=False)
        ]
        (folder / name / "train.tsv").write_text(table(rows))
    return {name: {"ratings": [f"{name}/train.tsv"], "hold": 0.5} for name in ("source", "target")}


def test_a_share_of_the_users_is_the_test_where_nobody_gives_one(folder) -> None:
    files = crowd(folder)
    before = read(form(markets=files), folder)["target"]
    data = read(form(markets={**files, "target": {**files["target"], "test": 0.4}}), folder)["target"]
    test = data.rows("test", "lists")
    asked = data.lists.user[test]
    assert 12 < len(test) < 36 and len(data.users.user_id) == 60
    for split in ("validation", "fusion"):  # whom one decides by does not follow from the test
        chosen = [each.lists.user[each.rows(split, "lists")].tolist() for each in (before, data)]
        assert chosen[0] == chosen[1] and not set(chosen[0]) & set(asked.tolist())
    ends = data.streams.offsets[asked + 1] - 1
    assert (data.streams.item[ends] == data.lists.target[data.lists.offsets[test]]).all()
    assert (data.streams.split[ends] == 3).all() and (data.streams.split == 3).sum() == len(test)
    assert (data.streams.time[ends] == data.lists.time[test]).all()
    first, last = data.meta.windows["test"]
    assert first <= data.lists.time[test].min() and data.lists.time[test].max() < last
    assert (data.lists.history[test] == 5).all()
    with pytest.raises(ValueError, match="are more than all users"):
        form(markets={"target": {"ratings": ["a"], "hold": 0.7, "test": 0.4}})
    with pytest.raises(ValueError, match="either what `run` asks or a share"):
        form(markets={"target": {"ratings": ["a"], "run": "r", "qrel": "q", "test": 0.4}})


@pytest.mark.usefixtures("eagerly")
def test_a_studys_network_starts_from_the_markets_before_its_own(folder, monkeypatch) -> None:
    monkeypatch.setenv("TRIAD_DATASETS", str(folder))
    files = crowd(folder)
    dials = {"trunk": PARAMS.pretrain.trunk.model_dump(), "learning_rate": 0.03, "max_epochs": 2, "warm_rate": 1e-7}

    def study(market: str, **target) -> Study:
        markets = {**files, "target": {**files["target"], **target}}
        return Study.model_validate(
            {
                "about": "Does it help to know another market?",
                "data": {**FORM, "markets": markets},
                "market": market,
                "tasks": {"next": {"kind": "ranking", "label": "next_item"}},
                "params": {"pretrain": dials, "fuse": {"members": ["pretrain"]}},
                "reference": "alone",
                "variants": {"alone": {}, "from_source": {"pretrain": {"init": "market", "seed": 3}}},
            }
        )

    with pytest.raises(TriadError, match="'next' has nothing to rank in test"):
        prepare(study("target"), folder / "data")
    assert study("source").offered == study("elsewhere").offered == {}
    with pytest.raises(TriadError, match="holds source, target, not 'elsewhere'"):
        prepare(study("elsewhere"), folder / "data")
    asked = study("target", test=0.4)
    prepare(asked, folder / "data")
    assert set(asked.offered) == laid(folder / "data") == {"market"}
    members, seconds = [], []
    for _ in range(2):  # the second from the shelf
        data = load(folder / "data" / "target")
        params = asked.settings("from_source")
        shop = Workshop(data, params, RUNTIME, folder / "shelf", key="key", beside=folder / "data")
        members.append(shop.member("pretrain"))
        seconds.append(shop.seconds)
    assert seconds[0] == seconds[1] and sorted(seconds[0]) == ["pretrain", "source"]
    source = load_member("pretrain", next((folder / "shelf").glob("source-*")))
    rows = data.items.vocabulary_row
    theirs, *ours = (
        each.network.trunk.tower.inputs["ids"].tables["item"].weight.numpy() for each in (source, *members)
    )
    for table_ in ours:
        both = rows[rows < len(theirs)]
        assert 0 < len(both) < len(rows)
        np.testing.assert_allclose(table_[both], theirs[both], atol=1e-5)
    with pytest.raises(TriadError, match="there is no member 'source'"):
        shop.member("source")


@pytest.mark.proof
def test_xmarket(folder) -> None:
    if "TRIAD_DATASETS" not in os.environ:
        pytest.skip("TRIAD_DATASETS names no folder")
    root = Path(os.environ["TRIAD_DATASETS"]) / "xmarket"
    t1 = {"ratings": ["train.tsv.gz", "train_5core.tsv.gz"], "asked": "train_5core.tsv.gz", "hold": 1.0}
    t1 |= {"run": "valid_run.tsv.gz", "qrel": "valid_qrel.tsv.gz"}
    one = form(markets={"t1": t1})
    data = read(one, root / "t1")["t1"]
    lists = run_of(one, "t1", root / "t1", data)
    assert lists.item.shape == (2697, 100) and (lists.wanted.sum(axis=1) == 1).all()
    assert 2500 < len(data.rows("validation", "lists")) + len(data.rows("fusion", "lists")) <= 2697
    popular = np.bincount(data.streams.item, minlength=len(data.items.item_id))
    assert 0.29 < lists.ndcg(popular[lists.item]).mean() < 0.32
