"""`restock serve`: a service in the foreground."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from restock.cli.console import messages
from restock.settings import read_settings


class Served(StrEnum):
    """What can be served."""

    FORECAST = "forecast"
    PLANNING = "planning"


def serve(
    service: Annotated[Served, typer.Argument(help="Which service.")] = Served.FORECAST,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: RESTOCK_HOST.")] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Port to listen on; default: RESTOCK_FORECAST_PORT, RESTOCK_PLANNING_PORT."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; each forecast worker holds the model.")] = 1,
) -> None:
    """Serve forecasts, or the planning API, until stopped (Ctrl-C).

    The forecast service follows promotions and rollbacks while it runs. The planning service keeps the stock ledger;
    its database is made or upgraded first. Every request needs a token: restock token create.
    """
    from restock.adapters.bento_server import SERVICES, become_service
    from restock.adapters.local_services import ServiceName, require_free_ports

    settings = read_settings()
    name = ServiceName(service.value)
    setting = f"{service.value}_port"
    chosen_host, chosen_port = host or settings.host, port or getattr(settings, setting)
    require_free_ports(settings.model_copy(update={setting: chosen_port}), [name])
    if service is Served.PLANNING:
        from restock.operations.first_start import prepare_ledger

        for line in prepare_ledger(settings, is_seen_by_a_person=messages.is_terminal):
            messages.print(line, highlight=False, markup=False)
    address = f"http://{chosen_host}:{chosen_port}"
    messages.print(
        f"{service.value} service: {address}  docs: {address}/docs  state: {address}/readyz  (stop it: Ctrl-C)",
        highlight=False,
        markup=False,
    )
    become_service(settings, SERVICES[service.value], host=chosen_host, port=chosen_port, workers=workers)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("serve")(serve)
