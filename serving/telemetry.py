"""What a service tells about itself: Prometheus metrics, request ids, and a log without rows or secrets."""

from __future__ import annotations

import logging
import os
import re
import uuid
from contextvars import ContextVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector
from pydantic import ValidationError

# The id of the request that is being answered; worker threads inherit it.
current_request_id: ContextVar[str] = ContextVar("current_request_id", default="none")

METRICS_MEDIA_TYPE = CONTENT_TYPE_LATEST
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECONDS_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_BENTO_LOGGER = "bentoml._internal.server.http_app"


class Telemetry:
    """The metrics of one service in one process.

    BentoML sets PROMETHEUS_MULTIPROC_DIR, so that the counts of all its workers add up in whichever is scraped.

    Args:
        service: name of the service, a label of every metric.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "restock_requests_total",
            "Requests answered, by endpoint, HTTP status and the model version that was served.",
            ("service", "endpoint", "status", "model_version"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "restock_request_seconds",
            "Seconds from the first byte read to the last byte handed over, by endpoint and HTTP status.",
            ("service", "endpoint", "status"),
            buckets=_SECONDS_BUCKETS,
            registry=self._registry,
        )
        self._model = Gauge(
            "restock_served_model",
            "1 for the model version that is served, 0 for those served before.",
            ("service", "model_type", "family", "model_version"),
            multiprocess_mode="mostrecent",
            registry=self._registry,
        )
        self._load_seconds = Gauge(
            "restock_load_seconds",
            "Seconds that the last load took, by what was loaded: model or history.",
            ("service", "what"),
            multiprocess_mode="mostrecent",
            registry=self._registry,
        )
        self._swaps = Counter(
            "restock_swaps_total",
            "Loads that were tried while serving, by what was loaded and outcome: loaded or refused.",
            ("service", "what", "outcome"),
            registry=self._registry,
        )
        self._served: tuple[str, str, str] | None = None

    def count_request(self, endpoint: str, status: int, *, seconds: float) -> None:
        """Count one answered request."""
        version = self._served[2] if self._served is not None else "none"
        self._requests.labels(self.service, endpoint, str(status), version).inc()
        self._seconds.labels(self.service, endpoint, str(status)).observe(seconds)

    def count_load(self, what: str, *, seconds: float) -> None:
        """Count one load that was swapped in."""
        self._load_seconds.labels(self.service, what).set(seconds)
        self._swaps.labels(self.service, what, "loaded").inc()

    def count_refusal(self, what: str) -> None:
        """Count one load that stays out."""
        self._swaps.labels(self.service, what, "refused").inc()

    def name_model(self, *, model_type: str, family: str, version: str) -> None:
        """Say which model version is served from now on."""
        served = (model_type, family, version)
        if self._served is not None and self._served != served:
            self._model.labels(self.service, *self._served).set(0)
        self._model.labels(self.service, *served).set(1)
        self._served = served

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        merged = CollectorRegistry()
        MultiProcessCollector(merged)  # type: ignore[no-untyped-call]
        return generate_latest(merged)


def request_id_of(given: str | None) -> str:
    """Return the client's request id where it is one, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex


class _ClientMistakes(logging.Filter):
    """Drops BentoML's traceback of a body that broke its model: it is the client's mistake, and it quotes the body."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is kept."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, ValidationError)


def quieten_client_mistakes() -> None:
    """Keep rejected bodies out of BentoML's error log; calling it again changes nothing."""
    logger = logging.getLogger(_BENTO_LOGGER)
    if not any(isinstance(kept, _ClientMistakes) for kept in logger.filters):
        logger.addFilter(_ClientMistakes())
