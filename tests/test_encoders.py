"""Every input of the networks: what it is made of, what it gives, what it takes from an earlier night."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from make_dataset import make_dataset

from triad import encoders
from triad.config.pretrain import TrunkParams
from triad.encoders import ENCODERS, inputs_of
from triad.examples.dataset import Dataset
from triad.models.networks import SequenceNetwork
from triad.models.trunk import item_arrays, trunk_config

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
SIZES = TrunkParams(dim=16, heads=2, layers=1)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """With vectors of what items say and show."""
    made, random = make_dataset(), np.random.default_rng(0)
    vectors = random.normal(size=(2, len(made.items.item_id), 5)).astype(np.float32)
    return made.replaced(items=replace(made.items, text_vector=vectors[0], image_vector=vectors[1]))


def read_by(encoder: Any, data: Dataset) -> Any:
    """The part of `data` that has its arrays."""
    parts = (data.items, data.users, data.exposures)
    return next(part for part in parts if all(hasattr(part, name) for name in encoder.reads))


@pytest.mark.parametrize("name", sorted(set(ENCODERS) - {"history"}))  # the trunk's; it reads what the others give
def test_an_input_answers_what_the_networks_ask(name: str, data: Dataset) -> None:
    encoder = ENCODERS[name]
    config = encoder.config(data, SIZES)
    assert json.loads(json.dumps(config)) == config, "a saved network holds it"
    first, second = (encoder(**config, name=name) for _ in range(2))
    first.build()
    second.build()  # from sizes alone
    arrays = encoder.arrays(read_by(encoder, data), np.arange(7))
    assert all(len(array) == 7 and array.dtype in (np.int32, np.float32) for array in arrays.values())
    said = np.asarray(first(arrays))
    assert said.shape == (7, len(first.columns) if encoder.is_wide else SIZES.dim) and np.isfinite(said).all()
    origins = {table: np.arange(rows) for table, rows in data.meta.vocabulary_rows.items()}
    assert second.warm_start(first, origins) == []
    np.testing.assert_array_equal(np.asarray(second(arrays)), said)
    again = type(first).from_config(first.get_config())
    assert again.get_config() == first.get_config()
    assert keras.saving.get_registered_object(keras.saving.get_registered_name(encoder)) is encoder
    assert encoder.rescaled(config, config) == config


@pytest.fixture
def added() -> Iterator[None]:
    """While the input of docs/examples/add_input.py is registered."""
    folders = list(encoders.__path__)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        runpy.run_path(str(EXAMPLES / "add_input.py"), run_name="__main__")
        yield
    encoders.__path__[:] = folders
    ENCODERS.reload()
    assert "title_length" not in ENCODERS


def test_an_input_added_as_a_file_alone_is_read_kept_and_warm_started(
    added: None, data: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "title_length" in inputs_of(data.items)
    test_an_input_answers_what_the_networks_ask("title_length", data)
    network = SequenceNetwork(trunk_config(data, SIZES), 0)
    longer = replace(data.items, tokens=np.ones_like(data.items.tokens))
    before, after = (np.asarray(network.trunk.tower(item_arrays(items))) for items in (data.items, longer))
    assert not np.allclose(before, after)
    network.save(tmp_path / "network.keras")
    kept = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(np.asarray(kept.trunk.tower(item_arrays(data.items))), before)
    without = trunk_config(data, SIZES)
    del without["item"]["title_length"]
    origins = {table: np.arange(rows) for table, rows in data.meta.vocabulary_rows.items()}
    former = SequenceNetwork(without, 0)
    assert network.trunk.tower.warm_start(former.trunk.tower, origins) == ["input title_length"]
    np.testing.assert_allclose(
        np.asarray(network.trunk.tower(item_arrays(data.items))),
        np.asarray(former.trunk.tower(item_arrays(data.items))),
        rtol=1e-6,
    )
