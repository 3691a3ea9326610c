"""`restock up` and `restock down`: the services of a workspace in the background."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from restock.cli.console import messages
from restock.settings import Settings, read_settings

READY_SECONDS = 120.0


def service_record(settings: Settings) -> Path:
    """Return the file that remembers the background service of a workspace."""
    return settings.root / "logs" / "forecast.json"


def start_forecast_service(settings: Settings) -> float:
    """Start the forecast service in the background and return the seconds until it was ready.

    Raises:
        RestockError: it runs already.
        NotReadyError: it did not become ready; the message holds the end of its log.
    """
    from restock.adapters.processes import start_process, wait_until_ready

    log = settings.root / "logs" / "forecast.log"
    process = start_process(
        [sys.executable, "-m", "restock", "serve"],
        record=service_record(settings),
        log=log,
        environment={
            "RESTOCK_WORKSPACE": str(settings.root),
            "RESTOCK_HOST": settings.host,
            "RESTOCK_FORECAST_PORT": str(settings.forecast_port),
        },
        folder=settings.root,
    )
    address = f"http://{settings.host}:{settings.forecast_port}/readyz"
    return wait_until_ready(address, process=process, log=log, timeout_seconds=READY_SECONDS)


def start_services() -> None:
    """Start the forecast service in the background and wait until it is ready.

    It serves the version that `restock promote` made current. `restock down` stops it.
    """
    settings = read_settings()
    seconds = start_forecast_service(settings)
    address = f"http://{settings.host}:{settings.forecast_port}"
    messages.print(f"forecast service ready in {seconds:.1f} s: {address} (stop it: restock down)", highlight=False)


def stop_services(
    folder: Annotated[
        list[Path] | None, typer.Option("--workspace", help="Workspace whose services to stop; repeatable.")
    ] = None,
) -> None:
    """Stop what `restock up` or the demo left running; nothing happens where nothing runs."""
    from restock.adapters.processes import stop_process

    settings = read_settings()
    for workspace in folder or [settings.root]:
        chosen = Settings(workspace=workspace)
        was_running = stop_process(service_record(chosen))
        messages.print(f"{workspace}: {'stopped' if was_running else 'nothing was running'}", highlight=False)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("up")(start_services)
    app.command("down")(stop_services)
