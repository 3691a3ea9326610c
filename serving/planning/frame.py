"""What the gateway needs of the planning API: the application behind its gate, readiness, documents, metrics."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from restock.adapters.database.migrate import require_migrated
from restock.errors import RestockError
from restock.operations.access import TokenVerifier
from restock.operations.background_work import BackgroundWork
from restock.settings import Settings
from serving.asgi import Readiness, ServiceFrame
from serving.openapi import openapi_text, render_docs
from serving.planning.app import build_application, describe_api
from serving.planning.context import PlanningContext
from serving.planning.events import EventBroker
from serving.planning.gate import Gate
from serving.planning.identifying import identify
from serving.planning.recommending import ENDPOINTS
from serving.telemetry import Telemetry

_NAME = "planning"


def build_frame(
    engine: Engine,
    settings: Settings,
    *,
    now: Callable[[], datetime],
    verifier: TokenVerifier,
    broker: EventBroker | None = None,
    background: BackgroundWork | None = None,
) -> ServiceFrame:
    """Return the frame of the planning service.

    Args:
        engine: the ledger's database.
        settings: where things run.
        now: returns the time, UTC.
        verifier: knows who a token belongs to.
        broker: hands events to those who listen; None for one that nobody feeds.
        background: the work beside answering, for the readiness report; None where there is none.
    """
    context = PlanningContext(engine=engine, settings=settings, now=now, broker=broker or EventBroker(engine))
    application = build_application(context)
    document = describe_api()
    return ServiceFrame(
        endpoints={one.path: one.scope for one in ENDPOINTS},
        verifier=verifier,
        readiness=lambda: _readiness(engine, background),
        telemetry=Telemetry(_NAME),
        openapi=openapi_text(document).encode(),
        docs=render_docs(document).encode(),
        max_body_bytes=settings.max_body_bytes,
        application=Gate(
            application,
            identify=partial(identify, verifier=verifier, context=context),
            max_body_bytes=settings.max_body_bytes,
            max_upload_bytes=settings.max_upload_bytes,
            requests_per_second=settings.requests_per_second,
        ),
    )


def _readiness(engine: Engine, background: BackgroundWork | None) -> Readiness:
    try:
        require_migrated(engine)
    except RestockError as error:
        return Readiness(is_ready=False, report={"database": str(error)})
    except SQLAlchemyError as error:
        # The driver's message names addresses and users; its kind is enough to know where to look.
        return Readiness(is_ready=False, report={"database": f"can't be reached ({type(error).__name__})"})
    # A job that fails does not stop the service from answering: its problem is shown, and logged.
    work = {} if background is None else {name: each.problem or "ok" for name, each in background.health.items()}
    return Readiness(is_ready=True, report={"database": engine.dialect.name, "background": work})
