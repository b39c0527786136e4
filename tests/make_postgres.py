"""A real PostgreSQL server on the loopback, for tests: made in a folder of its own, and ended by its process id."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

USER, PASSWORD, DATABASE = "shop_reader", "s3cret/p@ss:word", "postgres"


def programs() -> Path | None:
    """The folder of initdb and postgres; None where they are not installed."""
    found = shutil.which("postgres") or next(
        iter(sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/postgres")))), None
    )
    folder = Path(found).resolve().parent if found else None
    return folder if folder and (folder / "initdb").exists() else None


@dataclass(frozen=True)
class Server:
    """A server that runs. Its owner is the user of the tests."""

    port: int

    @property
    def address(self) -> str:
        """As the params name it: without the password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def run(self, *statements: str) -> list[Any]:
        """Commits the statements; the rows of the last one that is a query."""
        from adbc_driver_postgresql import dbapi

        uri = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{DATABASE}"
        with dbapi.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def server() -> Iterator[Server]:
    """A new server. `initdb` refuses root, so root runs it as nobody."""
    folder = programs()
    assert folder is not None, "ask `programs` first"
    who = {"user": pwd.getpwnam("nobody").pw_uid, "group": pwd.getpwnam("nobody").pw_gid} if os.getuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="triad-postgres-", dir="/tmp") as home, socket.socket() as free:
        data, secret = Path(home) / "data", Path(home) / "password"
        secret.write_text(PASSWORD)
        for path in (Path(home), secret) if who else ():
            os.chown(path, who["user"], who["group"])
        made = [folder / "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync"]
        subprocess.run([*made, "--locale=C", "--encoding=UTF8"], check=True, cwd=home, capture_output=True, **who)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [folder / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-F"]
        with (Path(home) / "log").open("w") as log:
            process = subprocess.Popen(command, cwd=home, stdout=log, stderr=log, **who)
        try:
            running = Server(port)
            _wait(running, process)
            yield running
        finally:
            process.terminate()  # a smart shutdown waits for clients
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.send_signal(2)  # a fast one does not
                process.wait(20)


def _wait(running: Server, process: subprocess.Popen) -> None:
    from adbc_driver_postgresql.dbapi import Error

    deadline = time.monotonic() + 30
    while True:
        try:
            running.run("SELECT 1")
            return
        except Error:
            assert process.poll() is None and time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.05)
