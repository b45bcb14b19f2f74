"""A PostgreSQL server of one test run: Debian's, on loopback, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from attrs import define, field
from ports import HOST, free_port

PASSWORD: Final = "a pass:word/of@its #own"


def programs() -> Path | None:
    """Return the folder of the newest server's programs; None if there is none."""
    there = sorted(
        (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda path: int(path.parent.name),
    )
    on_path = shutil.which("initdb")
    return there[-1] if there else Path(on_path).resolve().parent if on_path else None


@define(eq=False)
class Server:
    """A running server; anybody on loopback is let in as ``postgres``, ``reader`` by password."""

    folder: Path
    bin: Path
    port: int = field(factory=free_port, init=False)

    def address(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the address of a database, as ``--engine`` takes it."""
        return f"postgres://{user}@{HOST}:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run SQL as the database's owner and return what psql says."""
        done = subprocess.run(
            [self.bin / "psql", "-h", HOST, "-p", str(self.port), "-U", "postgres", "-d", database,
             "-v", "ON_ERROR_STOP=1", "-AtX", "-c", statement],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self) -> None:
        """Make a cluster, whose texts sort as no computer's would, and start it."""
        data = self.folder / "data"
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                  "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")  # fmt: skip
        (data / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        self._run(
            "pg_ctl", "-D", data, "-w", "-l", self.folder / "log", "-o",
            f"-p {self.port} -k {self.folder} -c listen_addresses={HOST} -c fsync=off", "start",
        )  # fmt: skip

    def stop(self) -> None:
        """Stop it."""
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str | Path) -> None:
        # It refuses root.
        user = "postgres" if os.geteuid() == 0 else None
        done = subprocess.run(
            [self.bin / program, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, check=False, user=user, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@contextmanager
def server() -> Iterator[Server]:
    """Give a server; the test is skipped where there is no PostgreSQL."""
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL server (apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            try:
                owner = pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("no user postgres, whom the server runs as")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        made = Server(folder, found)
        made.start()
        try:
            yield made
        finally:
            made.stop()
