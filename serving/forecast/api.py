"""The forecast service's API: its endpoints, and the OpenAPI document that is committed and served."""

from __future__ import annotations

from typing import Any

from restock.operations.access import Scope
from serving.forecast.explaining import ExplainReply, ExplainRequest
from serving.forecast.requests import (
    ForecastBatchReply,
    ForecastBatchRequest,
    ForecastHistoryRequest,
    ForecastReply,
    ForecastRequest,
)
from serving.openapi import Endpoint, render_openapi

API_VERSION = "1"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        path="/forecast",
        summary="Forecast one series from stored history.",
        request=ForecastRequest,
        reply=ForecastReply,
        scope=Scope.FORECAST,
    ),
    Endpoint(
        path="/forecast_batch",
        summary="Forecast many series from stored history in one go.",
        request=ForecastBatchRequest,
        reply=ForecastBatchReply,
        scope=Scope.FORECAST,
    ),
    Endpoint(
        path="/forecast_history",
        summary="Forecast one series whose history comes with the request.",
        request=ForecastHistoryRequest,
        reply=ForecastReply,
        scope=Scope.FORECAST,
    ),
    Endpoint(
        path="/explain",
        summary="Say what the forecast of one stored series is made of, in units that add up to it.",
        request=ExplainRequest,
        reply=ExplainReply,
        scope=Scope.FORECAST,
    ),
)


def describe_api() -> dict[str, Any]:
    """Return the OpenAPI document of the forecast service."""
    return render_openapi(
        "restock forecast service",
        ENDPOINTS,
        description="Demand quantiles by sku, location and horizon, each with the model, cutoff and data that made it.",
        version=API_VERSION,
    )


if __name__ == "__main__":
    # `python -m serving.forecast.api > docs/openapi/forecast.json` renders the committed document anew.
    import sys

    from serving.openapi import openapi_text

    sys.stdout.write(openapi_text(describe_api()))
