"""The kinds of answer, by name: a file each, with all that follows from the kind."""

from triad.discovery import Registry, discover
from triad.kinds.base import Kind

KINDS: Registry[Kind] = discover(__name__, "KIND", Kind, beside=("base", "likelihood"))
