"""Starting a BentoML service of the checkout: its command line, its environment, and becoming it."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import NoReturn

import restock
from restock.errors import ConfigurationError
from restock.settings import Settings

# Requests under way have so long to come to an end when a service stops.
_GRACE_SECONDS = 5
SUPERVISOR_VARIABLE = "RESTOCK_SUPERVISOR_PID"
FORECAST_SERVICE = "serving.forecast.service:ForecastService"
PLANNING_SERVICE = "serving.planning.service:PlanningService"
SERVICES = {"forecast": FORECAST_SERVICE, "planning": PLANNING_SERVICE}


def find_services() -> Path:
    """Return the folder that holds serving/.

    Raises:
        ConfigurationError: restock was not installed from a checkout, or BentoML is not installed.
    """
    if importlib.util.find_spec("bentoml") is None:
        raise ConfigurationError("BentoML is not installed. Install it: make setup, or pip install 'restock[serving]'.")
    root = Path(restock.__file__).resolve().parents[2]
    if not (root / "serving" / "forecast" / "service.py").is_file():
        raise ConfigurationError(
            f"{root} holds no serving/forecast/service.py: restock was not installed from a checkout. "
            "Install it there: make setup."
        )
    return root


def service_command(service: str, *, host: str, port: int) -> list[str]:
    """Return the command that serves `service`, to be run in the folder of `find_services`."""
    command = [sys.executable, "-m", "bentoml", "serve", service, "--host", host, "--port", str(port)]
    # Replies that go on, such as streams of events, would hold a worker up for ever when it is to stop.
    return [*command, "--timeout-graceful-shutdown", str(_GRACE_SECONDS)]


def service_environment(settings: Settings, service: str, *, port: int, workers: int = 1) -> dict[str, str]:
    """Return the variables a service needs beside those of this process.

    Args:
        settings: where things run; the workspace is named outright, since the service runs in another folder.
        service: `module:Class`.
        port: its port; two services of a workspace don't share a folder for BentoML's files.
        workers: processes.
    """
    name = service.rpartition(":")[2]
    return {
        "RESTOCK_WORKSPACE": str(settings.root),
        "RESTOCK_DATABASE_URL": _absolute(settings.ledger_url),
        "BENTOML_HOME": str(settings.root / ".cache" / "bentoml" / f"{name}-{port}"),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_CONFIG_OPTIONS": f"services.{name}.workers={workers}",
    }


def _absolute(url: str) -> str:
    """Return a database's address that means the same from any folder."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url == prefix:
        return url
    return prefix + str(Path(url.removeprefix(prefix)).absolute())


def become_service(settings: Settings, service: str, *, host: str, port: int, workers: int) -> NoReturn:
    """Replace this process by the service, so that signals reach it and nothing is left when it ends.

    Raises:
        ConfigurationError: there is no checkout to serve from, or BentoML is not installed.
    """
    root = find_services()
    # This process becomes the supervisor: a worker that starts after it was killed must know whom to look for.
    supervisor = {SUPERVISOR_VARIABLE: str(os.getpid())}
    environment = os.environ | service_environment(settings, service, port=port, workers=workers) | supervisor
    command = service_command(service, host=host, port=port)
    os.chdir(root)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)  # noqa: S606  (our own fixed command; no shell)
