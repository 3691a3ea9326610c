"""`restock up`, `down` and `status`: the services of a workspace on this machine, under a small supervisor."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from restock.adapters.local_services import (
    AIRFLOW_SERVICES,
    ServiceName,
    build_services,
    choose_services,
    logs_folder,
    migrate_command,
    require_free_ports,
    service_url,
)
from restock.cli.console import messages, output, print_json
from restock.errors import NotReadyError, RestockError
from restock.settings import Settings, find_workspace, read_settings

READY_SECONDS = 300.0
_SUPERVISOR = "supervisor"
_POLL_SECONDS = 0.2
_FIRST_TOKEN = "up"  # noqa: S105  (the name of a token, not a token)

_Names = Annotated[
    list[ServiceName] | None, typer.Option("--service", help="Only this one; repeatable. Default: all of them.")
]


def service_record(settings: Settings, name: ServiceName) -> Path:
    """Return the file that remembers a service that the demo starts."""
    from restock.adapters.supervisor import record_file

    return record_file(logs_folder(settings), name)


def start_service(settings: Settings, name: ServiceName) -> float:
    """Start a service alone in the background and return the seconds until it was ready.

    Raises:
        RestockError: it runs already.
        NotReadyError: it did not become ready; the message holds the end of its log.
    """
    from restock.adapters.processes import start_process, wait_until_ready

    service = build_services(settings, [name], airflow=None)[0]
    log = logs_folder(settings) / f"{service.name}.log"
    process = start_process(
        service.command,
        record=service_record(settings, name),
        log=log,
        environment=service.environment,
        folder=service.folder,
    )
    address = f"{service_url(settings, name)}/readyz"
    return wait_until_ready(address, process=process, log=log, timeout_seconds=READY_SECONDS)


def start_services(
    names: _Names = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay, and stop everything on Ctrl-C; for containers and systemd.")
    ] = False,
) -> None:
    """Start Airflow, MLflow and the forecast service for this workspace, and say where they are.

    They start in order, each once the one before is healthy; a supervisor restarts what dies. Passwords and the first
    token are made and printed at the first start only. `restock status` shows how things stand, `restock down` stops
    everything.

    \b
    Examples:
      restock up
      RESTOCK_WORKSPACE=.demo restock up
      restock up --service forecast
    """  # noqa: D301  (Typer's \b keeps the lines apart)
    from restock.adapters.processes import find_process, start_process
    from restock.adapters.supervisor import STATE_FILE, record_file

    settings = read_settings()
    chosen = choose_services(settings, names or [])
    logs = logs_folder(settings)
    running = find_process(record_file(logs, _SUPERVISOR))
    if running is not None:
        raise RestockError(
            f"the services of {settings.home} run already (supervisor {running.pid}). See them: restock status. "
            "Stop them: restock down."
        )
    _stop_leftovers(settings)
    # What an earlier supervisor noted is no news of this one.
    (logs / STATE_FILE).unlink(missing_ok=True)
    require_free_ports(settings, chosen)
    _prepare(settings, chosen)
    arguments = [f"--service={name}" for name in chosen]
    command = [sys.executable, "-m", "restock", "supervise", *arguments]
    if foreground:
        _print_places(settings, chosen)
        os.execve(sys.executable, command, os.environ | {"RESTOCK_WORKSPACE": str(settings.home)})  # noqa: S606
    start_process(
        command,
        record=record_file(logs, _SUPERVISOR),
        log=logs / f"{_SUPERVISOR}.log",
        environment={"RESTOCK_WORKSPACE": str(settings.home)},
        folder=settings.home,
    )
    _follow_start(settings, chosen, is_alive=lambda: find_process(record_file(logs, _SUPERVISOR)) is not None)
    _print_places(settings, chosen)


def _prepare(settings: Settings, chosen: tuple[ServiceName, ...]) -> None:
    """Make what the services need before they start, and print what is secret, this once."""
    from restock.operations.access import Role
    from restock.operations.first_start import prepare_ledger
    from restock.operations.identity.issuing import issue_first_token

    if ServiceName.PLANNING in chosen:
        for line in prepare_ledger(settings, is_seen_by_a_person=messages.is_terminal):
            messages.print(line, highlight=False, markup=False)
    token = issue_first_token(settings, _FIRST_TOKEN, role=Role.SERVICE) if ServiceName.FORECAST in chosen else None
    if token is not None:
        messages.print(f"first token for the forecast service (shown this once): {token}", highlight=False)
    if not set(chosen) & set(AIRFLOW_SERVICES):
        return
    airflow = _airflow_home(settings)
    if airflow.new_password is not None:
        messages.print(
            f"Airflow user admin, password (shown this once; kept in {airflow.passwords}): {airflow.new_password}",
            highlight=False,
            markup=False,
        )
    messages.print("Airflow's database …", highlight=False)
    done = subprocess.run(
        migrate_command(), env=os.environ | airflow.environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotReadyError(f"Airflow's database could not be made: {(done.stderr or done.stdout).strip()[-2000:]}")


def _airflow_home(settings: Settings) -> Any:
    from restock.adapters.airflow_home import prepare_airflow_home
    from restock.adapters.workspace import project_root

    return prepare_airflow_home(settings, dags=project_root() / "dags")


def supervise(names: _Names = None) -> None:
    """Run the services in the foreground until told to stop; `restock up` calls it."""
    from restock.adapters.processes import claim_record
    from restock.adapters.supervisor import Supervisor, record_file

    logging.getLogger("restock").setLevel(logging.INFO)
    settings = read_settings()
    chosen = choose_services(settings, names or [])
    airflow = _airflow_home(settings) if set(chosen) & set(AIRFLOW_SERVICES) else None
    logs = logs_folder(settings)
    supervisor = Supervisor(build_services(settings, chosen, airflow=airflow), logs=logs)
    with claim_record(record_file(logs, _SUPERVISOR)):
        supervisor.stop_on_signals()
        supervisor.run()


def _follow_start(settings: Settings, chosen: tuple[ServiceName, ...], *, is_alive: Callable[[], bool]) -> None:
    """Print every service as it becomes healthy.

    Raises:
        NotReadyError: the supervisor ended, or a service took too long; the message names the logs.
    """
    from restock.adapters.supervisor import ServiceState, read_states

    logs, begun, told = logs_folder(settings), time.monotonic(), set[str]()
    while len(told) < len(chosen):
        if not is_alive() or time.monotonic() - begun > READY_SECONDS:
            missing = ", ".join(name for name in chosen if name not in told)
            raise NotReadyError(
                f"{missing} did not become healthy. Look into {logs}; stop what runs: restock down. Then try again."
            )
        for name, state in read_states(logs).items():
            if name in chosen and name not in told and state["state"] == ServiceState.HEALTHY:
                told.add(name)
                messages.print(f"  {name} is healthy after {time.monotonic() - begun:.1f} s", highlight=False)
        time.sleep(_POLL_SECONDS)


def _print_places(settings: Settings, chosen: tuple[ServiceName, ...]) -> None:
    """Print where the services are found and what to do next."""
    titles = {
        ServiceName.AIRFLOW_API: "Airflow (user admin): trigger ingest_sales, train_demand_forecasting, promote_model",
        ServiceName.MLFLOW: "MLflow: compare the runs",
        ServiceName.FORECAST: "forecast service: API at /docs, state at /readyz",
    }
    for name, title in titles.items():
        if name in chosen:
            messages.print(f"{service_url(settings, name):<24} {title}", highlight=False)
    # Elsewhere the commands have to be told which workspace is meant.
    where = "" if find_workspace(Path.cwd()).resolve() == settings.home else f" --workspace {settings.home}"
    messages.print(
        f"state: restock status{where}   stop: restock down{where}   logs: {logs_folder(settings)}",
        highlight=False,
        markup=False,
    )


def stop_services(
    folder: Annotated[
        list[Path] | None, typer.Option("--workspace", help="Workspace whose services to stop; repeatable.")
    ] = None,
) -> None:
    """Stop what `restock up` or the demo left running; nothing happens where nothing runs."""
    settings = read_settings()
    for workspace in folder or [settings.root]:
        was_running = _stop_leftovers(Settings(workspace=workspace))
        messages.print(f"{workspace}: {'stopped' if was_running else 'nothing was running'}", highlight=False)


def _stop_leftovers(settings: Settings) -> bool:
    """Stop the supervisor, and whatever runs without one; return whether anything ran."""
    from restock.adapters.processes import stop_process
    from restock.adapters.supervisor import record_file

    logs = logs_folder(settings)
    # The supervisor stops its services in their order and needs longer than any one of them.
    found = [stop_process(record_file(logs, _SUPERVISOR), patience_seconds=READY_SECONDS)]
    found += [stop_process(record_file(logs, name)) for name in reversed(ServiceName)]
    return any(found)


def show_status(
    folder: Annotated[Path | None, typer.Option("--workspace", help="Workspace; default: this one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every service: state, memory, restarts and address. Exit code 1 where one is not healthy."""
    from restock.adapters.processes import find_process
    from restock.adapters.supervisor import ServiceState, measure_memory_mb, read_states, record_file

    settings = read_settings() if folder is None else Settings(workspace=folder)
    logs = logs_folder(settings)
    is_supervised = find_process(record_file(logs, _SUPERVISOR)) is not None
    rows = {}
    for name, noted in read_states(logs).items():
        memory = measure_memory_mb(logs, name)
        # Nobody keeps the notes up to date where no supervisor runs.
        state = noted["state"] if is_supervised else ("unsupervised" if memory else ServiceState.STOPPED.value)
        rows[name] = noted | {"state": state, "memory_mb": None if memory is None else round(memory)}
    if as_json:
        print_json({"supervised": is_supervised, "services": rows})
    elif not rows:
        messages.print(
            f"nothing was started yet in {settings.home}; start it: restock up", highlight=False, markup=False
        )
    else:
        output.print(_status_table(settings, rows))
        total = sum(row["memory_mb"] or 0 for row in rows.values())
        output.print(f"{total:,} MB in all; logs: {logs}", highlight=False, markup=False)
        _print_places(settings, tuple(name for name in ServiceName if name in rows))
    if not is_supervised or any(row["state"] != ServiceState.HEALTHY for row in rows.values()):
        raise typer.Exit(1)


def _status_table(settings: Settings, rows: dict[str, dict[str, Any]]) -> Table:
    table = Table(title=f"Services of {settings.home}", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("service", "state", "for", "MB", "restarts"):
        table.add_column(column, justify="right" if column in ("for", "MB", "restarts") else "left", no_wrap=True)
    for name, row in rows.items():
        since = datetime.now(UTC) - datetime.fromisoformat(row["since_utc"])
        colour = "green" if row["state"] == "healthy" else "yellow"
        memory = "" if row["memory_mb"] is None else f"{row['memory_mb']:,}"
        table.add_row(name, f"[{colour}]{row['state']}[/]", str(since).split(".")[0], memory, str(row["restarts"]))
    return table


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("up")(start_services)
    app.command("down")(stop_services)
    app.command("status")(show_status)
    app.command("supervise", hidden=True)(supervise)
