"""An input of the networks is one file: here the length of a title. Run `python docs/examples/add_input.py`.

In a project the class is `src/triad/encoders/title_length.py`. Every item tower then reads it, and so do all networks.
"""

import keras
import numpy as np
from keras import ops
from shop import register, shop

from triad.encoders import ENCODERS
from triad.encoders.base import PACKAGE, Input
from triad.models.networks import SequenceNetwork
from triad.models.trunk import trunk_config


@keras.saving.register_keras_serializable(PACKAGE)
class TitleLength(Input):
    """(n, words) rows of words → (n, dim), by how many there are."""

    name, reads = "title_length", ("tokens",)

    def __init__(self, dim, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.dim, self.dense = dim, keras.layers.Dense(dim)

    @classmethod
    def config(cls, data, sizes):
        return {"dim": sizes.dim}

    def build(self, _=None):
        self.dense.build((None, 1))
        self.built = True

    def call(self, arrays):
        words = ops.sum(arrays["tokens"] > 0, axis=1, keepdims=True)
        return self.dense(ops.cast(words, self.compute_dtype))

    def warm_start(self, theirs, origins):
        self.set_weights(theirs.get_weights())
        return []

    def get_config(self):
        return {**super().get_config(), "dim": self.dim}


ENCODER = TitleLength
TASKS = {"click": {"kind": "binary", "label": "clicked"}}

if __name__ == "__main__":
    register(__file__, "title_length", ENCODERS)
    params, data, _ = shop(TASKS, recommend={"order_by": "click"})
    network = SequenceNetwork(trunk_config(data, params.pretrain.trunk), 0)
    weights = sum(int(np.prod(each.shape)) for each in network.trunk.tower.inputs["title_length"].weights)
    print(f"The item tower reads {', '.join(network.trunk.tower.inputs)}; title_length has {weights} weights.")
