"""A BERT-like encoder from a folder as Hugging Face lays it out, in Keras ops: `config.json`, `tokenizer.json`,
`model.safetensors`. The mean of the last layer's states is the text's vector (Reimers and Gurevych 2019,
arXiv:1908.10084). Dropout has no part: who tunes an encoder (`text/tuning.py`) makes another of it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from triad.arrays import Floats
from triad.errors import TriadError

FILES = ("config.json", "tokenizer.json", "model.safetensors")
TOKENS = 128
"""First tokens of a text that are read; what models of sentences are trained on is no longer."""
BATCH = 64


class Bert:
    """Frozen weights of `folder`.

    Args:
        weights: name → array, as the file names them, without a prefix such as `bert.`.
    """

    def __init__(self, folder: Path, config: dict[str, Any], weights: dict[str, Any], tokenizer: Tokenizer) -> None:
        self.folder, self.config, self.tokenizer = folder, config, tokenizer
        self.dim = int(config["hidden_size"])
        digest = hashlib.sha256(f"{TOKENS}".encode())
        for name in FILES:
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        self.fingerprint = digest.hexdigest()[:16]
        self._weights = {name: ops.convert_to_tensor(array, "float32") for name, array in weights.items()}
        self._states = _compiled(self._forward)
        self._is_tuned = False

    @property
    def weights(self) -> dict[str, Floats]:
        """Name → array."""
        return {name: np.asarray(ops.convert_to_numpy(value)) for name, value in self._weights.items()}

    def with_weights(self, weights: dict[str, Any]) -> Bert:
        """The same encoder with other weights. Its `fingerprint` is of what it was made from: keep no vectors by it."""
        other = Bert(self.folder, self.config, weights, self.tokenizer)
        other._is_tuned = True
        return other

    @classmethod
    def load(cls, folder: Path) -> Bert:
        """Raises:
        TriadError: a file is missing, unreadable, or of an architecture that is not BERT's.
        """
        where, mend = f"text.encoder: {folder}", f"name a folder that holds {', '.join(FILES)} of a BERT-like encoder"
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise TriadError(f"lacks {', '.join(missing)}", where=where, mend=mend)
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            weights = {name.removeprefix("bert."): array for name, array in load_file(folder / FILES[2]).items()}
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except (ValueError, SafetensorError) as error:
            raise TriadError(f"cannot be read: {error}", where=where, mend=mend) from error
        wanted = {"hidden_act": "gelu", "position_embedding_type": "absolute"}
        other = [f"{key} {config[key]}" for key, value in wanted.items() if config.get(key, value) != value]
        lacking = [name for name in _names(int(config.get("num_hidden_layers", 0))) if name not in weights]
        if other or lacking:
            what = f"is no BERT: {', '.join(other) or f'it lacks {lacking[0]}'}"
            raise TriadError(what, where=where, mend=mend)
        tokenizer.enable_truncation(min(TOKENS, int(config["max_position_embeddings"])))
        tokenizer.no_padding()
        return cls(folder, config, {name: weights[name] for name in _names(config["num_hidden_layers"])}, tokenizer)

    def encode(self, texts: Sequence[str]) -> Floats:
        """(n, dim) float32 vectors of length 1. Texts of like length go together, so little is padded."""
        tokens = [each.ids for each in self.tokenizer.encode_batch(list(texts))]
        vectors = np.zeros((len(tokens), self.dim), np.float32)
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            width = 8 * -(-max(1, *(len(tokens[row]) for row in rows), 1) // 8)  # few widths are compiled
            ids = np.zeros((BATCH, width), np.int32)
            real = np.zeros((BATCH, width), np.float32)
            for place, row in enumerate(rows):
                ids[place, : len(tokens[row])], real[place, : len(tokens[row])] = tokens[row], 1
            vectors[rows] = ops.convert_to_numpy(self._states(ids, real))[: len(rows)]
        return vectors

    def save(self, folder: Path) -> None:
        """Copy its files, or write its own weights."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES[:2] if self._is_tuned else FILES:
            shutil.copyfile(self.folder / name, folder / name)
        if self._is_tuned:
            save_file(self.weights, folder / FILES[2])

    def _forward(self, ids: Any, real: Any) -> Any:
        return pooled(states(self._weights, self.config, ids, real), real)


def states(w: Mapping[str, Any], config: Mapping[str, Any], ids: Any, real: Any) -> Any:
    """(batch, tokens) ids and 1 where there is a token → (batch, tokens, dim) of the last layer."""
    epsilon, heads, dim = config["layer_norm_eps"], int(config["num_attention_heads"]), int(config["hidden_size"])
    batch, width = ops.shape(ids)

    def norm(x: Any, name: str) -> Any:
        mean = ops.mean(x, axis=-1, keepdims=True)
        scaled = (x - mean) / ops.sqrt(ops.mean(ops.square(x - mean), axis=-1, keepdims=True) + epsilon)
        return scaled * w[f"{name}.LayerNorm.weight"] + w[f"{name}.LayerNorm.bias"]

    def dense(x: Any, name: str) -> Any:
        return ops.matmul(x, ops.transpose(w[f"{name}.weight"])) + w[f"{name}.bias"]

    def split(x: Any) -> Any:
        return ops.transpose(ops.reshape(x, (batch, width, heads, dim // heads)), (0, 2, 1, 3))

    x = ops.take(w["embeddings.word_embeddings.weight"], ids, axis=0)
    x = x + w["embeddings.position_embeddings.weight"][:width] + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings")
    hidden = (1 - real)[:, None, None, :] * -1e9
    for number in range(int(config["num_hidden_layers"])):
        layer = f"encoder.layer.{number}"
        query, key, value = (split(dense(x, f"{layer}.attention.self.{name}")) for name in _ATTENTION)
        match = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / np.sqrt(dim / heads)
        seen = ops.matmul(ops.softmax(match + hidden, axis=-1), value)
        seen = ops.reshape(ops.transpose(seen, (0, 2, 1, 3)), (batch, width, dim))
        x = norm(x + dense(seen, f"{layer}.attention.output.dense"), f"{layer}.attention.output")
        wide = ops.gelu(dense(x, f"{layer}.intermediate.dense"), approximate=False)
        x = norm(x + dense(wide, f"{layer}.output.dense"), f"{layer}.output")
    return x


def pooled(read: Any, real: Any) -> Any:
    """(batch, dim) of length 1: the mean state of each text's tokens."""
    total = ops.sum(read * real[:, :, None], axis=1)
    return total / ops.maximum(ops.sqrt(ops.sum(ops.square(total), axis=-1, keepdims=True)), 1e-9)


_ATTENTION = ("query", "key", "value")


def _names(layers: int) -> list[str]:
    """Weights that are read."""
    names = [f"embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type")]
    names += [f"embeddings.LayerNorm.{part}" for part in ("weight", "bias")]
    parts = (*(f"attention.self.{name}" for name in _ATTENTION), "attention.output.dense", "attention.output.LayerNorm")
    parts = (*parts, "intermediate.dense", "output.dense", "output.LayerNorm")
    return names + [
        f"encoder.layer.{number}.{part}.{end}"
        for number in range(layers)
        for part in parts
        for end in ("weight", "bias")
    ]


def shapes_of(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Weight → its shape, of an encoder that does not exist yet."""
    dim, wide = int(config["hidden_size"]), int(config["intermediate_size"])
    tables = {"word": config["vocab_size"], "position": config["max_position_embeddings"], "token_type": 2}
    shapes: dict[str, tuple[int, ...]] = {}
    for name in _names(int(config["num_hidden_layers"])):
        part = name.rsplit(".", 1)[0]
        out = wide if part.endswith("intermediate.dense") else dim
        of = wide if part.endswith("output.dense") and "attention" not in part else dim
        shapes[name] = (out, of) if name.endswith(".weight") and "LayerNorm" not in name else (out,)
    return shapes | {f"embeddings.{name}_embeddings.weight": (int(rows), dim) for name, rows in tables.items()}


def _compiled(forward: Any) -> Any:
    """`forward` as a graph, where the backend has one."""
    if keras.backend.backend() != "tensorflow":
        return forward
    import tensorflow as tf

    return tf.function(forward, reduce_retracing=False)
