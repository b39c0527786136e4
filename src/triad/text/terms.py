"""A text's plain form, and its terms.

Example:
    >>> terms("Ｐhone　128 GB, 1,5 L \x00 红鞋")
    ['phone', '128gb', '1.5l', '红', '鞋']
"""

from __future__ import annotations

import re
import unicodedata

MOST = 2_000
"""Characters of a text that are read: what a person asks stands at its start."""

_UNITS = (
    "tb|gb|mb|kg|g|mg|lbs?|oz|l|ml|cl|dl|km|m|cm|mm|ft|inch|zoll|kw|w|kwh|wh|v|mah|ah|ghz|mhz|hz|fps|mp|px|dpi|db|"
    'bar|pcs|stk|%|″|"'
)
_AMOUNT = re.compile(rf"(?<![\w.,])(\d+)(?:[.,](\d+))?\s*({_UNITS})(?!\w)")
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_TERM = re.compile(rf"‹[a-z]+›|[{_CJK}]|\d+(?:\.\d+)+[^\W_]*|(?:(?![{_CJK}])[^\W_])+[%″\"]?")


def plain(text: str) -> str:
    """NFKC, case folded, without control and format characters; a number and its unit are one word.

    What UTF-8 cannot hold (half of a surrogate pair) becomes a blank, so that every text can be stored.
    """
    text = unicodedata.normalize("NFKC", text[:MOST]).casefold()
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(_AMOUNT.sub(_joined, text).split())


def terms(text: str) -> list[str]:
    """Words, numbers with their units, masks; of Chinese, Japanese and Korean each character."""
    return _TERM.findall(plain(text))


def _joined(match: re.Match[str]) -> str:
    whole, part, unit = match.groups()
    return f"{whole}.{part}{unit}" if part else f"{whole}{unit}"
