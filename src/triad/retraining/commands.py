"""`triad retraining …`: the commands that a scheduler calls. The last line on standard output is JSON.

Exit codes: 0 done; 1 try again; 3 only a person can fix it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from triad import machine
from triad.errors import TriadError


class Unattended(click.Group):
    """Turns errors into the exit codes above, and into JSON."""

    def invoke(self, context: click.Context) -> Any:
        from triad.retraining.run import say

        try:
            with machine.faults_explained():
                return super().invoke(context)
        except TriadError as error:
            sys.stderr.write(f"\nerror · {error}\n")
            say({"error": {"what": error.what, "where": error.where, "mend": error.mend}})
            sys.exit(1 if error.transient else 3)


@click.group(cls=Unattended, help=__doc__)
def retraining() -> None:
    pass


_WORKSPACE = click.option(
    "--workspace", required=True, type=click.Path(path_type=Path), help="the folder that `open` printed"
)


_ASKED = (
    click.option("--as-of", required=True, metavar="YYYY-MM-DD", help="the first day that is not read"),
    click.option(
        "--config", type=click.Path(path_type=Path), help="a file with sections that replace those of params.yaml"
    ),
    click.option("--task", "tasks", multiple=True, help="learn only this task; may be repeated"),
    click.option(
        "--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="set one value; may be repeated"
    ),
    click.option(
        "--night",
        type=click.Choice(["full", "light"]),
        help="light: only teach the model that serves the newest days; by default retraining.full_every_days decides",
    ),
)


def _asked(command: Any) -> Any:
    """`command` with the options that say what a run is of."""
    for option in reversed(_ASKED):
        command = option(command)
    return command


@retraining.command("open", help="Create the workspace of RUN_ID, or find it again.")
@click.argument("run_id")
@_asked
def open_(run_id: str, **asked: Any) -> None:
    from triad.retraining.opening import open_run
    from triad.retraining.run import say

    run = open_run(run_id, **asked)
    say({name: getattr(run, name) for name in ("workspace", "as_of", "revision", "run_id", "trigger", "seed", "night")})


@retraining.command(help="Run a whole night here: open it, run its stages, close it. Asked again, it goes on.")
@click.option("--run-id", help="its name; by default of its kind and day")
@_asked
def night(run_id: str | None, **asked: Any) -> None:
    from triad.retraining.closing import close_run
    from triad.retraining.opening import open_run
    from triad.retraining.run import say
    from triad.retraining.stage import run_all

    run = open_run(run_id or f"{asked['night'] or 'night'}__{asked['as_of']}", **asked)
    said, code = run_all(run)
    if code == 0:
        said |= close_run(run)
    _tell_error(said)
    say({**{name: getattr(run, name) for name in ("workspace", "as_of", "night")}, **said})
    sys.exit(code)


@retraining.command(help="Run the stage NAME unless it is up to date.")
@click.argument("name")
@_WORKSPACE
@click.option("--force", is_flag=True, help="run it even if it is up to date")
def stage(name: str, workspace: Path, force: bool) -> None:
    from triad.retraining.run import Run, say
    from triad.retraining.stage import run_stage

    said, code = run_stage(name, Run.read(workspace), force=force)
    _tell_error(said)
    say(said)
    sys.exit(code)


def _tell_error(said: dict[str, Any]) -> None:
    if error := said.get("error"):
        sys.stderr.write("\nerror · {where}: {what}\n  to fix it: {mend}\n".format(**error))


@retraining.command(help="List the stages that would run, without running any.")
@_WORKSPACE
def plan(workspace: Path) -> None:
    from triad.retraining.graph import stages, stale
    from triad.retraining.run import Run, say

    folder = Run.read(workspace).folder
    changed = stale(folder)
    for stage in stages(folder):
        read = "is read again, what follows runs if it changed" if stage.meta.get("reads_source") else "is up to date"
        sys.stderr.write(f"{stage.name:<12} {'would run' if changed[stage.name] else read}\n")
    say({"would_run": [name for name, runs in changed.items() if runs]})


@retraining.command(help="Deliver the lists, push the data, and commit the night on a branch.")
@_WORKSPACE
def close(workspace: Path) -> None:
    from triad.retraining.closing import close_run
    from triad.retraining.run import Run, say

    say(close_run(Run.read(workspace)))


@retraining.command(help="Remove old workspaces, deliveries and cached data by the rule in docs/retraining.md.")
@click.option(
    "--keep-days",
    type=click.IntRange(0),
    default=14,
    show_default=True,
    help="days that failed runs and the data of nights stay",
)
@click.option(
    "--keep", type=click.IntRange(0), default=3, show_default=True, help="number of closed workspaces that stay"
)
@click.option(
    "--keep-branch-days", "branch_days", type=click.IntRange(0), help="days after which branches retrain/* are deleted"
)
@click.option("--keep-versions", "versions", type=click.IntRange(0), help="number of the newest versions that stay")
@click.option(
    "--keep-run-days", "run_days", type=click.IntRange(0), help="days after which runs without a version are deleted"
)
@click.option("--remote", help="also remove data from this DVC remote that no branch, tag or worktree names")
@click.option("--dry", is_flag=True, help="only report what would be removed")
def prune(keep_days: int, keep: int, dry: bool, **further: Any) -> None:
    from triad.retraining.pruning import Further
    from triad.retraining.pruning import prune as remove
    from triad.retraining.run import say

    say(remove(keep_days, keep, Further(**further), dry=dry))


@retraining.command(help="Make the lists of the version that serves from the newest tables, and deliver them.")
def deliver() -> None:
    from triad.retraining.delivery import renew
    from triad.retraining.run import checkout, say

    say({"delivery": renew(checkout())})
