"""A text as the words that search compares: of products and of queries alike, in any language.

| What | Is read as |
|---|---|
| 128 gb, 128GB, 128 Gigabyte; 1,5 l | one word: 128gb; 1.5l |
| WH-1000XM4, 006R-90321 | the code without its marks, and its parts |
| Über, jackets, chef's | uber, jacket, chef |
| 羽绒服 | each character, and each two beside one another |

Control characters part words. Nothing here fails, whatever the text.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 20_000
"""Characters of a product's text that are read."""
QUERY = 500
"""Characters of a query that are read."""

_UNITS = {
    **dict.fromkeys(("gigabyte", "gigabytes"), "gb"),
    **dict.fromkeys(("terabyte", "terabytes"), "tb"),
    **dict.fromkeys(("liter", "litre", "liters", "litres"), "l"),
    **dict.fromkeys(("gram", "grams", "gramm"), "g"),
    **dict.fromkeys(("kilo", "kilos", "kilogram", "kilograms"), "kg"),
    **dict.fromkeys(("watt", "watts"), "w"),
    **dict.fromkeys(("volt", "volts"), "v"),
    **dict.fromkeys(("inches", "zoll", '"', "″", "”"), "inch"),
    **dict.fromkeys(("metre", "meter", "metres", "meters"), "m"),
}
_PLAIN = (
    *("mb", "gb", "tb", "kb", "mg", "g", "kg", "ml", "cl", "l", "oz", "lb"),
    *("mm", "cm", "m", "km", "ft", "inch", "w", "kw", "wh", "mah", "ah", "v"),
    *("hz", "khz", "mhz", "ghz", "mp", "ppm", "rpm", "db"),
)
_UNIT = "|".join(sorted(map(re.escape, (*_UNITS, *_PLAIN)), key=len, reverse=True))
_AMOUNT = re.compile(rf"(?<![^\W_])(\d+(?:[.,]\d+)?)[ \-]?({_UNIT})(?![^\W_])")
_DECIMAL = re.compile(r"(?<=\d),(?=\d)")
_POSSESSIVE = re.compile(r"['’]s\b")
_WORD = re.compile(r"[^\W_]+(?:[.\-/&'’][^\W_]+)*")
_PART = re.compile(r"[^\W_]+")
_CHARACTERS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_RUN = re.compile(rf"[{_CHARACTERS}]+|[^{_CHARACTERS}]+")


def plain(text: str, most: int = LONGEST) -> str:
    """Lower case, without accents, control characters and marks that only dress a letter up."""
    text = unicodedata.normalize("NFKD", text[:most]).casefold()
    text = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", text)


def words(text: str, most: int = LONGEST) -> list[str]:
    """The words of `text` in order, repeated ones too."""
    clean = _POSSESSIVE.sub("", _DECIMAL.sub(".", plain(text, most)))
    clean = _AMOUNT.sub(lambda match: f"{match[1]}{_UNITS.get(match[2], match[2])} ", clean)
    result: list[str] = []
    for match in _WORD.finditer(clean):
        result += _of_word(match[0])
    return result


def query_words(text: str) -> list[str]:
    """The words of a query, each once."""
    return list(dict.fromkeys(words(text, QUERY)))


def has_digit(word: str) -> bool:
    """Whether it is an amount, or a product's code: nothing that may be spelled otherwise."""
    return any(character.isdigit() for character in word)


def _of_word(word: str) -> list[str]:
    parts: list[str] = []
    for run in _PART.findall(word):
        for same in _RUN.findall(run):
            parts += _characters(same) if _RUN.match(same) and _is_character(same[0]) else [_singular(same)]
    if len(parts) == 1 or not has_digit(word):
        return parts
    whole = word if re.fullmatch(r"[\d.]+[^\W\d_]*", word) else "".join(_PART.findall(word))
    return [whole] if whole == word else [whole, *parts]


def _is_character(letter: str) -> bool:
    return re.match(f"[{_CHARACTERS}]", letter) is not None


def _characters(run: str) -> list[str]:
    return [*run, *(run[at : at + 2] for at in range(len(run) - 1))]


def _singular(word: str) -> str:
    """Without the s of a plural (Harman 1991): dishes and dish are still two words, jackets and jacket one."""
    if len(word) < 4 or not word.endswith("s") or not word.isalpha():
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    return word if word.endswith(("us", "ss", "is")) else word[:-1]
