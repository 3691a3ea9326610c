"""The real planning service of a workspace on a free loopback port."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from restock.adapters.bento_server import PLANNING_SERVICE, find_services, service_command, service_environment
from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.migrate import NOTHING, migrate
from restock.adapters.processes import start_process, stop_process, wait_until_ready
from restock.operations.access import Role
from restock.operations.identity.issuing import issue_token
from restock.settings import Settings
from tests.serving.planning.conftest import fill_catalogue


@dataclass(frozen=True)
class RunningPlanning:
    """The service, where it is, and a token that may book."""

    address: str
    token: str
    log: Path
    database_url: str

    def client(self):
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=f"{self.address}/api/v1", headers=headers, timeout=60)


@contextmanager
def running_planning(workspace, *, database_url=None, workers=1, environment=None):
    """Run the service on a database with a small catalogue."""
    url = database_url or f"sqlite:///{workspace / 'ledger.db'}"
    engine = open_database(url)
    migrate(engine, to=NOTHING)
    migrate(engine)
    with write_transaction(engine) as connection:
        fill_catalogue(connection)
    engine.dispose()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(workspace=workspace, database_url=url)
    token = issue_token(settings, f"scanner-{port}", role=Role.OPERATOR)
    record, log = workspace / "logs" / f"planning-{port}.json", workspace / "logs" / f"planning-{port}.log"
    variables = service_environment(settings, PLANNING_SERVICE, port=port, workers=workers)
    process = start_process(
        service_command(PLANNING_SERVICE, host="127.0.0.1", port=port),
        record=record,
        log=log,
        environment=variables | {"RESTOCK_REQUESTS_PER_SECOND": "100000"} | (environment or {}),
        folder=find_services(),
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(f"{address}/readyz", process=process, log=log, timeout_seconds=90)
        yield RunningPlanning(address, token, log, url)
    finally:
        stop_process(record)
