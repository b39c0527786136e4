"""What a comparison with peers is asked for: a study, and a path."""

from __future__ import annotations

import argparse
from pathlib import Path

from triad.ablations.files import load as load_study
from triad.ablations.spec import Study

FOLDER = Path("ablations")


def asked(page: str | None, path: str) -> tuple[str, Study, Path]:
    """The study's name, the study, and the argument called `path`; `page` is the help."""
    parser = argparse.ArgumentParser(description=page, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument(path, type=Path)
    given = parser.parse_args()
    return given.study, load_study(FOLDER / "studies" / f"{given.study}.yaml"), getattr(given, path)
