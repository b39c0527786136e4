"""`triad <stage>` runs one stage of dvc.yaml. The other commands are for people."""

from __future__ import annotations

import codecs
import importlib
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from triad import machine, plain, scratch
from triad.ablations.commands import ablations
from triad.advice.commands import advise
from triad.artifacts import ARTIFACTS, recover
from triad.costs import measured
from triad.errors import TriadError
from triad.locking import held
from triad.misfiled.commands import misfiled
from triad.paths import entry
from triad.privacy.commands import forget, pseudonym
from triad.redaction import Formatter, tell_unexpected
from triad.retraining.commands import retraining
from triad.serving.commands import serve
from triad.serving.online_commands import online
from triad.tuning.commands import tune
from triad.writing.commands import describe

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

# Variables that must be set before a process that runs stages starts. The malloc settings keep glibc from returning
# each training step's memory to the system and requesting it again (560 → 943 examples/s on two CPU cores).
ENVIRONMENT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "67108864",
    # waiting threads must sleep: with spinning ones the boosted trees took 219 s instead of 40 s beside other work
    "OMP_WAIT_POLICY": "PASSIVE",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "KERAS_BACKEND": "tensorflow",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
}


def main() -> None:
    """The console entry: settles the environment, then parses the command line."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(asctime)s %(name)s · %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    sys.excepthook = tell_unexpected
    logging.getLogger("triad").setLevel(logging.INFO)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on tracing is for developers of networks
    plain.speak()
    try:
        _enter_own_environment()
        scratch.begin()
        with machine.faults_explained():
            commands.main(standalone_mode=False)
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


def _enter_own_environment() -> None:
    """Restart once, with the environment above and with the code of the present checkout.

    A night's run has its own checkout: its stages must run that revision's code, whatever revision is installed.
    """
    wanted = {name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()}
    here = next((path.resolve() for path in (Path("src/triad"), Path("../src/triad")) if path.is_dir()), None)
    if here is not None and here != Path(__file__).resolve().parent:
        wanted["PYTHONPATH"] = entry(here.parent)
    # files are UTF-8 whatever encoding the terminal has; output to the terminal keeps its encoding
    wanted |= {"PYTHONUTF8": "1"}
    if codecs.lookup(sys.stdout.encoding).name != "utf-8":
        wanted.setdefault("PYTHONIOENCODING", os.environ.get("PYTHONIOENCODING", sys.stdout.encoding))
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        arguments = [sys.executable, "-m", "triad", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, **wanted})


@click.group(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    recover(ARTIFACTS)


def _add_stage(name: str) -> None:
    @commands.command(name, help=f"Run the stage {name} with the params.yaml of this folder.")
    def run() -> None:
        from triad.artifacts import check_inputs
        from triad.config.params import load
        from triad.retraining.nights import check_stage
        from triad.starting import check as check_start

        params = load()
        check_stage(name, params.retraining.night)
        check_inputs(name)
        if name == STAGES[0]:
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
commands.add_command(retraining)
commands.add_command(ablations)
commands.add_command(tune)
commands.add_command(serve)
commands.add_command(online)
commands.add_command(forget)
commands.add_command(pseudonym)
commands.add_command(describe)
commands.add_command(misfiled)
commands.add_command(advise)


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
    from triad.config import reference

    if markdown:
        click.echo(reference.markdown(), nl=False)
        return
    for key in reference.every_key():
        if word in key.path:
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
    fetching.fetch(model, number, folder)
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
