"""Output for terminals that cannot show every character: similar characters instead of an error."""

from __future__ import annotations

import codecs
import io
import sys

_NEAR = {
    **dict.fromkeys("─–—−", "-"),
    **dict.fromkeys("·•", "*"),
    "→": "->",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "×": "x",
    "λ": "lambda",
    "Σ": "sum",
    "’": "'",
    "“": '"',
    "”": '"',
}


def speak() -> None:
    """Let standard output and error put near signs in place of those that their encoding lacks."""
    codecs.register_error("triad.plain", _near)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="triad.plain")


def _near(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_NEAR.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
