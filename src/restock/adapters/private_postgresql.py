"""A private PostgreSQL cluster on loopback, made, started and removed again: for tests and for the bench."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from restock.errors import ConfigurationError, RestockError

_USER = "restock"


def find_programs() -> Path | None:
    """Return the folder of the newest installed PostgreSQL's programs; None where there is none."""
    # Debian keeps each version's programs apart, off the PATH.
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def run_postgresql(*, fsync: str = "off") -> Iterator[str]:
    """Yield the SQLAlchemy URL of a private, empty PostgreSQL cluster with a password.

    Args:
        fsync: `on` where a commit must reach the disk, as in production.

    Raises:
        ConfigurationError: PostgreSQL is not installed.
        RestockError: the cluster can't be made or started.
    """
    programs = find_programs()
    if programs is None:
        raise ConfigurationError("PostgreSQL is not installed. Run infra/dev/install-real-parts.")
    # Not below pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="restock-postgresql-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        folder.chmod(0o700)
        password, data, port = "s3cret-pw", folder / "data", free_port()
        password_file = folder / "password"
        password_file.write_text(password, encoding="utf-8")
        password_file.chmod(0o644)
        setup = [str(programs / "initdb"), "-D", str(data), "-U", _USER, "-A", "scram-sha-256"]
        _run([*setup, "--pwfile", str(password_file), "--no-sync", "-E", "UTF8"])
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync={fsync}"
        control = [str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
        _run([*control, "-o", options, "start"])
        try:
            yield f"postgresql+psycopg://{_USER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "fast", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_unprivileged(command: list[str]) -> list[str]:
    """Return a command that runs as nobody where we are root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]


def _run(command: list[str]) -> None:
    """Run a command of the cluster; its output is shown where it fails."""
    # A server that is started keeps the pipe open: its output goes to a file.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(_as_unprivileged(command), stdout=output, stderr=output, cwd="/", check=False)
        if done.returncode != 0:
            output.seek(0)
            raise RestockError(f"{' '.join(command)} failed: {output.read()}")
