"""Reads the files of studies, `ablations/studies/<name>.yaml`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from triad.ablations.params import StudyParams, unregistered
from triad.ablations.spec import Study
from triad.config.params import merge
from triad.config.texts import unquoted
from triad.errors import TriadError
from triad.examples import UNITS
from triad.tasks import LABELS


def load(path: Path) -> Study:
    """The study in `path`.

    Raises:
        TriadError: the file is missing, is no YAML, or does not fit.
    """
    try:
        return Study.model_validate(_on_base(yaml.safe_load(path.read_text(encoding="utf-8")), path.parent.parent))
    except FileNotFoundError as error:
        known = sorted(each.stem for each in path.parent.glob("*.yaml"))
        near = difflib.get_close_matches(path.stem, known, n=1)
        mend = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known) or 'none'}"
        raise TriadError("no such study", where=str(path), mend=mend) from error
    except yaml.YAMLError as error:
        raise TriadError(f"not readable as YAML: {error}", where=str(path), mend="correct the syntax") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] and first["loc"][0] not in Study.model_fields:  # it is the form's
            first["loc"] = ("data", *first["loc"])
        where = f"{path}: {'.'.join(str(part) for part in first['loc']) or 'study'}"
        message = unquoted(first, str(path)) or (first["msg"], "correct it; the keys are those of params.yaml")
        raise TriadError(message[0], where=where, mend=message[1]) from error


def _on_base(values: Any, folder: Path) -> Any:
    """`values` with the sections of the file that their key `base` names, relative to `folder`, laid below them."""
    if not isinstance(values, dict) or "base" not in values:
        return values
    base = yaml.safe_load((folder / values["base"]).read_text(encoding="utf-8"))
    sections = {name: base[name] for name in StudyParams.model_fields if name in base and name != "tasks"}
    return {
        "tasks": _studied(base["tasks"]),
        **values,
        "params": merge(unregistered(sections), values.get("params") or {}),
    }


def _studied(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Those of exposures and lists: the studies of a shop are about its customers."""
    beside = {name for name, label in LABELS.items() if not UNITS[label.unit].always}
    return {n: task for n, task in tasks.items() if not isinstance(task, Mapping) or task.get("label") not in beside}


def load_all(folder: Path) -> dict[str, Study]:
    """Every study of `folder`, by the file's name."""
    return {path.stem: load(path) for path in sorted(folder.glob("*.yaml"))}
