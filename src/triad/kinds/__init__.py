"""The kinds of answer, by name: a file each, with all that follows from the kind."""

from triad.discovery import Registry, discover
from triad.kinds.base import Kind, Metric

KINDS: Registry[Kind] = discover(__name__, "KIND", Kind, beside=("base", "errors", "likelihood"))


def find_metric(name: str) -> Metric | None:
    """The metric of that name, of the first kind that has one."""
    return next((metric for kind in KINDS.values() for metric in kind.metrics if metric.name == name), None)
