"""How YAML reads words without quotes: `007` is the number 7, `no` is false, `10:30` is 630.

Where a text is meant, such a value is refused, for what it was before can no longer be told from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_KEY = "[key]"  # pydantic's word for "the key itself, not what it stands for"


def unquoted(error: ErrorDetails, where: str) -> tuple[str, str] | None:
    """What is wrong and how to mend it, where an error is that YAML did not leave a text one; else None.

    Args:
        error: pydantic's.
        where: the YAML file's path, from which the word is shown as it stands there; any other text will do.
    """
    value = error["input"]
    is_text_meant = error["type"] in ("string_type", "literal_error", "invalid_key")
    if not is_text_meant or not isinstance(value, bool | int | float | date | None):
        return None
    is_key = error["loc"][-1] == _KEY or error["type"] == "invalid_key"
    path = [part for part in error["loc"] if part != _KEY]
    written = _written(Path(where), path, is_key=is_key)
    word = str(value) if written is None else written
    quoted = "'" + word.replace("'", "''") + "'"
    shown = f"{quoted}: …" if is_key else quoted if isinstance(path[-1], int) else f"{path[-1]}: {quoted}"
    as_it_stands = "" if written is not None else ", as it stands in your data"
    return f"a text is meant, and YAML reads {read_as(value)}", f"quote it: {shown}{as_it_stands}"


_SHAPES = {
    "tuple_type": ("a list is meant", "write it as one: [a, b]"),
    "list_type": ("a list is meant", "write it as one: [a, b]"),
    "dict_type": ("keys with values are meant", "write them below it, each as `key: value`"),
    "date_from_datetime_parsing": ("not a day", "write it as year, month and day, in quotes: '2026-03-01'"),
    "date_from_datetime_inexact": ("not a day", "write it as year, month and day, in quotes: '2026-03-01'"),
    "date_type": ("not a day", "write it as year, month and day, in quotes: '2026-03-01'"),
}


def shape(error: ErrorDetails) -> tuple[str, str] | None:
    """What is wrong and how to mend it, where a value has another shape than is meant; else None."""
    meant, value = error["type"], error["input"]
    if meant == "model_type":
        if value is None:
            return "there is nothing below it", "name its keys below it, or remove the line"
        meant = "dict_type"
    if meant == "string_too_long" and value == r"\t":
        return "is two characters", 'write a tab in double quotes: "\\t"'
    return _SHAPES.get(meant)


def read_as(value: Any) -> str:
    """What YAML reads, in words."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    return f"the {'date' if isinstance(value, date) else 'number'} {value}"


def _written(file: Path, path: Sequence[str | int], *, is_key: bool) -> str | None:
    """The word at `path` as it stands in `file`; None where there is no such file or place."""
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    key = None
    for part in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            key, node = None, node.value[part]
        elif isinstance(node, yaml.MappingNode):
            pairs = [(k, v) for k, v in node.value if str(part) in (k.value, str(_constructed(k)))]
            key, node = pairs[0] if len(pairs) == 1 else (None, None)
        else:
            return None
    said = key if is_key else node
    return said.value if isinstance(said, yaml.ScalarNode) else None


def _constructed(key: yaml.Node) -> Any:
    value = yaml.SafeLoader("").construct_object(key, deep=True)
    return int(value) if isinstance(value, bool) else value  # pydantic's places say 0 for false
