"""The dial of tone: what frames a text's facts. A frame holds no fact of its own, so it cannot invent one."""

from __future__ import annotations

TONES = ("plain", "warm", "brisk")

FRAMES = {
    "plain": {"promotion": "Now in our shop: {text}"},
    "warm": {"description": "Meet it: {text}", "promotion": "Treat yourself: {text}"},
    "brisk": {"description": "{text}. That is it.", "promotion": "{text}. Have a look!"},
}
"""Tone → genre → frame; other texts stand as they are."""


def framed(text: str, genre: str, tone: str) -> str:
    """`text` in the frame of its tone."""
    return FRAMES[tone].get(genre, "{text}").replace("{text}", text)
