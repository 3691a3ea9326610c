"""How a BentoML endpoint answers: its reply rendered, or the problem that kept it from being made."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from restock.errors import RestockError
from serving.problems import problem_response
from serving.telemetry import current_request_id

logger = logging.getLogger(__name__)

Reply = TypeVar("Reply", bound=BaseModel)


def answered(produce: Callable[[], Reply]) -> Reply:
    """Return the reply, or the problem that kept it from being made, as a response that is rendered already.

    BentoML sends a Response as it is, which spares its own rendering; the reply's type gives its clients the schema,
    so the type is kept although what comes back is the rendered form.
    """
    try:
        rendered = Response(produce().model_dump_json(), media_type="application/json")
    except RestockError as error:
        if error.http_status >= 500:
            logger.warning("request %s failed: %s", current_request_id.get(), error)
        rendered = problem_response(error)
    except ValidationError as error:
        # BentoML would blame the client for it.
        raise RuntimeError("the service's own reply is not valid") from error
    return cast("Reply", rendered)
