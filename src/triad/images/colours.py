"""What colours a picture has, by counting. Things stand before a ground of one colour, which its edge shows."""

from __future__ import annotations

import numpy as np

from triad.arrays import Floats, Ints

SIDE = 16
"""The picture is read at SIDE × SIDE for its pixels, and at twice that for its colours."""
_LEVELS = 6
DIM = 4 * SIDE**2 + _LEVELS**3 + 3
"""Pixels, where the thing is, its colours, and their mean."""
_APART = 24.0  # of 255, on average over channels: what differs more from the ground is the thing


def colours(pictures: Ints) -> Floats:
    """(n, size, size, 3) uint8, whose size is a multiple of 2 SIDE → (n, DIM) float32, each part of length about 1."""
    fine = _shrunk(pictures, 2 * SIDE)
    edge = np.concatenate([fine[:, 0], fine[:, -1], fine[:, :, 0], fine[:, :, -1]], axis=1)
    ground = np.median(edge, axis=1)
    is_thing = np.abs(fine - ground[:, None, None]).mean(axis=-1) > _APART
    is_thing |= ~is_thing.any(axis=(1, 2))[:, None, None]  # of one colour throughout: all of it
    level = np.minimum(fine * _LEVELS / 256, _LEVELS - 1).astype(np.int64)
    bin_ = (level @ np.array([_LEVELS**2, _LEVELS, 1])) + np.arange(len(fine))[:, None, None] * _LEVELS**3
    counts = np.bincount(bin_.ravel(), is_thing.ravel().astype(float), minlength=len(fine) * _LEVELS**3)
    share = counts.reshape(len(fine), -1) / is_thing.sum(axis=(1, 2))[:, None]
    mean = (fine * is_thing[..., None]).sum(axis=(1, 2)) / is_thing.sum(axis=(1, 2))[:, None]
    pixels = _shrunk(pictures, SIDE).reshape(len(pictures), -1) / 255 - 0.5
    where = is_thing.reshape(-1, SIDE, 2, SIDE, 2).mean(axis=(2, 4), dtype=np.float32).reshape(len(pictures), -1)
    parts = pixels / np.sqrt(pixels.shape[1]), where / SIDE, np.sqrt(share), mean / 255 - 0.5
    return np.concatenate(parts, axis=1).astype(np.float32)


def _shrunk(pictures: Ints, side: int) -> Floats:
    count, size = len(pictures), pictures.shape[1] // side
    cells = pictures.reshape(count, side, size, side, size, 3)
    return np.asarray(cells.mean(axis=(2, 4), dtype=np.float32))
