"""Delta Lake and Iceberg tables by their own readers, which know deleted rows: the newest version, once.

Both readers are optional (the extra `lakes`). A version never changes, whoever writes meanwhile.
"""

from __future__ import annotations

from triad.errors import TriadError
from triad.redaction import masked, shown_path
from triad.sources.places import expanded
from triad.sources.relations import Relation


def lake(path: str, form: str, where: str) -> Relation:
    """The table at `path`, as the user wrote it; `form` is delta or iceberg, `where` the params key of the table.

    Raises:
        TriadError: its reader is not installed, or there is no such table.
    """
    at = f"{where}.path {shown_path(path)}"
    place = expanded(path, at)
    try:
        if form == "delta":
            from triad.sources import delta

            return delta.opened(place, at, where)
        from triad.sources import iceberg

        return iceberg.opened(place, at, where)
    except ImportError as error:
        mend = "install the extra: uv pip install --editable '.[lakes]', and what the catalog or the store needs"
        raise TriadError(f"a reader is missing: {masked(str(error))}", where=at, mend=mend) from None
