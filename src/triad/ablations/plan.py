"""From studies to `ablations/params.yaml`: every unit by name, with a digest of its settings.

DVC reads it as the list of its stages. A unit is stale when its own digest changes, its data or its code, and not when
a variant beside it does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from triad.ablations.data import digest
from triad.ablations.spec import Study, Unit
from triad.artifacts import replacing_file
from triad.datasets.base import folder
from triad.errors import TriadError

PARAMS = Path("params.yaml")


def plan(studies: Mapping[str, Study]) -> dict[str, Any]:
    """`studies` and `units`, as `params.yaml` holds them."""
    units = {unit.name: unit.entry() | {"settings": settings(study, unit)} for study, unit in _units(studies)}
    return {"studies": {name: {"data": _data(study)} for name, study in studies.items()}, "units": units}


def settings(study: Study, unit: Unit) -> str:
    """A short name for all that `unit` runs under, but its data."""
    return _short([study.market, study.settings(unit.variant).model_dump(), unit.share, unit.seed])


def _data(study: Study) -> str:
    """A short name for what the data is read from: its form, and the bytes of what it names."""
    read = study.form.read_from(study.data, folder())
    started_from = {path: None for name in study.all_starts() for path in study.offered.get(name, ())}
    return _short([study.data.model_dump(), *map(digest, [*read, *started_from])])


def _short(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()


def _units(studies: Mapping[str, Study]) -> Iterable[tuple[Study, Unit]]:
    return ((study, unit) for name, study in studies.items() for unit in study.units(name))


def write(studies: Mapping[str, Study], path: Path = PARAMS) -> dict[str, Any]:
    """Write the plan to `path`, where it differs from what stands there; gives the plan."""
    planned = plan(studies)
    text = yaml.safe_dump(planned, sort_keys=False)
    if not path.is_file() or path.read_text() != text:
        with replacing_file(path) as fresh:
            fresh.write_text(text)
    return planned


def wanted(studies: Mapping[str, Study], names: Iterable[str], seeds: int | None) -> dict[str, list[Unit]]:
    """The units of the studies called `names` (of all where none is named), of each at most the first `seeds` seeds.

    Raises:
        TriadError: a name is no study's.
    """
    names = list(names) or list(studies)
    unknown = [name for name in names if name not in studies]
    if unknown:
        raise TriadError(f"no study {unknown[0]!r}", where="ablations", mend=f"known are {', '.join(studies)}")
    return {
        name: [unit for unit in studies[name].units(name) if unit.seed in studies[name].seeds[:seeds]] for name in names
    }
