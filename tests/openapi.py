"""Requests as an OpenAPI description has them, drawn by Hypothesis; and some that it forbids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


def bodies(described: Mapping[str, Any], path: str, names: Mapping[str, Sequence[str]]) -> Any:
    """Bodies for a POST to `path`: as described, as described but for some parts, and any JSON.

    Args:
        names: field → values worth trying, beside what the description allows.
    """
    schema = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    made = _Made(described["components"]["schemas"], names)
    return st.one_of(made.of(schema), made.of(schema), made.of(schema, wrong=True), ANYTHING)


class _Made:
    def __init__(self, schemas: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> None:
        self._schemas, self._names = schemas, names

    def of(self, schema: Mapping[str, Any], *, wrong: bool = False, name: str = "") -> Any:
        """Values of `schema`; where `wrong`, any part may be anything."""
        if "$ref" in schema:
            return self.of(self._schemas[schema["$ref"].rpartition("/")[2]], wrong=wrong, name=name)
        if "anyOf" in schema:
            return st.one_of([self.of(each, wrong=wrong, name=name) for each in schema["anyOf"]])
        fits = self._plain(schema, wrong)
        if name in self._names:
            fits = st.one_of(st.sampled_from(self._names[name]), st.sampled_from(self._names[name]), fits)
        return fits | ANYTHING if wrong else fits

    def _plain(self, schema: Mapping[str, Any], wrong: bool) -> Any:
        least, most, fits = schema.get("minimum"), schema.get("maximum"), ANYTHING
        match schema.get("type"):
            case _ if "enum" in schema or "const" in schema:
                fits = st.sampled_from(schema.get("enum") or [schema["const"]])
            case "object" if "properties" in schema:
                parts = {name: self.of(each, wrong=wrong, name=name) for name, each in schema["properties"].items()}
                needed = {name: parts.pop(name) for name in schema.get("required", [])}
                fits = st.fixed_dictionaries(needed, optional=parts)
            case "object":
                inner, keys = schema.get("additionalProperties"), st.sampled_from(["items", "k"]) | st.text(max_size=9)
                fits = st.dictionaries(keys, self.of(inner, wrong=wrong) if isinstance(inner, Mapping) else ANYTHING)
            case "array":
                few = schema.get("minItems", 0)
                short = min(schema.get("maxItems", few + 4), few + 4)
                fits = st.lists(self.of(schema["items"], wrong=wrong), min_size=few, max_size=short)
            case "integer":
                fits = st.integers(least, most)
            case "number":
                fits = st.floats(least, most)
            case "boolean":
                fits = st.booleans()
            case "null":
                fits = st.none()
            case "string" if schema.get("format") == "date-time":
                fits = st.datetimes().map(lambda at: at.isoformat()) | st.just("2026-01-31T08:00:00Z")
            case "string":
                long = min(schema.get("maxLength", 300), 300)
                fits = st.text(min_size=schema.get("minLength", 0), max_size=long)
        return fits
