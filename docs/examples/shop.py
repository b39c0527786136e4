"""What the examples share: registries read a file as one of their package; a tiny simulated shop gives the rows."""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from triad.config.params import parse
from triad.features.build import fit
from triad.sources.simulated import simulate
from triad.tables import connect


def register(file, name, *registries):
    """Read `file` as the module `name` of each registry's package."""
    folder = tempfile.mkdtemp()
    shutil.copy(file, Path(folder) / f"{name}.py")
    for registry in registries:
        registry.add(folder)


def shop(tasks, **sections):
    """Params with `tasks` and `sections`, the examples of a tiny shop, and what was learned of its tables."""
    ingest = {"source": "simulated", "as_of": "2026-03-01", "window_days": 40, "simulated": {"size": "tiny"}}
    params = parse({"ingest": ingest, "tasks": tasks, **sections}, "an example")
    end = params.ingest.as_of
    with connect(simulate(params.ingest).whole()[0]) as session:
        data, state = fit(session, params.features, params.tasks, (end - timedelta(days=40), end))
    return params, data, state
