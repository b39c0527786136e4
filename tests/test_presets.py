"""The presets' networks are as large as they say, counted from shapes: nothing of that size is built."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import pytest
import tensorflow as tf
import yaml
from keras.src.backend.common import global_state
from make_dataset import make_dataset

from triad.config.params import merge, parse
from triad.config.tasks import TaskParams
from triad.encoders.base import Table
from triad.examples.dataset import Dataset
from triad.models.multitask import multi_task
from triad.models.trunk import trunk_config

ROOT = Path(__file__).parents[1]
TASKS = {
    "click": TaskParams(kind="binary", label="clicked"),
    "conversion": TaskParams(kind="binary", label="purchased", given="click"),
    "profile": TaskParams(kind="multiclass", label="user_attribute", column="segment"),
    "price": TaskParams(kind="regression", label="price_move"),
}


def weights(make: Callable[[], keras.Model]) -> tuple[int, int]:
    """How many numbers a network's weights are, and how many of those are in embedding tables."""
    waiting = global_state.get_global_attribute("uninitialized_variables")
    try:
        # a graph, or Keras would draw a variable's numbers wherever a layer reads it
        with tf.Graph().as_default(), keras.StatelessScope(initialize_variables=False):
            network = make()
            tables = [layer for layer in network._flatten_layers() if isinstance(layer, Table)]
            return (
                sum(math.prod(weight.shape) for weight in network.trainable_variables),
                sum(math.prod(table.weight.shape) for table in tables),
            )
    finally:  # or the next scope would make them all
        global_state.set_global_attribute("uninitialized_variables", waiting)


def network(preset: str, data: Dataset, items: int) -> Callable[[], keras.Model]:
    shipped, overlay = (
        yaml.safe_load((ROOT / path).read_text()) for path in ("params.yaml", f"configs/presets/{preset}.yaml")
    )
    params = parse(merge(shipped, overlay), preset)
    rows = {**data.meta.vocabulary_rows, "item": items}
    data = data.replaced(meta=replace(data.meta, vocabulary_rows=rows))
    return lambda: multi_task(data, trunk_config(data, params.pretrain.trunk), params.finetune, TASKS)


@pytest.mark.parametrize(
    ("preset", "items", "whole", "dense"),
    [("small", 1_000, 0.174e6, 0.119e6), ("base", 15_000, 103e6, 92e6), ("large", 650_000, 1.0e9, 0.336e9)],
)
def test_a_preset_has_the_weights_that_it_says(preset: str, items: int, whole: float, dense: float) -> None:
    total, embedded = weights(network(preset, make_dataset(), items))
    assert total == pytest.approx(whole, rel=0.05)
    assert total - embedded == pytest.approx(dense, rel=0.05)


def test_weights_are_counted_as_those_of_a_network_that_is_built() -> None:
    make = network("small", make_dataset(), 50)
    assert weights(make)[0] == sum(math.prod(weight.shape) for weight in make().trainable_variables)
