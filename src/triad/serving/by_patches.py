"""What a product's class rests on: which of its words, and which patches of its picture.

The model is asked again without some of them (`images/patches.py`), so it may be of any kind. Words and patches each
sum to the score: words to that with the whole picture, patches to that with all words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triad.arrays import Floats
from triad.images.decoding import Fault, decode
from triad.images.encoder import SIZE
from triad.images.files import read
from triad.images.patches import GRID, as_data, painted
from triad.serving.by_words import IN_MESSAGE, Word, told, variants
from triad.statistics.shapley import coalitions, shares
from triad.tracking.classifying import scores_of, tasks_of

if TYPE_CHECKING:
    from triad.tracking.serving import ServingModel

PRODUCTS = 3
"""Of an answer, that are explained."""


@dataclass(frozen=True)
class Patch:
    """A patch of a picture, and its share of a score."""

    place: int | None  # row by row, from the top left; None: a picture that shows nothing
    value: float


@dataclass(frozen=True)
class Carried:
    """What the score of a product's likeliest class rests on, largest first."""

    words: list[Word]
    patches: list[Patch]


def of_product(model: ServingModel, product: Mapping[str, str]) -> dict[str, Carried]:
    """Task → what its class rests on. A product without a picture has no patches.

    Args:
        product: item_id, title, description and image_path, "" where nothing is said.
    """
    tasks = tasks_of(model.state, model.fused)
    whole = _asked(model, [product], tasks)
    chosen = {task: int(scores[0].argmax()) for task, scores in whole.items()}
    text = f"{product['title'].replace(chr(10), ' ')}\n{product['description']}"
    words, texts = variants(text, IN_MESSAGE)
    fewer = [dict(zip(("title", "description"), each.split("\n", 1), strict=True)) for each in texts]
    by_words = _asked(model, [{**product, **each} for each in fewer], tasks)
    pictures = _pictures(product["image_path"])
    by_patches = _asked(model, [{**product, "image_path": each} for each in pictures], tasks) if pictures else {}
    return {
        task: Carried(
            told(words, by_words[task][:, [place]])[0],
            _patches(by_patches[task][:, place]) if pictures else [],
        )
        for task, place in chosen.items()
    }


def _asked(model: ServingModel, products: list[Mapping[str, str]], tasks: list[str]) -> dict[str, Floats]:
    said = {name: [each[name] for each in products] for name in ("item_id", "title", "description", "image_path")}
    return scores_of(model.state, model.fused, said, tasks)


def _pictures(path: str) -> list[str]:
    """One for each of `coalitions`, the whole one last; none where there is no picture."""
    content = read(None, path)
    picture = content if isinstance(content, Fault) else decode(content, SIZE)
    return [] if isinstance(picture, Fault) else [as_data(each) for each in painted(picture, coalitions(GRID**2))]


def _patches(scores: Floats) -> list[Patch]:
    values = shares(np.asarray(scores))
    patches = [Patch(None, float(scores[0])), *(Patch(at, float(value)) for at, value in enumerate(values))]
    return sorted(patches, key=lambda patch: -abs(patch.value))
