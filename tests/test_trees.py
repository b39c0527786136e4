"""Stored trees are data: no object in them, the same predictions bit for bit, and nothing that leads outside."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

from triad.config.profile import ProfileParams
from triad.errors import TriadError
from triad.kinds import KINDS
from triad.members.trees_boosted import Asked, grow, scores
from triad.members.trees_stored import NODE, load, save

POINTWISE = ["binary", "multiclass", "regression"]


def grown(trees: str, kind: str, leaves: int = 8):
    random = np.random.default_rng(3)
    matrix = random.normal(size=(600, 5)).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.2] = np.nan
    value = np.nan_to_num(matrix[:, 0]) + 0.5 * np.nan_to_num(matrix[:, 3]) ** 2
    label = {"binary": value > 0.3, "multiclass": np.digitize(value, (-0.2, 0.6)), "regression": value}[kind]
    params = ProfileParams(trees=trees, max_iterations=30, min_rows_a_leaf=5 if leaves > 8 else 10, leaves=leaves)
    parts = [(matrix[rows], np.asarray(label[rows], np.float64)) for rows in (slice(0, 400), slice(400, 600))]
    return [grow(KINDS[kind], params, seed, *parts) for seed in (1, 2)], matrix


@pytest.mark.parametrize("trees", ["hist", "lightgbm"])
@pytest.mark.parametrize("kind", POINTWISE)
def test_they_come_back_bit_for_bit_and_as_the_same_bytes(trees: str, kind: str, tmp_path: Path) -> None:
    models, matrix = grown(trees, kind)
    classes = 4 if kind == "multiclass" else 0  # one that train never showed
    expected = [scores(model, matrix, classes) for model in models]
    assert expected[0].std() > 0 and not np.array_equal(*expected)
    if trees == "hist":  # asked without the library, or without its checks of rows
        library = models[0].model
        own = library.predict(matrix) if kind == "regression" else library.predict_proba(matrix)
        known = scores(models[0], matrix, 3) if classes else expected[0]
        own = own / own.sum(axis=1, keepdims=True) if classes else own if kind == "regression" else own[:, 1]
        assert np.array_equal(known, own)
    save(tmp_path / "a.npz", models)
    again = load(tmp_path / "a.npz")
    for model, known in zip(again, expected, strict=True):
        assert np.array_equal(scores(model, matrix, classes), known)
    save(tmp_path / "b.npz", again)
    save(tmp_path / "c.npz", grown(trees, kind)[0])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes() == (tmp_path / "c.npz").read_bytes()


@pytest.mark.parametrize("rows", [1, 600, 5000])
@pytest.mark.parametrize("kind", POINTWISE)
@pytest.mark.parametrize("leaves", [8, 16, 31])  # the last are asked by the library
def test_small_trees_are_asked_without_the_library_and_answer_as_it_does(kind: str, leaves: int, rows: int) -> None:
    models, matrix = grown("hist", kind, leaves)
    asked = np.tile(matrix, (9, 1))[:rows]
    asked[np.random.default_rng(4).random(asked.shape) < 0.1] = np.nan  # also where none was missing in training
    fit = Asked.of(models[0])
    assert bool(fit.forests) == (leaves <= 16)
    classes = 3 if kind == "multiclass" else 0
    assert np.array_equal(fit.scores(asked, classes), replace(fit, forests=()).scores(asked, classes))


def test_a_node_is_kept_as_the_library_keeps_it() -> None:
    assert NODE == PREDICTOR_RECORD_DTYPE


def changed(name: str, values: object, file: Path) -> None:
    with np.load(file, allow_pickle=False) as held:
        arrays = {each: held[each] for each in held.files}
    arrays[name] = values(arrays[name]) if callable(values) else values
    np.savez(file, **arrays)


def with_field(field: str, value: int):
    def change(nodes: np.ndarray) -> np.ndarray:
        nodes = nodes.copy()
        nodes[field][np.flatnonzero(nodes["is_leaf"] == 0)[-1]] = value
        return nodes

    return change


def led_twice(nodes: np.ndarray) -> np.ndarray:
    nodes = nodes.copy()
    last = np.flatnonzero(nodes["is_leaf"] == 0)[-1]
    nodes["left"][last] = nodes["right"][last]
    return nodes


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("0_nodes", with_field("left", 0)),  # round and round for ever
        ("0_nodes", with_field("right", 2**31)),
        ("0_nodes", led_twice),
        ("0_nodes", with_field("feature_idx", 5)),
        ("0_nodes", with_field("feature_idx", -1)),
        ("0_nodes", with_field("is_categorical", 1)),
        ("0_nodes", lambda nodes: nodes[:-1]),
        ("0_nodes", lambda nodes: nodes["value"]),
        ("0_sizes", lambda sizes: np.r_[0, sizes[0] + sizes[1], sizes[2:]]),
        ("0_baseline", lambda baseline: baseline.astype(object)),
        ("0_baseline", lambda baseline: baseline.ravel()),
    ],
)
def test_arrays_that_are_no_trees_are_refused(name: str, values: object, tmp_path: Path) -> None:
    models, _ = grown("hist", "binary")
    save(tmp_path / "a.npz", models)
    changed(name, values, tmp_path / "a.npz")
    with pytest.raises(TriadError, match=r"a\.npz: holds no trees"):
        load(tmp_path / "a.npz")


def test_a_pickle_in_their_place_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(TriadError, match=r"a\.npz: holds no trees"):
        load(tmp_path / "a.npz")
