"""The services of a workspace on one machine: MLflow, Airflow's components, the forecast and the planning service."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from restock.adapters.airflow_home import AirflowHome
from restock.adapters.supervisor import Service
from restock.errors import ConfigurationError
from restock.settings import Settings


class ServiceName(StrEnum):
    """What `restock up` starts, in this order."""

    MLFLOW = "mlflow"
    AIRFLOW_API = "airflow-api-server"
    AIRFLOW_DAGS = "airflow-dag-processor"
    AIRFLOW_SCHEDULER = "airflow-scheduler"
    FORECAST = "forecast"
    PLANNING = "planning"


AIRFLOW_SERVICES = (ServiceName.AIRFLOW_API, ServiceName.AIRFLOW_DAGS, ServiceName.AIRFLOW_SCHEDULER)
# The scheduler first, so that no task begins; the API server last, or a running task could not report its end.
_STOP_ORDER = (
    ServiceName.AIRFLOW_SCHEDULER,
    ServiceName.AIRFLOW_DAGS,
    ServiceName.PLANNING,
    ServiceName.FORECAST,
    ServiceName.MLFLOW,
    ServiceName.AIRFLOW_API,
)
_READY_SECONDS = 180.0


def logs_folder(settings: Settings) -> Path:
    """Return the folder of the services' logs and records."""
    return settings.home / "logs"


def service_url(settings: Settings, name: ServiceName) -> str | None:
    """Return where a service is found; None where it has no address of its own."""
    ports = {
        ServiceName.MLFLOW: settings.mlflow_port,
        ServiceName.AIRFLOW_API: settings.airflow_port,
        ServiceName.FORECAST: settings.forecast_port,
        ServiceName.PLANNING: settings.planning_port,
    }
    return f"http://{settings.host}:{ports[name]}" if name in ports else None


def choose_services(settings: Settings, wanted: Sequence[ServiceName]) -> tuple[ServiceName, ...]:
    """Return which services to start, in order: those wanted or, where none is named, all that make sense here.

    An MLflow server elsewhere, named by RESTOCK_MLFLOW_TRACKING_URI, needs none here. Airflow's components go together.
    """
    chosen = set(wanted or ServiceName)
    if not wanted and has_tracking_server(settings):
        chosen.discard(ServiceName.MLFLOW)
    if chosen & set(AIRFLOW_SERVICES):
        chosen |= set(AIRFLOW_SERVICES)
    return tuple(name for name in ServiceName if name in chosen)


def has_tracking_server(settings: Settings) -> bool:
    """Return whether the settings name an MLflow server."""
    return urlsplit(settings.tracking_uri).scheme in ("http", "https")


def require_free_ports(settings: Settings, names: Sequence[ServiceName]) -> None:
    """Refuse to start services whose port somebody else listens on.

    Raises:
        ConfigurationError: a port is taken; the message names the setting that changes it.
    """
    for name in names:
        url = service_url(settings, name)
        if url is None:
            continue
        port = urlsplit(url).port
        with socket.socket() as probe:
            is_taken = probe.connect_ex((settings.host, port)) == 0
        if is_taken:
            setting = {ServiceName.AIRFLOW_API: "AIRFLOW"}.get(name, name.value.upper())
            raise ConfigurationError(
                f"port {port} for {name} is taken by another program. Stop that one (restock down, if it is ours), or "
                f"set RESTOCK_{setting}_PORT to a free port."
            )


def build_services(
    settings: Settings, names: Sequence[ServiceName], *, airflow: AirflowHome | None
) -> tuple[Service, ...]:
    """Return what to run.

    Args:
        settings: workspace, host and ports.
        names: which, in order.
        airflow: Airflow's folder; needed where its components are among them.
    """
    tracking = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    if ServiceName.MLFLOW in names:
        tracking["RESTOCK_MLFLOW_TRACKING_URI"] = f"http://{settings.host}:{settings.mlflow_port}"
    services = []
    for name in names:
        own = airflow.environment if airflow is not None and name in AIRFLOW_SERVICES else {}
        services.append(
            Service(
                name=name.value,
                command=tuple(_command(settings, name)),
                environment=_shared_environment(settings) | tracking | own,
                folder=settings.home,
                health_url=_health_url(settings, name),
                ready_seconds=_READY_SECONDS,
                stop_rank=_STOP_ORDER.index(name),
            )
        )
    return tuple(services)


def migrate_command() -> list[str]:
    """Return the command that makes or upgrades Airflow's database."""
    return [sys.executable, "-m", "airflow", "db", "migrate"]


def _shared_environment(settings: Settings) -> dict[str, str]:
    return {
        "RESTOCK_WORKSPACE": str(settings.home),
        "RESTOCK_HOST": settings.host,
        "RESTOCK_FORECAST_PORT": str(settings.forecast_port),
        "RESTOCK_PLANNING_PORT": str(settings.planning_port),
        "RESTOCK_MLFLOW_PORT": str(settings.mlflow_port),
        "RESTOCK_AIRFLOW_PORT": str(settings.airflow_port),
        "PYTHONUNBUFFERED": "1",
    }


def _command(settings: Settings, name: ServiceName) -> list[str]:
    python = [sys.executable, "-m"]
    match name:
        case ServiceName.MLFLOW:
            return [
                *python,
                "mlflow",
                "server",
                f"--backend-store-uri=sqlite:///{settings.home / 'mlflow.db'}",
                # Artifacts are plain folders of the workspace, also for those who log without this server.
                f"--default-artifact-root={(settings.home / 'mlartifacts').as_uri()}",
                "--no-serve-artifacts",
                f"--host={settings.host}",
                f"--port={settings.mlflow_port}",
                "--workers=1",
            ]
        case ServiceName.AIRFLOW_API:
            return [*python, "airflow", "api-server"]
        case ServiceName.AIRFLOW_DAGS:
            return [*python, "airflow", "dag-processor"]
        case ServiceName.AIRFLOW_SCHEDULER:
            # Its log server would listen on every interface; here the API server reads the logs from the disk.
            return [*python, "airflow", "scheduler", "--skip-serve-logs"]
        case ServiceName.FORECAST | ServiceName.PLANNING:
            return [*python, "restock", "serve", name.value]


def _health_url(settings: Settings, name: ServiceName) -> str | None:
    url = service_url(settings, name)
    paths = {
        ServiceName.MLFLOW: "/health",
        ServiceName.AIRFLOW_API: "/api/v2/monitor/health",
        # Alive without a promoted version, too: the first promotion makes it ready.
        ServiceName.FORECAST: "/livez",
        ServiceName.PLANNING: "/readyz",
    }
    return None if url is None else url + paths[name]
