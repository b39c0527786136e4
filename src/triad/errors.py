"""The one exception that users read: what is wrong, where, and how to fix it."""

from __future__ import annotations

import json
from pathlib import Path

from triad.redaction import shown_path


class TriadError(Exception):
    """Bad input or a refused request. Passwords and tokens of URLs are left out of its texts.

    Args:
        what: what was found, beside what was expected.
        where: the table, column, file or params key it was found in.
        mend: what the reader can do about it.
        transient: it may pass by itself (a server that is down, a full disk): worth another try later.
        redo: the stage to run again first, where another run has overtaken this one.
    """

    def __init__(self, what: str, *, where: str, mend: str, transient: bool = False, redo: str | None = None) -> None:
        what, where, mend = shown_path(what), shown_path(where), shown_path(mend)
        super().__init__(f"{where}: {what}\n  to fix it: {mend}")
        self.what, self.where, self.mend = what, where, mend
        self.transient, self.redo = transient, redo

    def write(self, path: Path) -> None:
        """Leave the error as JSON for the process that started this one."""
        names = ("what", "where", "mend", "transient", "redo")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({name: getattr(self, name) for name in names}, ensure_ascii=False))
