"""The forecast service: demand quantiles by sku, location and horizon, from stored or posted history."""

from __future__ import annotations

import logging
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import bentoml
from bentoml.exceptions import BentoMLException

from restock.adapters.bento_server import SUPERVISOR_VARIABLE
from restock.adapters.registry import ModelType
from restock.errors import NotReadyError
from restock.operations.explain_forecast import explain_stored
from restock.operations.forecast import forecast_posted, forecast_stored
from restock.operations.hot_swap import HotSwap, Loaded, Refusal, Watcher
from restock.operations.identity.verifier import open_verifier
from restock.operations.served_model import (
    ServedModel,
    find_served_version,
    load_served_model,
    settle_memory,
)
from restock.operations.stored_history import HistoryIdentity, StoredHistory, find_history, load_history
from restock.settings import Settings, read_settings
from serving.asgi import Gateway, Readiness, ServiceFrame
from serving.forecast.api import ENDPOINTS, describe_api
from serving.forecast.explaining import ExplainReply, ExplainRequest, reply_of_explanation
from serving.forecast.requests import (
    ForecastBatchReply,
    ForecastBatchRequest,
    ForecastHistoryRequest,
    ForecastReply,
    ForecastRequest,
    reply_of_many,
    reply_of_one,
)
from serving.openapi import openapi_text, render_docs
from serving.replies import answered
from serving.telemetry import Telemetry, quieten_client_mistakes

logger = logging.getLogger(__name__)

_NAME = "forecast"
# More threads than cores only make requests wait for each other: a forecast computes, it does not wait.
_THREADS = 4


@bentoml.service(
    name="ForecastService",
    workers=1,
    threads=_THREADS,
    # Ours count by endpoint and model version; BentoML's label every path that anybody makes up.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class ForecastService:
    """Forecasts from the promoted version, and follows promotions and rollbacks while it runs."""

    def __init__(self) -> None:
        settings = read_settings()
        quieten_client_mistakes()
        logging.getLogger("restock").setLevel(settings.log_level)
        self._telemetry = Telemetry(_NAME)
        self._model: HotSwap[int, ServedModel] = HotSwap(
            "model",
            missing='no demand_forecasting version is promoted yet: restock promote demand_forecasting --reason "...".',
            find=lambda: find_served_version(settings.models_dir, ModelType.DEMAND_FORECASTING),
            load=lambda version: load_served_model(settings.models_dir, ModelType.DEMAND_FORECASTING, version),
            root=settings.home,
            on_loaded=self._note_model,
            on_refused=lambda _: self._telemetry.count_refusal("model"),
        )
        self._history: HotSwap[HistoryIdentity, StoredHistory] = HotSwap(
            "history",
            missing="no stored history was found yet: run the stages up to validate (dvc repro validate).",
            find=lambda: self._find_history(settings),
            load=lambda identity: load_history(_validated(settings), identity),
            root=settings.home,
            on_loaded=self._note_history,
            on_refused=lambda _: self._telemetry.count_refusal("history"),
        )
        document = describe_api()
        self.frame = ServiceFrame(
            endpoints={one.path: one.scope for one in ENDPOINTS},
            verifier=open_verifier(settings),
            readiness=self._readiness,
            telemetry=self._telemetry,
            openapi=openapi_text(document).encode(),
            docs=render_docs(document).encode(),
            max_body_bytes=settings.max_body_bytes,
        )
        # Only a worker has a supervisor; the application may also run by itself, as in a test.
        is_worker = bentoml.server_context.worker_index is not None
        self._supervisor = int(os.environ.get(SUPERVISOR_VARIABLE, os.getppid())) if is_worker else None
        self._check()
        self._watcher = Watcher(self._watch, interval_seconds=settings.reload_seconds)
        self._watcher.start()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def stop(self) -> None:
        """Stop watching for promotions."""
        self._watcher.stop()

    @bentoml.api(route="/forecast")  # type: ignore[untyped-decorator]
    def forecast(self, request: ForecastRequest, /) -> ForecastReply:
        """Forecast one series from stored history."""
        return answered(
            lambda: reply_of_one(
                forecast_stored(
                    self._model.current(),
                    self._history.current(),
                    series=request.to_series(),
                    horizon=request.horizon,
                    quantiles=request.quantiles,
                )
            )
        )

    @bentoml.api(route="/forecast_batch")  # type: ignore[untyped-decorator]
    def forecast_batch(self, request: ForecastBatchRequest, /) -> ForecastBatchReply:
        """Forecast many series from stored history in one go."""
        return answered(
            lambda: reply_of_many(
                forecast_stored(
                    self._model.current(),
                    self._history.current(),
                    series=request.to_series(),
                    horizon=request.horizon,
                    quantiles=request.quantiles,
                )
            )
        )

    @bentoml.api(route="/forecast_history")  # type: ignore[untyped-decorator]
    def forecast_history(self, request: ForecastHistoryRequest, /) -> ForecastReply:
        """Forecast one series whose history comes with the request."""
        return answered(
            lambda: reply_of_one(
                forecast_posted(
                    self._model.current(),
                    request.to_posted(),
                    history=self._stored_history(),
                    horizon=request.horizon,
                    quantiles=request.quantiles,
                    data_hash=request.data_hash(),
                    now=datetime.now(UTC),
                )
            )
        )

    @bentoml.api(route="/explain")  # type: ignore[untyped-decorator]
    def explain(self, request: ExplainRequest, /) -> ExplainReply:
        """Say what the forecast of one stored series is made of."""
        return answered(
            lambda: reply_of_explanation(
                explain_stored(
                    self._model.current(),
                    self._history.current(),
                    series=request.to_series(),
                    horizon=request.horizon,
                )
            )
        )

    def _watch(self) -> None:
        """Follow promotions and data, and stop where the supervisor was killed: nobody else would stop this worker."""
        if self._supervisor is not None and os.getppid() != self._supervisor:
            logger.warning("the supervisor is gone, so this worker stops")
            os.kill(os.getpid(), signal.SIGTERM)
        self._check()

    def _check(self) -> None:
        """Swap in a newly promoted version or newly validated data, whichever there is."""
        is_swapped = self._model.check()
        is_swapped |= self._history.check()
        if is_swapped:
            settle_memory()

    def _find_history(self, settings: Settings) -> HistoryIdentity | None:
        model = self._model.loaded
        if model is None:
            raise NotReadyError("stored history is read once a model is served.")
        return find_history(
            _validated(settings), frequency=model.value.frequency, horizon=model.value.forecaster.horizon
        )

    def _stored_history(self) -> StoredHistory | None:
        loaded = self._history.loaded
        return loaded.value if loaded is not None else None

    def _note_model(self, loaded: Loaded[int, ServedModel]) -> None:
        model = loaded.value
        self._telemetry.count_load("model", seconds=loaded.load_seconds)
        self._telemetry.name_model(model_type=model.model_type, family=model.family, version=model.version)

    def _note_history(self, loaded: Loaded[HistoryIdentity, StoredHistory]) -> None:
        self._telemetry.count_load("history", seconds=loaded.load_seconds)

    def _readiness(self) -> Readiness:
        model, history = self._model.loaded, self._history.loaded
        refusal = self._model.refusal
        report: dict[str, object] = {
            "model": None
            if model is None
            else {
                "model_type": model.value.model_type,
                "model_version": model.value.version,
                "family": model.value.family,
                "training_cutoff": model.value.training_cutoff.isoformat(),
                "since_utc": model.since_utc.isoformat(timespec="seconds"),
                "load_seconds": round(model.load_seconds, 3),
            },
            "refused": _refusal_report(refusal),
            "problem": self._model.problem,
            "history": {
                "problem": self._history.problem,
                **(
                    {}
                    if history is None
                    else {
                        "series": history.value.panel.n_series,
                        "cutoff": history.value.panel.last_observed.isoformat(),
                        "data_hash": history.value.data_hash,
                        "since_utc": history.since_utc.isoformat(timespec="seconds"),
                    }
                ),
            },
        }
        return Readiness(is_ready=model is not None, report=report)


def _refusal_report(refusal: Refusal[int] | None) -> dict[str, str] | None:
    if refusal is None:
        return None
    return {
        "model_version": f"model_version_{refusal.identity}",
        "reason": refusal.reason,
        "since_utc": refusal.since_utc.isoformat(timespec="seconds"),
    }


def _validated(settings: Settings) -> Path:
    return settings.data_dir / "validated"


def _frame() -> ServiceFrame | None:
    try:
        return cast("ServiceFrame", bentoml.get_current_service().frame)
    except BentoMLException:
        return None


cast("Any", ForecastService).add_asgi_middleware(Gateway, find_frame=_frame)
