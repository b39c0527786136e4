"""Holds the lock files against a list of known advisories: `make audit`, with TRIAD_ADVISORIES naming the list.

The list is a folder of OSV records (https://ossf.github.io/osv-schema/), JSON or YAML, such as a clone of the Python
Packaging Advisory Database. Prints each locked version that a record names; exits 1 if there is one.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

LOCKS = Path(__file__).parent


def main() -> int:
    folder = os.environ.get("TRIAD_ADVISORIES", "")
    if not folder or not Path(folder).is_dir():
        print("TRIAD_ADVISORIES names no folder of OSV records, so nothing was audited", file=sys.stderr)
        return 2
    locked = {path.name: set(pins(path.read_text())) for path in sorted(LOCKS.glob("*.lock"))}
    known = {name for found in locked.values() for name, _ in found}
    hits = 0
    for record in records(Path(folder)):
        for package in record.get("affected", []):
            name = canonicalize_name(package.get("package", {}).get("name", ""))
            if record.get("withdrawn") or name not in known:
                continue
            for lock, found in locked.items():
                for version in sorted(version for pinned, version in found if pinned == name):
                    if is_affected(package, version):
                        hits += 1
                        print(f"{lock}: {name} {version} · {record['id']} {' '.join(record.get('aliases', []))}")
    print(f"{sum(map(len, locked.values()))} locked versions, {hits} with an advisory")
    return int(hits > 0)


def pins(text: str) -> Iterator[tuple[str, str]]:
    """(package, version) of each line of a lock file."""
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\\n]+)", text, re.MULTILINE):
        yield canonicalize_name(name), version


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """Every OSV record below `folder`."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".json", ".yaml", ".yml"):
            text = path.read_text(encoding="utf-8")
            record = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
            if isinstance(record, dict) and "affected" in record:
                yield record


def is_affected(package: Mapping[str, Any], version: str) -> bool:
    """Whether one `affected` entry of a record names `version`: by its list, or by a range of its events."""
    if package.get("package", {}).get("ecosystem") not in (None, "PyPI"):
        return False
    if version in package.get("versions", []):
        return True
    return any(
        _inside(found["events"], Version(version)) for found in package.get("ranges", []) if found.get("type") != "GIT"
    )


def _inside(events: list[Mapping[str, str]], version: Version) -> bool:
    inside = False
    for event in sorted(events, key=lambda event: _parsed(next(iter(event.values())))):
        (what, bound), *_ = event.items()
        if what == "introduced" and version >= _parsed(bound):
            inside = True
        elif (what == "fixed" and version >= _parsed(bound)) or (what == "last_affected" and version > _parsed(bound)):
            inside = False
    return inside


def _parsed(bound: str) -> Version:
    try:
        return Version(bound)
    except InvalidVersion:  # a name of no version: the safe side is that everything came after it
        return Version("0")


if __name__ == "__main__":
    sys.exit(main())
