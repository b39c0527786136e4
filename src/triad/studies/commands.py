"""`triad ablations …`: run the studies in `ablations/studies`. People and the studies' DVC pipeline call it."""

from __future__ import annotations

import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from triad.renewal import renew_when_full

FOLDER, STUDIES = Path("ablations"), Path("studies")
DATA, OUTCOMES, RESULTS, SHELF = Path("data"), Path("outcomes"), Path("results"), Path("shelf")
PAGES, DOCS = Path("page"), Path("../docs/results/studies")

log = logging.getLogger("triad.ablations")


@click.group(help=__doc__)
def ablations() -> None:
    from triad.artifacts import recover
    from triad.studies.spec import DATASETS, datasets

    if (FOLDER / "dvc.yaml").is_file():
        os.environ[DATASETS] = str(datasets().resolve())  # which may be relative to where we are
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
    from triad.studies import plan
    from triad.studies.jobs import at_once, repro
    from triad.studies.prepare import offered
    from triad.studies.spec import load_all

    every = load_all(STUDIES)
    known = {name: study.startable(offered(study)) for name, study in every.items()}
    plan.write(known)
    wanted = plan.wanted(known, studies, seeds)
    for name in wanted:
        left_out = every[name].variants.keys() - known[name].variants.keys()
        if left_out:
            log.warning("%s: no registered model or other market to start %s from", name, ", ".join(sorted(left_out)))
        for task in known[name].strange:
            log.warning("%s: this shop has no task %r, so no claim on it is judged", name, task)
    _keep_compiled(SHELF / "compiled")
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


def _keep_compiled(folder: Path) -> None:
    """Let TensorFlow, not yet loaded, keep in `folder` what XLA compiles: once for all networks of the same shapes.

    Give it relative: flags part at spaces, which the path of a checkout may hold.
    """
    flags = os.environ.get("TF_XLA_FLAGS", "")
    os.environ["TF_XLA_FLAGS"] = f"{flags} --tf_xla_persistent_cache_directory={folder}".strip()


@ablations.command(help="Write params.yaml, the list of units for DVC, without running anything.")
def plan() -> None:
    from triad.studies.plan import write
    from triad.studies.spec import load_all

    found = write(load_all(STUDIES))
    click.echo(f"{len(found['studies'])} studies, {len(found['units'])} units")


@ablations.command(help="Read STUDY's data into data/STUDY.")
@click.argument("study")
def data(study: str) -> None:
    from triad.studies.prepare import prepare
    from triad.studies.spec import load

    start = time.monotonic()
    found = prepare(load(STUDIES / f"{study}.yaml"), DATA / study)
    log.info("%s · %.1f s · %s", found, time.monotonic() - start, DATA / study)


@ablations.command(help="Fit VARIANT of STUDY on SHARE of its train rows with SEED, and score the test split.")
@click.argument("study")
@click.argument("variant")
@click.argument("share", type=float)
@click.argument("seed", type=int)
def unit(study: str, variant: str, share: float, seed: int) -> None:
    from triad.locking import held
    from triad.studies.run import run as fit
    from triad.studies.spec import Unit, load

    asked, start = Unit(study, variant, share, seed), time.monotonic()
    target = OUTCOMES / study / asked.name
    with held(target):
        fit(load(STUDIES / f"{study}.yaml"), asked, DATA / study, SHELF / study).save(target)
    log.info("%.0f s · %s", time.monotonic() - start, target)


@ablations.command(help="Test the claims of STUDY on the finished units.")
@click.argument("study")
def compare(study: str) -> None:
    from triad.artifacts import write_json
    from triad.studies.data import laid, summary
    from triad.studies.outcome import Outcome
    from triad.studies.results import results
    from triad.studies.spec import load

    asked = load(STUDIES / f"{study}.yaml").startable(laid(DATA / study))
    folders = {unit: OUTCOMES / study / unit.name for unit in asked.units(study)}
    found = results(asked, {unit: Outcome.load(path) for unit, path in folders.items() if path.is_dir()})
    digest = summary(DATA / study)[asked.market]["digest"]
    write_json(RESULTS / f"{study}.json", found | {"lineage": _lineage() | {"data": digest}})
    for row in found["claims"]:
        log.info("%s over %s, %s: %s (%s)", *(row[key] for key in ("better", "than", "task", "status", "value")))


def _lineage() -> dict[str, Any]:
    from triad.worktree import git

    commit, changed = git(Path(), "rev-parse", "--short=12", "HEAD"), git(Path(), "status", "--porcelain", "../src")
    return {"commit": commit + (" with changes" if changed else ""), "date": datetime.now(UTC).date().isoformat()}


@ablations.command(help="Write ablations/page from the finished results: one page for all, and a table per study.")
def page() -> None:
    from triad.artifacts import replacing
    from triad.studies.page import document, render

    found = _found()
    with replacing(PAGES) as folder:
        (folder / "ablations.html").write_text(render(found), encoding="utf-8")
        for name, results in found.items():
            (folder / f"{name}.md").write_text(document(name, results), encoding="utf-8")
    log.info("%d studies · %s", len(found), (PAGES / "ablations.html").resolve())


@ablations.command(help="Write the tables of STUDIES (by default all with results) into docs/results/studies.")
@click.argument("studies", nargs=-1)
def docs(studies: tuple[str, ...]) -> None:
    from triad.artifacts import replacing_file
    from triad.errors import TriadError
    from triad.studies.page import document

    found = _found()
    for name in studies or found:
        if name not in found:
            mend = f"run `triad ablations run {name}`; there are {', '.join(found) or 'none'}"
            raise TriadError("has no results", where=f"study {name}", mend=mend)
        with replacing_file(DOCS / f"{name}.md") as path:
            path.write_text(document(name, found[name]), encoding="utf-8")
        log.info("%s", (DOCS / f"{name}.md").resolve())


def _found() -> dict[str, Any]:
    from triad.artifacts import read_json

    return {path.stem: read_json(path) for path in sorted(RESULTS.glob("*.json"))}


@click.command(help="Search the dials of SPACE for the smallest validation loss, and write the best as a config file.")
@click.argument("space", type=click.Path(path_type=Path))
@click.option(
    "--trials", type=click.IntRange(min=1), default=None, help="total number of trials, in place of the space's"
)
@click.option("--study", default=None, help="use this study's data and its reference's params instead of tonight's")
@click.option("--name", default=None, help="name of the search, by default the file's; the same name continues it")
@click.option("--to", "target", type=click.Path(path_type=Path), default=None, help="the config file to write")
def tune(space: Path, trials: int | None, study: str | None, name: str | None, target: Path | None) -> None:
    import yaml

    from triad.artifacts import ARTIFACTS, replacing_file
    from triad.config.params import read
    from triad.errors import TriadError
    from triad.features.dataset import load as load_data
    from triad.locking import held
    from triad.studies.space import load_space
    from triad.studies.spec import StudyParams, load, unregistered

    asked = load_space(space)
    if trials is not None:
        asked = asked.model_copy(update={"trials": trials})
    if study is None:
        from triad.config.params import load as load_params

        params, source = load_params(), ARTIFACTS / "features"
        base = StudyParams.model_validate(unregistered(params.model_dump(include=set(StudyParams.model_fields))))
        experiment = params.publish.experiment
    else:
        chosen = load(FOLDER / STUDIES / f"{study}.yaml")
        base, experiment = chosen.settings(chosen.reference), "triad"
        source = FOLDER / DATA / study / chosen.market
    if not (source / "meta.json").is_file():
        raise TriadError("holds no examples", where=str(source), mend="run `dvc repro features`, or `triad ablations`")
    name = name or "_".join(part for part in (space.stem, study) if part)
    _keep_compiled(Path(".triad") / "tune" / "compiled")
    from triad.studies.tune import tune as search

    folder = Path(".triad") / "tune" / name
    with held(folder):
        best, loss = search(
            load_data(source),
            base,
            asked,
            name=name,
            folder=folder,
            experiment=experiment,
            after_trial=renew_when_full,
        )
    target = target or Path("configs") / f"tuned_{name}.yaml"
    with replacing_file(target) as fresh:
        fresh.write_text(f"# triad tune {space}: validation loss {loss:.6g}\n" + yaml.safe_dump(best, sort_keys=False))
    shown = _flat(read(Path("params.yaml"))) if Path("params.yaml").is_file() else {}
    # DVC sets a key that the file does not name only with a plus sign
    dials = " ".join(f"-S {'' if key in shown else '+'}{key}={value}" for key, value in _flat(best).items())
    click.echo(f"{target}: validation loss {loss:.6g}\n  triad workspace {target} FOLDER\n  dvc exp run {dials}")


def _flat(values: dict[str, Any], start: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{start}{key}.") if isinstance(value, dict) else {start + key: value}
    return found
