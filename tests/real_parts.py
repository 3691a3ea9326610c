"""Servers that the tests marked `real` start for themselves, on loopback, and stop again."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Debian keeps each version's programs apart; the newest one serves.
_POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
_USER = "restock"


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_unprivileged(command: list[str]) -> list[str]:
    """Return a command that runs as nobody where we are root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]


@contextlib.contextmanager
def run_postgresql() -> Iterator[str]:
    """Yield the SQLAlchemy URL of a private, empty PostgreSQL cluster with a password."""
    if not _POSTGRESQL:
        raise RuntimeError("PostgreSQL is not installed. Run infra/dev/install-real-parts.")
    programs = _POSTGRESQL[-1]
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
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = [str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
        _run([*control, "-o", options, "start"])
        try:
            yield f"postgresql+psycopg://{_USER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "fast", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str]) -> None:
    """Run a command of the cluster; its output is shown where it fails."""
    # A server that is started keeps the pipe open: its output goes to a file.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(_as_unprivileged(command), stdout=output, stderr=output, cwd="/", check=False)
        if done.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed: {output.read()}")
