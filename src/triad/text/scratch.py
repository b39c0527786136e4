"""The encoder `scratch`: subwords and a small Transformer, pretrained on what the shop itself says and is told.

It reads a text twice, each time with about half of its subwords hidden, the one half and the other. It learns what
was hidden (Devlin et al. 2019, arXiv:1810.04805) and which two readings are of one text (Gao et al. 2021,
arXiv:2104.08821). Any language will do. It is written as `bert.Bert` reads it, and kept: a later night reads the one
that is there, so that vectors of earlier texts stay true.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from triad.arrays import Floats, Ints
from triad.config.text import ScratchParams
from triad.errors import TriadError
from triad.text.bert import FILES, pooled, shapes_of, states

LOG = logging.getLogger("triad.text")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, CLS, SEP, MASK = 0, 2, 3, 4
FEWEST = 3
"""Times a subword must occur: what one customer alone typed is in no vocabulary."""
CHARACTERS = 1_000
"""Different ones that are known, at most."""
LONGEST, BATCH, RATE, HEAT = 32, 64, 2e-3, 0.1
"""Subwords read of a text, texts a step, the first learning rate, and the temperature of cosines."""


def pretrain(texts: Sequence[str], params: ScratchParams, folder: Path) -> None:
    """Write an encoder of `texts`, which are masked and in plain form, into `folder`.

    Raises:
        TriadError: there are too few texts to tell apart.
    """
    if len(texts) < BATCH:
        mend = "give the shop's titles, queries or messages, or choose another text.encoder"
        raise TriadError(f"{len(texts)} different texts teach no encoder", where="text.encoder: scratch", mend=mend)
    tokenizer = subwords(texts, params.subwords)
    config = {
        "hidden_size": params.dim,
        "num_hidden_layers": params.layers,
        "num_attention_heads": params.heads,
        "intermediate_size": 4 * params.dim,
        "max_position_embeddings": LONGEST,
        "vocab_size": tokenizer.get_vocab_size(),
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
    }
    tokenizer.enable_truncation(LONGEST)
    rows = [np.array(each.ids, np.int32) for each in tokenizer.encode_batch(list(texts))]
    weights = _taught(rows, config, params)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILES[0]).write_text(json.dumps(config), encoding="utf-8")
    tokenizer.save(str(folder / FILES[1]))
    save_file(weights, folder / FILES[2])


def subwords(texts: Sequence[str], count: int) -> Tokenizer:
    """At most about `count` pieces of words; each Chinese character is a word of its own. The same of the same texts.

    The trainer numbers a character within words (##a) when it first meets one, in the order of a hash table that no
    run repeats, and pairs that are as frequent are joined by these numbers. So they are given beforehand.
    """
    made = _read_as_words(Tokenizer(models.WordPiece(unk_token=SPECIAL[1])))
    plain = (made.normalizer.normalize_str(text) for text in texts)
    words = [word for text in plain for word, _ in made.pre_tokenizer.pre_tokenize_str(text)]
    common = Counter("".join(words))
    known = sorted(sorted(common, key=lambda each: (-common[each], each))[:CHARACTERS])
    within = sorted({each for word in words for each in word[1:]} & set(known))
    teacher = trainers.WordPieceTrainer(
        vocab_size=count,
        min_frequency=FEWEST,
        special_tokens=[*SPECIAL, *(f"##{each}" for each in within)],
        initial_alphabet=known,
        limit_alphabet=len(known),
        show_progress=False,
    )
    made.train_from_iterator(sorted(texts), teacher)
    told = _read_as_words(Tokenizer(models.WordPiece(vocab=made.get_vocab(), unk_token=SPECIAL[1])))
    told.add_special_tokens(list(SPECIAL))
    told.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return told


def _read_as_words(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


class Lesson(keras.layers.Layer):
    """Both losses of a batch that holds each text twice: the first readings, then the second."""

    def __init__(self, config: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config

    def build(self, _: Any = None) -> None:
        spread = keras.initializers.RandomNormal(stddev=0.05)
        self.named = {}
        for name, shape in shapes_of(self.config).items():
            start: Any = spread if len(shape) > 1 else "ones" if name.endswith("LayerNorm.weight") else "zeros"
            self.named[name] = self.add_weight(shape, initializer=start, name=name.replace(".", "_"))
        self.built = True

    def call(self, batch: dict[str, Any]) -> Any:
        whole, ids = batch["whole"], batch["ids"]
        real = ops.cast(whole != PAD, "float32")
        read = states(self.named, self.config, ids, real)
        hidden = ops.cast(ids != whole, "float32")
        said = ops.log_softmax(
            ops.matmul(read, ops.transpose(self.named["embeddings.word_embeddings.weight"])), axis=-1
        )
        right = ops.take_along_axis(said, ops.expand_dims(whole, -1), axis=-1)[..., 0]
        missed = -ops.sum(right * hidden) / ops.maximum(ops.sum(hidden), 1.0)
        one, two = ops.split(pooled(read, real), 2)
        alike = ops.matmul(one, ops.transpose(two)) / HEAT
        same = ops.diagonal(ops.log_softmax(alike, axis=1)) + ops.diagonal(ops.log_softmax(alike, axis=0))
        return ops.expand_dims(missed - ops.mean(same) / 2, 0)


def _taught(rows: Sequence[Ints], config: dict[str, Any], params: ScratchParams) -> dict[str, Floats]:
    keras.utils.set_random_seed(params.seed)
    lesson = Lesson(config)
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("whole", "ids")}
    model = keras.Model(inputs, lesson(inputs))
    rate = keras.optimizers.schedules.CosineDecay(RATE, params.steps)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss=lambda _, said: ops.mean(said))
    random, losses, order = np.random.default_rng(params.seed), list[float](), np.zeros(0, np.int64)
    for _ in range(params.steps):
        if len(order) < BATCH:
            order = random.permutation(len(rows))
        some, order = order[:BATCH], order[BATCH:]
        whole = np.zeros((2 * BATCH, LONGEST), np.int32)
        for place, row in enumerate(some):
            whole[[place, place + BATCH], : len(rows[row])] = rows[row]
        half = random.random((BATCH, LONGEST)) < 0.5
        told = np.concatenate([half, ~half]) & (whole > MASK)
        batch = {"whole": whole, "ids": np.where(told, MASK, whole).astype(np.int32)}
        losses.append(float(model.train_on_batch(batch, np.zeros(2 * BATCH, np.float32))))
    LOG.info("scratch: %d texts, %d subwords, loss %.2f → %.2f", len(rows), config["vocab_size"], losses[0], losses[-1])
    return {name: np.asarray(ops.convert_to_numpy(value), np.float32) for name, value in lesson.named.items()}
