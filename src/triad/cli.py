"""`triad <stage>` runs one stage of dvc.yaml. The other commands are for people."""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from triad import environment, lean, machine, plain, scratch
from triad.artifacts import ARTIFACTS, recover
from triad.costs import measured
from triad.errors import TriadError
from triad.locking import held
from triad.paths import entry
from triad.redaction import Formatter, tell_unexpected

STAGES = (
    "ingest",
    "validate",
    "champion",
    "features",
    "pretrain",
    "finetune",
    "similarity",
    "profile",
    "fuse",
    "refit",
    "evaluate",
    "publish",
    "recommend",
)

ELSEWHERE = {
    "ablations": "triad.ablations.commands:ablations",
    "advise": "triad.advice.commands:advise",
    "batch": "triad.batch.commands:batch",
    "describe": "triad.writing.commands:describe",
    "forget": "triad.privacy.commands:forget",
    "misfiled": "triad.misfiled.commands:misfiled",
    "online": "triad.serving.online_commands:online",
    "pseudonym": "triad.privacy.commands:pseudonym",
    "retraining": "triad.retraining.commands:retraining",
    "serve": "triad.serving.commands:serve",
    "tune": "triad.tuning.commands:tune",
}
"""Commands of other packages, which no stage should wait for."""


GARBAGE = 50_000
"""New objects after which Python looks for cycles. By its default, 700, that takes a second of the four in which
TensorFlow and MLflow are imported."""

HANDED_ON = 1e-4
"""Seconds after which a thread that waits for Python gets it. Who waits has come back from DuckDB, NumPy or TensorFlow,
mostly to go there again. By Python's default a processor stands idle for 5 ms each time."""


def main() -> None:
    """Parses the command line and runs the command. Errors are shown as people can read them."""
    gc.set_threshold(GARBAGE)
    sys.setswitchinterval(HANDED_ON)
    atexit.register(gc.disable)  # or the process ends with one look more through all that it holds: half a second
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(asctime)s %(name)s · %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    sys.excepthook = tell_unexpected
    logging.getLogger("triad").setLevel(logging.INFO)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on tracing is for developers of networks
    plain.speak()
    try:
        if (code := environment.other_code()) is not None:
            entry(code)
        environment.enter()
        scratch.begin()
        lean.begin()
        with machine.faults_explained():
            commands.main(prog_name="triad", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except TriadError as error:
        sys.stderr.write(f"\nerror · {error}\n")
        if failure := os.environ.get("TRIAD_FAILURE"):  # an unattended run reads the kind of error
            with suppress(OSError):  # the disk itself may be the fault
                error.write(Path(failure))
        sys.exit(1)
    except BrokenPipeError:  # the reader of the output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


class Commands(click.Group):
    """Imports a command of another package when it is asked for, or help on all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ELSEWHERE:
            module, _, attribute = ELSEWHERE[cmd_name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        return super().get_command(ctx, cmd_name)


@click.group(cls=Commands, help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    recover(ARTIFACTS)


def _add_stage(name: str) -> None:
    @commands.command(name, help=f"Run the stage {name} with the params.yaml of this folder.")
    def run() -> None:
        from triad.config.params import load
        from triad.pipeline import check_stage

        params = load()
        check_stage(name, params.retraining.night)
        if name == STAGES[0]:
            from triad.starting import check as check_start

            check_start(params)
        stage: Callable[..., None] = getattr(importlib.import_module(f"triad.stages.{name}"), name)
        with held(ARTIFACTS / name), measured(name):
            stage(params)


@commands.command(help="Train STAGE together with the process that runs it and writes: docs/scaling.md.")
@click.argument("stage", type=click.Choice(["pretrain", "finetune"]))
def worker(stage: str) -> None:
    from triad.config.params import load
    from triad.training.workers import check_helper

    params = load()
    check_helper()
    getattr(importlib.import_module(f"triad.stages.{stage}"), stage)(params)


for _name in STAGES:
    _add_stage(_name)


@commands.command(help="Check params.yaml, and that the files it names are there, without running anything.")
def check() -> None:
    from triad.config.params import load
    from triad.starting import check as check_start

    check_start(load())
    click.echo("params.yaml fits")


@commands.command(help="Explain the keys of params.yaml that contain WORD, or all of them.")
@click.argument("word", default="")
@click.option("--markdown", is_flag=True, help="print the page docs/params.md")
def params(word: str, markdown: bool) -> None:
    import difflib

    from triad.config import reference

    if markdown:
        click.echo(reference.markdown(), nl=False)
        return
    keys = list(reference.every_key())
    if not (named := [key for key in keys if word in key.path]):
        near = difflib.get_close_matches(word, [part for key in keys for part in key.path.split(".")], n=1)
        mend = f"did you mean {near[0]!r}?" if near else "`triad params` explains all of them"
        raise TriadError(f"no key contains {word!r}", where="triad params", mend=mend)
    for key in named:
        click.echo(f"{key.path}: {key.default}" + (f"  # {key.values}" if key.values else ""))
        if key.meaning:
            click.echo(f"    {key.meaning}")


@commands.command(help="Print the last evaluation: the metric of each task with its interval, and the verdict.")
def summary() -> None:
    from triad.costs import read, total
    from triad.evaluation.summary import summarise

    click.echo(summarise(ARTIFACTS / "evaluate"))
    if spent := read():
        click.echo(total(spent))


@commands.command(help="Print what each stage took when it last ran: seconds, processor, memory, bytes read, money.")
def costs() -> None:
    from triad.config.params import load
    from triad.costs import read, table

    click.echo(table(read(), load().retraining.prices))


@commands.command(
    help="Make FOLDER a separate checkout whose params.yaml has the values of CONFIG. It can run beside this one."
)
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--discard", is_flag=True, help="discard changes that were made by hand in the workspace FOLDER")
def workspace(config: Path, folder: Path, discard: bool) -> None:
    from triad.workspace import prepare

    click.echo(prepare(config, folder, discard=discard))


@commands.command(help="Show the data, code, params and scores of model VERSION.")
@click.argument("version")
def why(version: str) -> None:
    from triad.tracking.lineage import why as explain

    click.echo(explain(version))


@commands.command(help="Show the differences between model versions FIRST and SECOND.")
@click.argument("first")
@click.argument("second")
def diff(first: str, second: str) -> None:
    from triad.tracking.lineage import diff as compare

    click.echo(compare(first, second))


@commands.command(help="Verify the signature of model VERSION (or an alias) and copy its files to the new FOLDER.")
@click.argument("version")
@click.argument("folder", type=click.Path(path_type=Path))
def fetch(version: str, folder: Path) -> None:
    from triad.tracking import fetching, registry
    from triad.tracking.lineage import model_named

    model = model_named()
    number = registry.number_of(model, version)
    fetching.copy_out(model, number, folder)
    click.echo(f"{folder} holds version {number} of {model} as it was published.")


@commands.command(help="Move the champion's alias back to the former version, or to VERSION, and deliver its lists.")
@click.option("--to", "version", default=None, help="the version that shall serve")
def rollback(version: str | None) -> None:
    from triad.config.params import load
    from triad.retraining.back import roll_back

    publish = load().publish
    for said in roll_back(publish.model, publish.alias, version):
        click.echo(said)


@commands.command(
    help="Promote VERSION, such as an experiment's, if it passed against the present champion; deliver its lists."
)
@click.argument("version")
def promote(version: str) -> None:
    from triad.config.params import load
    from triad.retraining.back import ask_registry_of
    from triad.retraining.delivery import renew
    from triad.retraining.run import checkout
    from triad.tracking.promoting import promote as let_serve

    publish, here = load().publish, ask_registry_of(checkout())
    click.echo(let_serve(publish.model, publish.alias, version.removeprefix("v")))
    click.echo(renew(here))


@commands.group(help="Commands for the whole registry.")
def registry() -> None:
    pass


@registry.command(help="Start a new registry in place of a lost one; the next night's model is its first.")
def init() -> None:
    from triad.config.params import load
    from triad.tracking.promoting import begin

    click.echo(begin(load().publish.model))


@commands.command(help="Start Airflow and MLflow's pages on this machine; Ctrl-C stops them.")
def airflow() -> None:
    from triad.airflow.start import run

    run()
