"""Looking back from many exposures at once gives what a plain loop gives; learnt things meet another catalogue."""

import numpy as np
import pytest
from fusion_data import make_vectors, other_night
from make_dataset import make_dataset

from triad.errors import TriadError
from triad.members.history import DAY, closest, item_weights, look_back
from triad.members.item_index import align_share, align_vectors
from triad.members.labelled import labelled
from triad.members.pretrained import item_vectors
from triad.texts import Texts


def test_weights_and_closest_are_those_of_a_loop() -> None:
    data = make_dataset(30, 20, 1)
    vectors = make_vectors(data)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.random.default_rng(0).permutation(len(data.exposures.user))[:200]
    user, item, history = (getattr(data.exposures, name)[rows] for name in ("user", "item", "history"))
    states = look_back(data, user, history, recent=5, half_life_days=3)
    weights, nearest = item_weights(data, states).toarray()[states.inverse], closest(data, states, vectors, item)
    assert states.count < len(rows)  # exposures of one page share a state
    for row in range(len(rows)):
        first = data.streams.offsets[user[row]]
        steps = np.arange(first + max(history[row] - 5, 0), first + history[row])
        expected = np.zeros(20)
        if len(steps):
            age = (data.streams.time[steps[-1]] - data.streams.time[steps]) / DAY
            np.add.at(expected, data.streams.item[steps], 0.5 ** (age / 3))
            expected /= expected.sum()
        assert weights[row] == pytest.approx(expected, abs=1e-9)
        cosine = vectors[data.streams.item[steps]] @ vectors[item[row]]
        assert nearest[row] == pytest.approx(cosine.max(initial=-1) if len(steps) else 0, abs=1e-6)


def test_nobody_asked_and_nothing_done() -> None:
    data = make_dataset(5, 10, 0)
    none = np.zeros(0, int)
    states = look_back(data, none, none, recent=5, half_life_days=3)
    assert states.count == 0
    states = look_back(data, np.array([1, 2]), np.zeros(2, int), recent=5, half_life_days=3)
    assert item_weights(data, states).nnz == 0
    assert states.total(np.zeros(0)).tolist() == [0, 0]


def test_ids_find_their_place_and_strangers_are_told_apart() -> None:
    data = make_dataset(5, 12, 0)
    order = data.items.item_id.order()
    known = data.items.item_id[order]
    assert known.places(Texts.of(["i0003", "zzz", "i0000", ""])).tolist() == [3, -1, 0, -1]
    assert Texts.of([]).places(known).tolist() == [-1] * 12
    vectors, share = make_vectors(data), np.arange(1, 13) / 78
    later = other_night(data, order=np.random.default_rng(0).permutation(12), unknown=2)
    place = known.places(later.items.item_id)
    found = align_vectors(place, vectors[order], later.items)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert found[2:] == pytest.approx(unit[place[2:]], abs=1e-6)
    narrow = data.items.category[:, 1] == later.items.category[0, 1]
    mean = unit[narrow].mean(axis=0)
    assert found[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    shares = align_share(place, share)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == shares.min()
    assert shares[2:] / shares[2] == pytest.approx(share[place[2:]] / share[place[2]])


def test_a_task_without_labels_is_named() -> None:
    data = make_dataset(20, 12, 0)
    column = data.meta.tasks["exposures"].index("click")
    data.exposures.labels[data.rows("fusion"), column] = 1
    with pytest.raises(TriadError, match=r"task click, split fusion: all .* labels are 1"):
        labelled(data, "click", "fusion", both=True)
    data.exposures.labels[data.rows("fusion"), column] = np.nan
    with pytest.raises(TriadError, match=r"no row has a label[\s\S]*features.split_days.fusion"):
        labelled(data, "click", "fusion")
    rows, label = labelled(data, "price", "train")
    assert len(rows) == len(label) < len(data.rows("train"))


def test_pretrained_vectors_must_be_this_catalogues(tmp_path) -> None:
    data = make_dataset(5, 10, 0)
    with pytest.raises(TriadError, match="no such file"):
        item_vectors(tmp_path, data)
    np.save(tmp_path / "embeddings.npy", np.ones((9, 4)))
    with pytest.raises(TriadError, match=r"expected 10 finite item vectors, found shape \(9, 4\)"):
        item_vectors(tmp_path, data)
    np.save(tmp_path / "embeddings.npy", np.ones((10, 4)))
    assert item_vectors(tmp_path, data).shape == (10, 4)
