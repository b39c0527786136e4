"""How texts of products are cut into tokens and put together again.

A number and its unit are two tokens, a model's code is one: `2.66GHz, SWV2559W/10` gives `2.66 GHz , SWV2559W/10`.

Example:
    >>> [token.text for token in cut('HD 3.5" (640 x 480), 500GB')]
    ['HD', '3.5', '"', '(', '640', 'x', '480', ')', ',', '500', 'GB']
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_UNITS = """
tb gb mb kb tbit gbit mbit kbit gbps mbps kbps bit ghz mhz khz hz kg g mg lb lbs oz l ml cl km m cm mm µm nm
ft feet foot in inch inches yd yard w kw kwh wh v mv kv a ma mah ah va kva s ms min h dpi ppi ppm cpm px mp
fps rpm db lm cd k u pages sheets ports pc pcs pk pin awg mt metre metres meter meters year years month months
" ″ ' % °c °f °
"""
UNITS = tuple(_UNITS.split())
"""What makes a number an amount: the claim is the pair."""

_UNIT = "|".join(sorted((re.escape(unit) for unit in UNITS), key=len, reverse=True))
# possessive and bounded: a list of thousands of numbers is else read anew from each of them
_TOKEN = re.compile(
    rf"\d++(?:[.,]\d++){{0,20}}+(?=\s?(?:{_UNIT})(?![^\W_]))|[^\W_][\w®™°+#&~/.:'’-]*[\w®™°+#]|[^\W_]|[^\w\s]|_",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?")


@dataclass(frozen=True)
class Token:
    """A piece of a text, and whether a blank stands before it."""

    text: str
    spaced: bool

    @property
    def key(self) -> str:
        """What makes two tokens the same: a number's value, a word without its case."""
        return key_of(self.text)


@lru_cache(maxsize=200_000)
def key_of(text: str) -> str:
    """`text`'s number in its shortest form, else without case."""
    if _NUMBER.fullmatch(text):
        plain = text.replace(",", "") if re.search(r",\d{3}(?!\d)", text) else text.replace(",", ".")
        return f"{float(plain):.10g}"
    return text.casefold()


@lru_cache(maxsize=200_000)  # attributes repeat, and each is read several times
def cut(text: str) -> tuple[Token, ...]:
    """The tokens of `text`, in order."""
    matches = _TOKEN.finditer(text)
    return tuple(Token(match[0], match.start() > 0 and text[match.start() - 1].isspace()) for match in matches)


def is_word(text: str) -> bool:
    """Whether it holds a letter or a digit."""
    return any(each.isalnum() for each in text)


def has_digit(text: str) -> bool:
    """Whether it says a number or a code."""
    return any(each.isdigit() for each in text)


def keys(text: str) -> list[str]:
    """The key of each token of `text`."""
    return [token.key for token in cut(text)]


def number_at(tokens: Sequence[Token], at: int) -> str:
    """The key of the number at `at`, with the minus that stands before it: in `-18 °C` it is -18, in `5 -18` too, and
    in `5 - 18`, as in `5-18`, which is one token, it is none of it."""
    sign = tokens[at - 1] if at else None
    minus = sign is not None and sign.text in "-−" and not tokens[at].spaced and (at == 1 or sign.spaced)
    return f"-{tokens[at].key}" if minus else tokens[at].key


def joined(tokens: Sequence[Token]) -> str:
    """The text of `tokens`."""
    return "".join((" " if token.spaced and at else "") + token.text for at, token in enumerate(tokens))
