"""Writes a product's text: a beam search that says each fact once, ends only when all that is required is said, and
takes no word that would turn a number into an amount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from triad.arrays import Bools, Floats
from triad.writing.derivation import END, HOLE, START
from triad.writing.language import MOST_STEPS, Language
from triad.writing.network import Reading, Weights, reading, step
from triad.writing.product import GENRES, Product
from triad.writing.slots import Slot, features, hashed
from triad.writing.tokens import UNITS, has_digit, key_of
from triad.writing.tone import LENGTHS

BEAMS, POWER = 4, 1.0
"""Texts that are followed at once, and the power of a text's length by which its log-probability is divided."""

SURE = 0.5
"""At 0 a text pays for all that its like says and its product does not know; at 1 for nothing of it."""

REQUIRED = {"title": ("brand", "name"), "description": (), "promotion": ("name",)}
"""Facts that a text of a genre must say, where they are known."""


@dataclass(frozen=True)
class Beam:
    """A text so far."""

    steps: tuple[int, ...]
    score: float
    state: Floats
    used: Bools  # (slots,)
    following: Bools  # (slots,)
    missing: frozenset[str]

    @property
    def worth(self) -> float:
        """Its log-probability, a step."""
        return self.score / max(len(self.steps), 1) ** POWER


def candidates(weights: Weights, language: Language, product: Product, genre: str, length: str = "any") -> list[str]:
    """The texts that the search ended with, the likeliest first; none where nothing can be copied."""
    slots = language.slots(product)
    if not slots:
        return []
    read = reading(
        weights,
        features(slots, language.key_codes),
        hashed(product.brand.casefold()),
        GENRES.index(genre),
        LENGTHS.index(length),
    )
    missing = frozenset(key for key in REQUIRED[genre] if any(slot.key == key for slot in slots))
    ended = searched(weights, read, slots, language.words, missing)
    return list(dict.fromkeys(language.text(beam.steps, slots) for beam in ended))


def searched(
    weights: Weights, read: Reading, slots: Sequence[Slot], vocabulary: Sequence[str], missing: frozenset[str]
) -> list[Beam]:
    """The ended beams, the best first."""
    words = len(vocabulary)
    firsts = [*vocabulary, *(slot.tokens[0].text for slot in slots)]
    lasts = [*vocabulary, *(slot.tokens[-1].text for slot in slots)]
    is_unit, is_number = (
        np.array([key_of(each) in UNITS for each in firsts]),
        np.array([has_digit(each) for each in lasts]),
    )
    starts, ends = np.array([slot.start for slot in slots]), np.array([slot.end for slot in slots])
    none = np.zeros(len(slots), bool)
    beams, ended = [Beam((), 0.0, read.start, none, none, missing)], list[Beam]()
    for _ in range(MOST_STEPS):
        before = np.array([beam.steps[-1] if beam.steps else START for beam in beams])
        used, following = (np.stack([getattr(beam, name) for beam in beams]) for name in ("used", "following"))
        states, chances = step(weights, read, np.stack([beam.state for beam in beams]), before, (used, following))
        chances = chances - SURE * np.log1p(-np.minimum(np.exp(chances[:, HOLE : HOLE + 1]), 0.999))
        chances[:, [START, HOLE]] = -np.inf
        chances[:, words:][used] = -np.inf
        apart = np.hstack([np.ones((len(beams), words), bool), ~following])
        chances[is_number[before][:, None] & is_unit & apart] = -np.inf  # it would make an amount of a number
        grown = np.array([beam.score for beam in beams])[:, None] + chances
        copies = np.array([any(each >= words for each in beam.steps) for beam in beams])
        grown[~copies | np.array([bool(beam.missing) for beam in beams]), END] = -np.inf
        best = np.argsort(-grown, axis=None, kind="stable")[: 2 * BEAMS]
        follow: list[Beam] = []
        for row, taken in zip(*np.unravel_index(best, grown.shape), strict=True):
            beam, score = beams[row], float(grown[row, taken])
            if not np.isfinite(score):
                continue
            if taken == END:
                ended.append(Beam(beam.steps, score, beam.state, beam.used, beam.following, frozenset()))
                continue
            gone, after, lacks = beam.used, none, beam.missing
            if taken >= words:
                slot = slots[taken - words]
                gone = gone | ((starts < slot.end) & (ends > slot.start))
                after, lacks = starts == slot.end, lacks - {slot.key}
            follow.append(Beam((*beam.steps, int(taken)), score, states[row], gone, after, lacks))
        beams = follow[:BEAMS]
        if not beams or len(ended) >= BEAMS:
            break
    return sorted(ended, key=lambda beam: -beam.worth)[:BEAMS]
