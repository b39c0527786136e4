"""`triad forget` and `triad pseudonym`: commands for a person's requests. Guide: docs/privacy.md."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from triad.errors import TriadError
from triad.redaction import KEY

_ids = click.argument("ids", nargs=-1, metavar="ID…")
_listed = click.option(
    "--file",
    "listed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="a file of more ids, one per line",
)


@click.command(help="Leave the users ID… out of every later ingest, and show which places still hold them.")
@_ids
@_listed
@click.option("--messages", is_flag=True, help="the ids are message ids of conversations, which name no user")
@click.option("--map", "only", is_flag=True, help="only show the places that hold them; exit code 3 if there are any")
@click.option("--lift", is_flag=True, help="take them off the list again; when and by whom is noted beside it")
@click.option("--list", "show", is_flag=True, help="only print the number of entries on the list, and the entries")
def forget(ids: tuple[str, ...], listed: Path | None, *, messages: bool, only: bool, lift: bool, show: bool) -> None:
    from triad.locking import held
    from triad.privacy import forgotten, shown_log, spelled, whole
    from triad.privacy.pseudonyms import key

    if show:
        _show()
        return
    every, here = _named(ids, listed), forgotten.deployment()
    if lift:
        count, audit = forgotten.lift(every, "message" if messages else "user")
        click.echo(f"{count} of {len(every)} are off the list {forgotten.place()}; noted in {audit}.")
        _restart(here)
        return
    for doubt in spelled.doubts(here, every, "message" if messages else "user"):
        sys.stderr.write(f"warning · {doubt}\n")
    if only:
        sys.exit(3 if whole.show(here, every) else 0)
    log = shown_log.folder_of(here)
    # one at a time: another, which knows of fewer persons, would write the log's lines of these anew
    with held(forgotten.place().with_name("forgetting"), wait=True):
        fresh = forgotten.add(every, "message" if messages else "user")
        gone = 0 if log is None else shown_log.without(log, forgotten.read().holds)
    click.echo(f"{fresh} of {len(every)} are new on the list {forgotten.place()}; keep a copy of it in your backup.")
    if key() is None:
        sys.stderr.write(
            f"warning · {KEY} is not set, so the list holds bare ids (only its owner may read it). "
            "With a key, forget any of them again, and all become pseudonyms.\n"
        )
    if gone:
        click.echo(f"{log}: {gone:,} lines of earlier days are deleted.")
    _restart(here)
    whole.show(here, every)


@click.command(help="Print the pseudonym of each ID, under the key in the environment.")
@_ids
@_listed
@click.option("--kind", type=click.Choice(["user", "event", "session", "message"]), default="user", show_default=True)
@click.option("--new-key", is_flag=True, help="let later ingests use this key although earlier nights used another")
def pseudonym(ids: tuple[str, ...], listed: Path | None, kind: str, new_key: bool) -> None:
    from triad.privacy.pseudonyms import needed_key

    secret = needed_key("triad pseudonym")
    if new_key:
        from triad.privacy.persons import renew_key

        click.echo(renew_key(secret))
        return
    for id_ in _named(ids, listed):
        click.echo(f"{id_}\t{secret.pseudonym(id_, kind)}")


def _named(ids: tuple[str, ...], listed: Path | None) -> list[str]:
    try:
        lines = listed.read_text(encoding="utf-8-sig").splitlines() if listed else []
    except UnicodeDecodeError as error:
        raise TriadError("is no UTF-8", where=str(listed), mend="save it as UTF-8, one id a line") from error
    words = [*ids, *(line.strip() for line in lines)]
    # a table may hold ids with blanks at their ends
    every = list(dict.fromkeys(spelt for word in words if word.strip() for spelt in (word.strip(), word)))
    if not every:
        raise TriadError("no id is named", where="ID…", mend="name ids as users.user_id has them, or a file of them")
    return every


def _restart(here: Path) -> None:
    from triad.privacy import whereabouts

    if (here / ".git").exists():
        for folder in whereabouts.without_days(here):
            click.echo(f"{folder}: the kept days are deleted; the next ingest reads all events again.")
        for folder in whereabouts.restart(here):
            click.echo(f"{folder}: `dvc repro`, or its night, will ingest again.")


def _show() -> None:
    from triad.privacy import forgotten

    known = forgotten.read()
    how = f"pseudonyms under the key of check value {known.check}" if known.check else "bare ids"
    click.echo(f"{len(known)} on the list {forgotten.place()}" + (f", as {how}" if len(known) else ""))
    for kind, names in known.named.items():
        for name in sorted(names):
            click.echo(f"{kind}\t{name}")
