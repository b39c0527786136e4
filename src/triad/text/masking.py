"""Masks of what names a person or an order in a text. Nothing learns from a text, or logs one, before it went through.

| mask | stands for |
|---|---|
| ‹link› | a URL |
| ‹email› | an e-mail address |
| ‹account› | an IBAN |
| ‹card› | a number of 13 to 19 digits that passes Luhn's check |
| ‹phone› | seven digits or more that begin as a phone number does |
| ‹number› | any other long number: of an order, an invoice, a parcel, a customer |

Names and addresses have no form to be known by. Models therefore keep no word that a single message holds.

Example:
    >>> masked("I'm at anna@mail.com or +49 170 1234567, order #A-10231")
    "I'm at ‹email› or ‹phone›, order ‹number›"
"""

from __future__ import annotations

import re
import unicodedata

_LINK = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s@<>()\[\],;:]{1,64}\s?(?:@|\(at\)|\[at\])\s?[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
_ACCOUNT = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_DIGITS = re.compile(r"(?<![\w.,])[+(]{0,2}\d[\d ()./-]{5,}\d(?!\w)")
_NAMED = re.compile(
    r"\b((?:order|invoice|parcel|tracking|customer|ticket|reference|ref|booking|awb|bestellung|bestellnummer|rechnung|"
    r"kundennummer|sendung)\b[^\w\n]{0,3}(?:(?:no|nr|number|nummer|id)\b[^\w\n]{0,3}(?:is\s+)?)?|"
    r"订单号?[:： ]{0,2}|#\s?)(?=[\w-]*\d)[\w-]{3,}",
    re.IGNORECASE,
)
_CODE = re.compile(r"(?<![.,‹])[\w-]+")
_AMOUNT = re.compile(r"\d+(?:mah|gb|mb|kwh|wh|ml|mm|hz|w|g|px|rpm)", re.IGNORECASE)
_FEWEST, _FEW = 7, 5  # digits of a phone number, and of any other


def masked(text: str) -> str:
    """`text` in NFKC with masks. Masking a text again changes nothing."""
    text = unicodedata.normalize("NFKC", text)
    text = _LINK.sub("‹link›", text)
    text = _EMAIL.sub("‹email›", text)
    text = _ACCOUNT.sub("‹account›", text)
    text = _NAMED.sub(lambda match: match[1].removesuffix("#").removesuffix("# ") + "‹number›", text)
    text = _DIGITS.sub(_number, text)
    return _CODE.sub(_code, text)


def _number(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match[0])
    if len(digits) < _FEWEST:
        return match[0]
    if 13 <= len(digits) <= 19 and _passes_luhn(digits):
        return "‹card›"
    return "‹phone›" if match[0][0] in "+(0" else "‹number›"


def _code(match: re.Match[str]) -> str:
    word = match[0]
    is_long = sum(each.isdecimal() for each in word) >= _FEW
    return "‹number›" if is_long and not _AMOUNT.fullmatch(word) else word


def _passes_luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 * (number > 9) for number in doubled) % 10 == 0
