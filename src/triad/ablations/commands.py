"""`triad ablations …`: run the studies in `ablations/studies`. People and the studies' DVC pipeline call it."""

from __future__ import annotations

import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from triad.errors import TriadError

FOLDER, STUDIES = Path("ablations"), Path("studies")
DATA, OUTCOMES, RESULTS, SHELF = Path("data"), Path("outcomes"), Path("results"), Path("shelf")
PAGES, DOCS = Path("page"), Path("../docs/results/studies")

log = logging.getLogger("triad.ablations")


@click.group(help=__doc__)
def ablations() -> None:
    from triad.artifacts import recover
    from triad.datasets.base import DATASETS, folder

    if (FOLDER / "dvc.yaml").is_file():
        os.environ[DATASETS] = str(folder().resolve())  # which may be relative to where we are
        os.chdir(FOLDER)
        for kept in (DATA, OUTCOMES, SHELF):
            recover(kept)


@ablations.command(help="Run STUDIES (by default all), test their claims, and write the pages below ablations/page.")
@click.argument("studies", nargs=-1)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=None, help="how many of each study's seeds to run; by default all"
)
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, help="seeds to run at once, each on its share of the cores"
)
def run(studies: tuple[str, ...], seeds: int | None, jobs: int) -> None:
    from triad.ablations import plan
    from triad.ablations.jobs import at_once, repro

    every = _every()
    known = {name: study.startable(study.offered) for name, study in every.items()}
    plan.write(known)
    wanted = plan.wanted(known, studies, seeds)
    for name in wanted:
        left_out = every[name].variants.keys() - known[name].variants.keys()
        if left_out:
            log.warning("%s: no registered model or other market to start %s from", name, ", ".join(sorted(left_out)))
        for task in known[name].strange:
            log.warning("%s: this shop has no task %r, so no claim on it is judged", name, task)
    keep_compiled(SHELF / "compiled")
    ready = {name: units for name, units in wanted.items() if not repro("--single-item", f"data@{name}")}
    # one after another by seed: these units find one another's members on the shelf
    chains = [
        [f"unit@{unit.name}" for unit in units if unit.seed == seed]
        for units in ready.values()
        for seed in dict.fromkeys(unit.seed for unit in units)
    ]
    failed = at_once(chains, jobs) or ready != wanted  # what a unit that fails leaves out, the page names
    for name in ready:
        failed |= repro("--single-item", f"compare@{name}")
    raise SystemExit(int(repro("--single-item", "page") or failed))


def keep_compiled(folder: Path) -> None:
    """Let TensorFlow, not yet loaded, keep in `folder` what XLA compiles: once for all networks of the same shapes.

    Give it relative: flags part at spaces, which the path of a checkout may hold.
    """
    flags = os.environ.get("TF_XLA_FLAGS", "")
    os.environ["TF_XLA_FLAGS"] = f"{flags} --tf_xla_persistent_cache_directory={folder}".strip()


@ablations.command(help="Write params.yaml, the list of units for DVC, without running anything.")
def plan() -> None:
    from triad.ablations.plan import write

    written = write(_every())
    click.echo(f"{len(written['studies'])} studies, {len(written['units'])} units")


@ablations.command(help="Read STUDY's data into data/STUDY.")
@click.argument("study")
def data(study: str) -> None:
    from triad.ablations.files import load
    from triad.ablations.prepare import prepare

    start = time.monotonic()
    summary = prepare(load(STUDIES / f"{study}.yaml"), DATA / study)
    log.info("%s · %.1f s · %s", summary, time.monotonic() - start, DATA / study)


@ablations.command(help="Fit VARIANT of STUDY on SHARE of its train rows with SEED, and score the test split.")
@click.argument("study")
@click.argument("variant")
@click.argument("share", type=float)
@click.argument("seed", type=int)
def unit(study: str, variant: str, share: float, seed: int) -> None:
    from triad.ablations.files import load
    from triad.ablations.run import run as fit
    from triad.ablations.spec import Unit
    from triad.locking import held

    fitted, start = Unit(study, variant, share, seed), time.monotonic()
    target = OUTCOMES / study / fitted.name
    with held(target):
        fit(load(STUDIES / f"{study}.yaml"), fitted, DATA / study, SHELF / study).save(target)
    log.info("%.0f s · %s", time.monotonic() - start, target)


@ablations.command(help="Test the claims of STUDY on the finished units.")
@click.argument("study")
def compare(study: str) -> None:
    from triad.ablations.data import laid, summary
    from triad.ablations.files import load
    from triad.ablations.outcome import Outcome
    from triad.ablations.results import results
    from triad.artifacts import write_json

    startable = load(STUDIES / f"{study}.yaml").startable(laid(DATA / study))
    folders = {unit: OUTCOMES / study / unit.name for unit in startable.units(study)}
    figures = results(startable, {unit: Outcome.load(path) for unit, path in folders.items() if path.is_dir()})
    digest = summary(DATA / study)[startable.market]["digest"]
    write_json(RESULTS / f"{study}.json", figures | {"lineage": _lineage() | {"data": digest}})
    for row in figures["claims"]:
        log.info("%s over %s, %s: %s (%s)", *(row[key] for key in ("better", "than", "task", "status", "value")))


def _every() -> dict[str, Any]:
    from triad.ablations.files import load_all

    if not STUDIES.is_dir():  # a params.yaml that is here is somebody's own
        mend = "run this in the top folder of Triad's checkout"
        raise TriadError(f"there is no {FOLDER}/{STUDIES}", where=str(Path.cwd()), mend=mend)
    return load_all(STUDIES)


def _lineage() -> dict[str, Any]:
    from triad.worktree import git

    commit, changed = git(Path(), "rev-parse", "--short=12", "HEAD"), git(Path(), "status", "--porcelain", "../src")
    return {"commit": commit + (" with changes" if changed else ""), "date": datetime.now(UTC).date().isoformat()}


@ablations.command(help="Write ablations/page from the finished results: one page for all, and a table per study.")
def page() -> None:
    from triad.ablations.page import document, render
    from triad.artifacts import replacing

    studies = _all_results()
    with replacing(PAGES) as folder:
        (folder / "ablations.html").write_text(render(studies), encoding="utf-8")
        for name, results in studies.items():
            (folder / f"{name}.md").write_text(document(name, results), encoding="utf-8")
    log.info("%d studies · %s", len(studies), (PAGES / "ablations.html").resolve())


@ablations.command(help="Write the tables of STUDIES (by default all with results) into docs/results/studies.")
@click.argument("studies", nargs=-1)
def docs(studies: tuple[str, ...]) -> None:
    from triad.ablations.page import document
    from triad.artifacts import replacing_file

    finished = _all_results()
    for name in studies or finished:
        if name not in finished:
            mend = f"run `triad ablations run {name}`; there are {', '.join(finished) or 'none'}"
            raise TriadError("has no results", where=f"study {name}", mend=mend)
        with replacing_file(DOCS / f"{name}.md") as path:
            path.write_text(document(name, finished[name]), encoding="utf-8")
        log.info("%s", (DOCS / f"{name}.md").resolve())


def _all_results() -> dict[str, Any]:
    from triad.artifacts import read_json

    return {path.stem: read_json(path) for path in sorted(RESULTS.glob("[!.]*.json"))}
