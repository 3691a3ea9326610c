"""How long one `/forecast` takes, beside a bare BentoML endpoint that echoes as many bytes, in the same run."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from restock.adapters.bento_server import FORECAST_SERVICE, find_services, service_command, service_environment
from restock.adapters.processes import start_process, stop_process, wait_until_ready
from restock.adapters.registry import ModelType
from restock.errors import NotReadyError
from restock.operations.access import Role
from restock.operations.forecast import SeriesRequest, forecast_stored
from restock.operations.identity.issuing import issue_token
from restock.operations.served_model import find_served_version, load_served_model
from restock.operations.stored_history import find_history, load_history
from restock.settings import Settings

FloatArray = NDArray[np.float64]

BARE_SERVICE = "restock.benchmarks.bare_service:BareService"
_READY_SECONDS = 120.0
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BLOCK_REQUESTS = 50


def measure_forecast_latency(settings: Settings, *, n_requests: int = 1_000) -> dict[str, Any]:
    """Return p50 and p99 of single `/forecast` requests, of a bare endpoint, and of the forecast itself.

    One client sends one request after another over kept-alive HTTP on loopback. The two services run side by side and
    take turns in blocks, so that whatever else the machine does falls on both. The bare endpoint is sent, and returns,
    what `/forecast` replied.

    Args:
        settings: the workspace; it holds a promoted version and validated tables.
        n_requests: requests to each service; a tenth more come first and are not counted.

    Raises:
        NotReadyError: nothing is promoted, or a service did not start.
    """
    import httpx

    forecast_once, request = _in_process(settings)
    with tempfile.TemporaryDirectory(prefix="restock-bench-") as scratch, httpx.Client(timeout=30.0) as client:
        database_url = SecretStr(f"sqlite:///{Path(scratch) / 'ledger.db'}")
        secured = settings.model_copy(update={"database_url": database_url})
        token = issue_token(secured, "bench", role=Role.SERVICE)
        headers = {"authorization": f"Bearer {token}"}
        with (
            running_service(FORECAST_SERVICE, secured, scratch=Path(scratch)) as forecast_address,
            running_service(BARE_SERVICE, secured, scratch=Path(scratch)) as bare_address,
        ):
            reply = client.post(f"{forecast_address}/forecast", json=request, headers=headers).raise_for_status()
            echoed = {"payload": reply.json()}

            def forecast() -> None:
                client.post(f"{forecast_address}/forecast", json=request, headers=headers).raise_for_status()

            def echo() -> None:
                client.post(f"{bare_address}/echo", json=echoed).raise_for_status()

            seconds = take_turns((forecast, echo), n_requests=n_requests)
    inside = take_turns((forecast_once,), n_requests=n_requests)[0]
    replied = reply.json()
    return {
        "model_version": replied["model"]["version"],
        "family": replied["model"]["family"],
        "horizon": len(replied["periods"]),
        "reply_bytes": len(reply.content),
        "n_requests": n_requests,
        **percentiles("forecast", seconds[0]),
        **percentiles("bare", seconds[1]),
        **percentiles("in_process", inside),
        "ratio_p50": round(float(np.median(seconds[0]) / np.median(seconds[1])), 2),
    }


def _in_process(settings: Settings) -> tuple[Callable[[], object], dict[str, Any]]:
    """Return the forecast as a call without HTTP, and the same as a request."""
    version = find_served_version(settings.models_dir, ModelType.DEMAND_FORECASTING)
    if version is None:
        raise NotReadyError("no demand_forecasting version is promoted, so there is nothing to time: make demo.")
    model = load_served_model(settings.models_dir, ModelType.DEMAND_FORECASTING, version)
    folder = settings.data_dir / "validated"
    identity = find_history(folder, frequency=model.frequency, horizon=model.forecaster.horizon)
    if identity is None:
        raise NotReadyError(f"{folder} holds no validated tables, so there is nothing to forecast: dvc repro validate.")
    history = load_history(folder, identity)
    sku, location = next(iter(history.rows))
    series = (SeriesRequest(sku=sku, location=location),)

    def forecast_once() -> object:
        return forecast_stored(model, history, series=series, horizon=None, quantiles=_QUANTILES)

    return forecast_once, {"sku": sku, "location": location, "quantiles": list(_QUANTILES)}


def take_turns(calls: tuple[Callable[[], object], ...], *, n_requests: int) -> list[FloatArray]:
    """Return the seconds of each call of each kind, called in alternating blocks."""
    for call in calls:
        for _ in range(max(n_requests // 10, 1)):
            call()
    seconds: list[list[float]] = [[] for _ in calls]
    while len(seconds[-1]) < n_requests:
        for kind, call in enumerate(calls):
            for _ in range(min(_BLOCK_REQUESTS, n_requests - len(seconds[kind]))):
                begun = time.perf_counter()
                call()
                seconds[kind].append(time.perf_counter() - begun)
    return [np.array(taken) for taken in seconds]


def percentiles(name: str, seconds: FloatArray) -> dict[str, float]:
    """Return p50 and p99 of seconds as milliseconds, under names that begin with `name`."""
    p50, p99 = np.percentile(seconds * 1e3, [50, 99])
    return {f"{name}_p50_ms": round(float(p50), 2), f"{name}_p99_ms": round(float(p99), 2)}


@contextmanager
def running_service(service: str, settings: Settings, *, scratch: Path) -> Iterator[str]:
    """Yield the address of a service that is ready, and stop it afterwards."""
    port = _free_port()
    environment = service_environment(settings, service, port=port)
    command = service_command(service, host="127.0.0.1", port=port)
    with _serving(command, port, scratch=scratch, environment=environment) as address:
        yield address


@contextmanager
def running_command(command: list[str], *, scratch: Path, environment: dict[str, str]) -> Iterator[str]:
    """Yield the address of a server that takes --host and --port and answers /readyz, and stop it afterwards."""
    port = _free_port()
    with _serving(
        [*command, "--host", "127.0.0.1", "--port", str(port)], port, scratch=scratch, environment=environment
    ) as address:
        yield address


@contextmanager
def _serving(command: list[str], port: int, *, scratch: Path, environment: dict[str, str]) -> Iterator[str]:
    record, log = scratch / f"{port}.json", scratch / f"{port}.log"
    process = start_process(
        command,
        record=record,
        log=log,
        environment=environment | {"BENTOML_HOME": str(scratch / f"bentoml-{port}")},
        folder=find_services(),
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_ready(f"{address}/readyz", process=process, log=log, timeout_seconds=_READY_SECONDS)
        yield address
    finally:
        stop_process(record)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
