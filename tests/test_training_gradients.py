"""Products of the tasks' gradients: what a linear layer at the end of the trunk would see."""

import numpy as np
import pytest
import tensorflow as tf
from make_dataset import make_dataset
from test_training import PARAMS

from triad.config.tasks import TaskParams
from triad.examples.dataset import Dataset
from triad.models.batches import Batch
from triad.models.multitask import MultiTaskNetwork, multi_task
from triad.models.trunk import trunk_config
from triad.training.feeds import UnitFeed
from triad.training.gradients import measure

TASKS = {**PARAMS.tasks, "conversion": TaskParams(kind="binary", label="purchased", given="click")}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def batch(data) -> Batch:
    feed = UnitFeed(data, PARAMS.finetune, PARAMS.pretrain.trunk.max_steps, {"exposures": TASKS})
    return feed.build(feed.plan(0)[0], 0, 0)[1]


def network_of(data: Dataset, **dials) -> MultiTaskNetwork:
    params = PARAMS.finetune.model_copy(update={"dropout": 0.0, **dials})
    network = multi_task(data, trunk_config(data, PARAMS.pretrain.trunk), params, TASKS)
    random = np.random.default_rng(0)
    network.set_weights([w + random.normal(0, 0.1, w.shape).astype(w.dtype) for w in network.get_weights()])
    return network


@pytest.mark.parametrize("body", ["mmoe", "stem"])
def test_the_products_are_those_over_a_last_shared_layers_weights(data, batch, body: str) -> None:
    network = network_of(data, body=body)
    width = 3 * network.trunk.dim
    kernel, bias = tf.Variable(tf.eye(width)), tf.Variable(tf.zeros(width))
    heads, arrays = network.of(batch)
    shared = tf.reshape(heads.represent(network.trunk, arrays), (-1, width))
    layers = []
    for name in network.tasks:
        with tf.GradientTape() as tape:
            mapped = tf.reshape(shared @ kernel + bias, (-1, 3, network.trunk.dim))
            outputs = heads.entire_space(heads.outputs(mapped, arrays)[0])
            loss = heads.task_losses(arrays, outputs)[0][name]
        layers.append(np.concatenate([each.numpy().ravel() for each in tape.gradient(loss, [kernel, bias])]))
    found = measure(network, batch, training=False, with_gram=True)
    np.testing.assert_allclose(found.gram, np.array(layers) @ np.array(layers).T, rtol=1e-3, atol=1e-7)
    assert (np.diag(found.gram) > 0).all()


def test_without_regulariser_the_loss_is_the_tasks_own(data, batch) -> None:
    network = network_of(data)
    found = measure(network, batch, training=False)
    heads, arrays = network.of(batch)
    mean, count = heads.task_losses(arrays, network(batch))
    assert found.gram is None and list(found.plain) == list(mean)
    np.testing.assert_allclose(found.loss, list(mean.values()), rtol=1e-6)
    np.testing.assert_array_equal(found.count, list(count.values()))


@pytest.mark.parametrize("how", ["ips", "dr"])
def test_the_regulariser_by_hand(data, batch, how: str) -> None:
    network = network_of(data, counterfactual=how, counterfactual_weight=0.3)
    heads, arrays = network.of(batch)
    own, errors = heads.outputs(heads.represent(network.trunk, arrays), arrays)
    own, errors = ({name: np.asarray(value, np.float64) for name, value in part.items()} for part in (own, errors))
    labels, real = np.asarray(arrays["labels"], np.float64), np.asarray(arrays["mask"]) > 0
    click, bought = labels[real, 0], labels[real, 1]
    clicking, buying = own["click"][real], own["conversion"][real]
    error = np.log1p(np.exp(buying)) - bought * buying
    weight = click / np.maximum(1 / (1 + np.exp(-clicking)), 0.05)
    if how == "ips":
        assert not errors
        expected = np.mean(weight * error)
    else:
        imputed = errors["conversion"][real]
        expected = np.mean(imputed + weight * (error - imputed) + weight * (error - imputed) ** 2)
    found = measure(network, batch, training=False)
    added = np.asarray(found.loss) - np.array([float(value) for value in found.plain.values()])
    np.testing.assert_allclose(added, [0, 0.3 * expected, 0, 0], rtol=1e-3, atol=1e-6)
