"""`restock serve`: the forecast service in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from restock.cli.console import messages
from restock.settings import read_settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: RESTOCK_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on; default: RESTOCK_FORECAST_PORT.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; each holds the model.")] = 1,
) -> None:
    """Serve forecasts from the promoted version until stopped (Ctrl-C).

    Promotions and rollbacks are followed while it runs. Every request needs a token: restock token create.
    """
    from restock.adapters.bento_server import FORECAST_SERVICE, become_service
    from restock.adapters.local_services import ServiceName, require_free_ports

    settings = read_settings()
    chosen_host, chosen_port = host or settings.host, port or settings.forecast_port
    require_free_ports(settings.model_copy(update={"forecast_port": chosen_port}), [ServiceName.FORECAST])
    address = f"http://{chosen_host}:{chosen_port}"
    messages.print(
        f"forecast service: {address}  docs: {address}/docs  state: {address}/readyz  (stop it: Ctrl-C)",
        highlight=False,
        markup=False,
    )
    become_service(settings, FORECAST_SERVICE, host=chosen_host, port=chosen_port, workers=workers)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("serve")(serve)
