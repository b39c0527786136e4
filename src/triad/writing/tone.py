"""The dials of a text: its length, and its tone, what frames its facts. A frame holds no fact, so it invents none."""

from __future__ import annotations

LENGTHS = ("any", "short", "medium", "long")
"""What a text's length is among the shop's; any is as the shop would."""
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
