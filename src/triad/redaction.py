"""How values from the shop's data are shown in messages, logs, reports and pages.

A personal value is shown by its shape, never as it is: `anna.meyer@shop.de` becomes `'aaaa.aaaaa@aaaa.aa'`. The shape
is enough to see a wrong format. Where the environment holds a key, a keyed hash stands beside it: whoever has both the
key and the shop's data can find the value again, and nobody else can.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import sys
import traceback
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

from triad.schema import TABLES

KEY = "TRIAD_PSEUDONYM_KEY"
"""The environment variable that holds the key. It is never stored."""

_MOST = 60  # characters shown of a value


def shown(value: object, *, personal: bool = True) -> str:
    """`value` as people may read it.

    Args:
        value: what was found in the data.
        personal: whether it may say something of a person. Ids of users, attributes and free text do.
    """
    if value is None:
        return "missing"
    text = str(value)
    if not personal:
        return _cut(text, repr(text[:_MOST]))
    return _cut(text, repr(_shape(text[:_MOST])), tag(text))


@dataclass(frozen=True)
class Privacy:
    """Which columns of the contract's tables are shown by their shape alone.

    Args:
        public: attributes of the shop's own that it declares as not personal. All others are.
        made: `table.column` of ids that are made of something personal.
    """

    public: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()

    def hides(self, table: str, column: str) -> bool:
        """Whether values of `column` may say something of a person. Unknown ones do, if not `public`."""
        if column not in TABLES[table].names:
            return column not in self.public
        described = TABLES[table].column(column)
        return (described.personal and described.type == "string") or f"{table}.{column}" in self.made

    def value(self, table: str, column: str, value: Any) -> Any:
        """A value as reports may hold it: numbers and times as they are, a text as it is or by its shape."""
        if isinstance(value, bool | int | float):
            return value  # a count: what is personal is text
        if isinstance(value, date) or not self.hides(table, column):
            text = shown_path(str(value)[:200])
            return text if text.isprintable() else repr(text)
        return shown(value)


def masked(text: str, known: Collection[object] = ()) -> str:
    """What a library says of an error, without the values between quotes; `known` texts and files' names stay."""

    def shape(match: re.Match[str]) -> str:
        quoted = match[0][1:-1]
        kept = quoted in known or (len(quoted) < 1024 and "\0" not in quoted and Path(quoted).exists())
        return match[0] if kept else _shape(match[0])

    return re.sub(r"'.*'|\".*\"", shape, shown_path(text), flags=re.DOTALL)


def tag(text: str) -> str:
    """Eight hexadecimal digits of `text`'s keyed hash (HMAC-SHA256), empty where the environment holds no key."""
    key = os.environ.get(KEY, "")
    return hmac.new(key.encode(), b"shown " + text.encode(), hashlib.sha256).hexdigest()[:8] if key else ""


def _shape(text: str) -> str:
    return re.sub(r"\w|[^\x00-\x7f]", _letter, text)


def _letter(match: re.Match[str]) -> str:
    category = unicodedata.category(match[0])
    return "9" if category == "Nd" else "_" if match[0] == "_" else "A" if category == "Lu" else "a"


def _cut(text: str, quoted: str, mark: str = "") -> str:
    notes = [f"{len(text):,} characters"] * (len(text) > _MOST) + [f"#{mark}"] * bool(mark)
    return quoted + (f" ({', '.join(notes)})" if notes else "")


def shown_path(text: str) -> str:
    """A path, a URL, or a text with URLs in it, without the user, password, key or token that a URL can carry.

    Nor are they left where drivers write `password=…`.
    """
    return _SETTING.sub(r"\1…", re.sub(r"[A-Za-z][\w+.-]{0,40}://[^\s\"'<>]*", _public, text))


_SETTING = re.compile(
    r"((?:passw(?:or)?d|pwd|secret(?:[_ ]?access[_ ]?key)?|account[_ ]?key|api[_-]?key|access[_-]?token|credential|sig)"
    r"[ \t]?=[ \t]?)(?:'[^'\n]*'|\"[^\"\n]*\"|\{[^}\n]*\}|[^\s;,&'\"]+)",
    re.IGNORECASE,
)
"""A secret as drivers of databases and stores write it among their settings."""


def _public(match: re.Match[str]) -> str:
    scheme, _, rest = match[0].partition("://")
    rest = re.sub(r"^[^/@]*:.*@|^[^/]*@", "", rest)  # a password may hold / and @
    sign = r"[?#].*" if scheme.startswith("http") else r"[?#][^/]*=.*"  # elsewhere ? may be a pattern's
    return f"{scheme}://{re.sub(sign, '', rest)}"


class Formatter(logging.Formatter):
    """A log's lines without the passwords of URLs, whoever wrote them."""

    def format(self, record: logging.LogRecord) -> str:
        return shown_path(super().format(record))


def tell_unexpected(_: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """`sys.excepthook`: where an error came up and what it is, without the values that its text may quote."""
    traces: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(traces) < 9:
        plain = isinstance(cause, OSError | ImportError | AttributeError | NameError | TypeError)
        text = shown_path(str(cause)) if plain else masked(str(cause))
        traces.append("".join(traceback.format_tb(cause.__traceback__)) + f"{type(cause).__name__}: {text}\n")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    sys.stderr.write("\nThat led to:\n".join(reversed(traces)))
