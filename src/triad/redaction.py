"""How a value from the shop's data is shown in messages, logs, reports and pages.

A personal value is shown by its shape, never as it is: `anna.meyer@shop.de` becomes `'aaaa.aaaaa@aaaa.aa'`. The shape
is enough to see a wrong format. Where the environment holds a key, a keyed hash stands beside it: whoever has both the
key and the shop's data can find the value again, and nobody else can.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import unicodedata

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


def tag(text: str) -> str:
    """Eight hexadecimal digits of `text`'s keyed hash (HMAC-SHA256), empty where the environment holds no key."""
    key = os.environ.get(KEY, "")
    return hmac.new(key.encode(), b"shown " + text.encode(), hashlib.sha256).hexdigest()[:8] if key else ""


def _shape(text: str) -> str:
    return re.sub(r"\w|[^\x00-\x7f]", _letter, text)


def _letter(match: re.Match[str]) -> str:
    kind = unicodedata.category(match[0])
    return "9" if kind == "Nd" else "_" if match[0] == "_" else "A" if kind == "Lu" else "a"


def _cut(text: str, quoted: str, mark: str = "") -> str:
    notes = [f"{len(text):,} characters"] * (len(text) > _MOST) + [f"#{mark}"] * bool(mark)
    return quoted + (f" ({', '.join(notes)})" if notes else "")


def shown_path(text: str) -> str:
    """A path, a URL, or a text with URLs in it, without the user, password, key or token that a URL can carry."""
    return re.sub(r"[A-Za-z][\w+.-]*://[^\s\"'<>]*", _public, text)


def _public(match: re.Match[str]) -> str:
    scheme, _, rest = match[0].partition("://")
    rest = re.sub(r"^[^/@]*:.*@|^[^/]*@", "", rest)  # a password may hold / and @
    sign = r"[?#].*" if scheme.startswith("http") else r"[?#][^/]*=.*"  # elsewhere ? may be a pattern's
    return f"{scheme}://{re.sub(sign, '', rest)}"
