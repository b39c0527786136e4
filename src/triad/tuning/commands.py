"""`triad tune`: search a space of dials, and write the best as a config file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triad.ablations.commands import DATA, FOLDER, STUDIES, keep_compiled
from triad.reexec import reexec_when_full


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

    from triad.ablations.files import load
    from triad.ablations.params import StudyParams, unregistered
    from triad.artifacts import ARTIFACTS, replacing_file
    from triad.config.params import read
    from triad.errors import TriadError
    from triad.examples.dataset import load as load_data
    from triad.locking import held
    from triad.tuning.space import load_space

    searched = load_space(space)
    if trials is not None:
        searched = searched.model_copy(update={"trials": trials})
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
    keep_compiled(Path(".triad") / "tune" / "compiled")
    from triad.tuning.search import search

    folder = Path(".triad") / "tune" / name
    with held(folder):
        best, loss = search(
            load_data(source),
            base,
            searched,
            name=name,
            folder=folder,
            experiment=experiment,
            after_trial=reexec_when_full,
        )
    target = target or Path("configs") / f"tuned_{name}.yaml"
    with replacing_file(target) as fresh:
        fresh.write_text(f"# triad tune {space}: validation loss {loss:.6g}\n" + yaml.safe_dump(best, sort_keys=False))
    shown = _flat(read(Path("params.yaml"))) if Path("params.yaml").is_file() else {}
    # DVC sets a key that the file does not name only with a plus sign
    dials = " ".join(f"-S {'' if key in shown else '+'}{key}={value}" for key, value in _flat(best).items())
    click.echo(f"{target}: validation loss {loss:.6g}\n  triad workspace {target} FOLDER\n  dvc exp run {dials}")


def _flat(values: dict[str, Any], start: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{start}{key}.") if isinstance(value, dict) else {start + key: value}
    return flat
