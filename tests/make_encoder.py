"""A tiny text encoder of two layers, laid out as Hugging Face does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from triad.text.bert import _names


def make_encoder(place: Path) -> Path:
    """Write it into the folder `place`; it knows the words red, shoe, shoes and 鞋."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "shoe", "##s", "鞋"]
    tokenizer = Tokenizer(WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(place / "tokenizer.json"))
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "max_position_embeddings": 16}
    (place / "config.json").write_text(json.dumps({**sizes, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}))
    random, shapes = np.random.default_rng(0), {"word": (8, 8), "position": (16, 8), "token_type": (2, 8)}
    weights = {}
    for name in _names(2):
        of_table = next((shape for table, shape in shapes.items() if f"{table}_embeddings" in name), None)
        wide = {"intermediate.dense.weight": (16, 8), "intermediate.dense.bias": (16,), "output.dense.weight": (8, 16)}
        is_attention = "attention" in name
        shape = of_table or next((s for end, s in wide.items() if name.endswith(end) and not is_attention), None)
        shape = shape or ((8, 8) if name.endswith("dense.weight") or (".self." in name and "weight" in name) else (8,))
        weights[f"bert.{name}"] = random.normal(size=shape).astype(np.float32)
    save_file(weights, place / "model.safetensors")
    return place
