"""Δφ beside a pretrained encoder of texts, F_φ = F_θ + Δφ: texts with the same answer come to lie together.

`full` moves every weight but the table of subwords, of which a shop's messages show few. `delta` fixes all of them and
adds a low-rank product to each matrix of a layer (LoRA, Hu et al. 2022, arXiv:2106.09685). The loss is the supervised
contrastive one (Khosla et al. 2020, arXiv:2004.11362): a text is told from the others of its batch by those that share
its answer. A batch holds few answers and several texts of each, so that rare answers count as much as common ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from triad.arrays import Floats, Ints
from triad.config.text import TuningParams
from triad.text.bert import Bert, pooled, states

OF_ANSWER, ANSWERS = 4, 16
"""Texts of an answer, and answers, in a batch."""
WIDTH = 32
"""First tokens of a text that tuning reads."""
RATES = {"full": 5e-5, "delta": 1e-3}
HEAT, UNSEEN, WARM, DECAY = 0.1, 0.1, 0.1, 0.01
"""Temperature of cosines, share of tokens that are not seen, share of steps that warm up, and the decay of weights."""
Task = tuple[Sequence[str], Ints]
"""(n,) texts in plain form, and the place of each one's answer."""


def tuned(bert: Bert, tasks: Sequence[Task], params: TuningParams) -> Bert:
    """`bert` with what the texts of `tasks` add to it; their batches take turns."""
    tasks = [task for task in tasks if _can_teach(task[1])]
    if params.transfer == "frozen" or not tasks:
        return bert
    keras.utils.set_random_seed(params.seed)
    lesson = Lesson(bert.config, bert.weights, params)
    inputs = {
        "ids": keras.Input((None,), dtype="int32", name="ids"),
        "real": keras.Input((None,), name="real"),
        "answer": keras.Input((), dtype="int32", name="answer"),
    }
    model = keras.Model(inputs, lesson(inputs))
    steps = min(params.steps, params.epochs * max(1, sum(len(said) for said, _ in tasks) // (OF_ANSWER * ANSWERS)))
    warm = max(1, int(WARM * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm), warmup_target=RATES[params.transfer], warmup_steps=warm
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=DECAY, global_clipnorm=1.0)
    model.compile(optimizer, loss=lambda _, said: ops.mean(said), jit_compile=False)
    for batch in _batches(bert, tasks, steps, params.seed):
        model.train_on_batch(batch, np.zeros(len(batch["answer"]), np.float32))
    merged = {name: np.asarray(ops.convert_to_numpy(value)) for name, value in lesson.merged().items()}
    return bert.with_weights(merged)


class Lesson(keras.layers.Layer):
    """The loss of each text of a batch."""

    def __init__(
        self, config: Mapping[str, Any], weights: Mapping[str, Floats], params: TuningParams, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.config, self.start, self.params = config, weights, params

    def build(self, _: Any = None) -> None:
        self.fixed, self.moved, self.factors = {}, {}, {}
        for number, (name, value) in enumerate(self.start.items()):
            if self.params.transfer == "full" and "word_embeddings" not in name:
                self.moved[name] = self.add_weight(value.shape, name=f"weight_{number}")
                self.moved[name].assign(value)
                continue
            self.fixed[name] = ops.convert_to_tensor(value)
            if self.params.transfer == "delta" and value.ndim == 2 and ".layer." in name:
                rows, columns = value.shape
                down = self.add_weight((rows, self.params.rank), initializer="zeros", name=f"down_{number}")
                up = self.add_weight(
                    (self.params.rank, columns), initializer=keras.initializers.HeUniform(), name=f"up_{number}"
                )
                self.factors[name] = down, up
        self.built = True

    def merged(self) -> dict[str, Any]:
        """Weight → θ + Δφ."""
        sums = {name: self.fixed[name] + ops.matmul(down, up) for name, (down, up) in self.factors.items()}
        return self.fixed | {name: ops.convert_to_tensor(value) for name, value in self.moved.items()} | sums

    def call(self, batch: dict[str, Any]) -> Any:
        vectors = pooled(states(self.merged(), self.config, batch["ids"], batch["real"]), batch["real"])
        answer = batch["answer"]
        itself = ops.eye(ops.shape(answer)[0])
        fellow = ops.cast(answer[:, None] == answer[None, :], "float32") * (1 - itself)
        chance = ops.log_softmax(ops.matmul(vectors, ops.transpose(vectors)) / HEAT - itself * 1e9, axis=1)
        return -ops.sum(ops.where(fellow > 0, chance, 0.0), axis=1) / ops.maximum(ops.sum(fellow, axis=1), 1.0)


def _can_teach(label: Ints) -> bool:
    return len(label) > 1 and int(np.ptp(label)) > 0


def _batches(bert: Bert, tasks: Sequence[Task], steps: int, seed: int) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(seed)
    read = [[each.ids[:WIDTH] for each in bert.tokenizer.encode_batch(list(said))] for said, _ in tasks]
    groups = [[np.flatnonzero(label == each) for each in np.unique(label)] for _, label in tasks]
    for step in range(steps):
        tokens, of_answer = read[step % len(tasks)], groups[step % len(tasks)]
        some = random.permutation(len(of_answer))[:ANSWERS]
        rows = [random.choice(of_answer[a], OF_ANSWER, replace=len(of_answer[a]) < OF_ANSWER) for a in some]
        held = [tokens[row] for row in np.concatenate(rows)]
        width = 8 * -(-max(map(len, held)) // 8)  # few widths are compiled
        ids, real = np.zeros((len(held), width), np.int32), np.zeros((len(held), width), np.float32)
        for place, each in enumerate(held):
            ids[place, : len(each)], real[place, : len(each)] = each, 1
        seen = random.random(real.shape) >= UNSEEN
        seen[:, 0] = True  # the mark that each text begins with
        yield {"ids": ids, "real": real * seen, "answer": np.repeat(some, OF_ANSWER).astype(np.int32)}
