"""The planning service: catalogue, ledger, orders, counts, alerts and analytics under /api/v1."""

from __future__ import annotations

import logging
import os
import random
import signal
from datetime import UTC, datetime
from typing import Any, cast

import bentoml
from bentoml.exceptions import BentoMLException

from restock.adapters.bento_server import SUPERVISOR_VARIABLE
from restock.adapters.database.engine import open_database
from restock.operations.hot_swap import Watcher
from restock.operations.identity.verifier import open_verifier
from restock.operations.planning_work import planning_work
from restock.operations.replenishment.recommend import recommend
from restock.settings import read_settings
from serving.asgi import Gateway, ServiceFrame
from serving.planning.events import EventBroker
from serving.planning.frame import build_frame
from serving.planning.recommending import RecommendReply, RecommendRequest, reply_of_recommendations
from serving.planning.turns import computing
from serving.replies import answered
from serving.telemetry import quieten_client_mistakes

logger = logging.getLogger(__name__)


@bentoml.service(
    name="PlanningService",
    workers=1,
    threads=4,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class PlanningService:
    """Answers the planning API from the ledger's database."""

    def __init__(self) -> None:
        settings = read_settings()
        self._settings = settings
        quieten_client_mistakes()
        logging.getLogger("restock").setLevel(settings.log_level)
        self._engine = open_database(settings.ledger_url)
        broker = EventBroker(self._engine)
        self._background = planning_work(
            self._engine,
            settings,
            now=_now,
            rng=random.SystemRandom(),
            followers=[broker],
        )
        self.frame = build_frame(
            self._engine,
            settings,
            now=_now,
            verifier=open_verifier(settings),
            broker=broker,
            background=self._background,
        )
        is_worker = bentoml.server_context.worker_index is not None
        self._supervisor = int(os.environ.get(SUPERVISOR_VARIABLE, os.getppid())) if is_worker else None
        self._watcher = Watcher(self._watch, interval_seconds=settings.reload_seconds)
        self._watcher.start()
        self._background.start()

    @bentoml.api(route="/recommend")  # type: ignore[untyped-decorator]
    def recommend(self, request: RecommendRequest, /) -> RecommendReply:
        """Say what to order of some lines as they are now."""
        lines = [line.to_line() for line in request.lines]

        def answer() -> RecommendReply:
            with computing():
                return reply_of_recommendations(recommend(self._settings, lines, as_of=request.as_of))

        return answered(answer)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def stop(self) -> None:
        """Stop the work in the background and let go of the database."""
        self._background.stop()
        self._watcher.stop()
        self._engine.dispose()

    def _watch(self) -> None:
        """Stop where the supervisor was killed: nobody else would stop this worker."""
        if self._supervisor is not None and os.getppid() != self._supervisor:
            logger.warning("the supervisor is gone, so this worker stops")
            os.kill(os.getpid(), signal.SIGTERM)


def _now() -> datetime:
    return datetime.now(UTC)


def _frame() -> ServiceFrame | None:
    try:
        return cast("ServiceFrame", bentoml.get_current_service().frame)
    except BentoMLException:
        return None


cast("Any", PlanningService).add_asgi_middleware(Gateway, find_frame=_frame)
