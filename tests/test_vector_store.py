"""Vectors that are kept between nights: what a disk has changed is made again, and stops nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from triad.vector_store import WIDTH, VectorStore


@pytest.mark.parametrize("damage", ["cut", "empty", "a value", "another packing"])
def test_a_damaged_file_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    one, two = b"1" * WIDTH, b"2" * WIDTH
    vectors = np.linspace(0.1, 1, 8)[None]
    for key in (one, two):
        VectorStore(tmp_path).add([key], vectors)
    assert set(VectorStore(tmp_path).known) == {one, two}
    before = set(tmp_path.glob("*.npz"))
    (first,) = (file for file in before if one in file.read_bytes())
    content = first.read_bytes()
    at = content.index(vectors.astype(np.float16).tobytes())
    central = content.index(b"PK\1\2")  # the archive's own list of what it holds
    changed = {
        "cut": content[:-30],
        "empty": b"",
        "a value": content[:at] + bytes(2) + content[at + 2 :],
        "another packing": content[: central + 10] + b"\x62\0" + content[central + 12 :],
    }
    first.write_bytes(changed[damage])
    store = VectorStore(tmp_path)
    assert set(store.known) == {two} and f"{first} is damaged" in caplog.text
    store.add([one], vectors)
    assert set(tmp_path.glob("*.npz")) == before and set(VectorStore(tmp_path).known) == {one, two}
