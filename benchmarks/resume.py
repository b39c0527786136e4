"""Where a benchmark keeps its runs, so that a killed one goes on."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from triad.digests import code_digest


def kept_in(root: Path, *settings: object) -> Path:
    """The folder below `root` of runs with these settings by this code: those of others are not read as theirs."""
    script = Path(sys.argv[0]).read_bytes()
    total = hashlib.sha256(repr((*settings, code_digest())).encode() + script)
    found = root / total.hexdigest()[:12]
    print(f"runs are kept in {found}", file=sys.stderr)
    return found
