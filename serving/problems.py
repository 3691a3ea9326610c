"""Errors as RFC 9457 problem details: the one place where what went wrong becomes a status and a JSON body."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from restock.errors import ConfigurationError, NotReadyError, RestockError
from serving.telemetry import current_request_id

PROBLEM_MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:restock:problem:"
_RETRY_SECONDS = "5"
_NAMED_FAULTS = 20


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One error as a client sees it.

    Attributes:
        status: HTTP status.
        kind: stable identifier, the end of the problem's `type`.
        title: the same short words for every problem of this kind.
        detail: what is wrong this time, what was expected and how to mend it.
        extensions: further members, such as `errors` or `near_matches`.
        headers: HTTP headers that belong to the status.
    """

    status: int
    kind: str
    title: str
    detail: str
    extensions: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, *, request_id: str) -> bytes:
        """Return the JSON body; `instance` names the request, so that a report can be matched with the log."""
        members = {
            "type": _TYPE_PREFIX + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:restock:request:{request_id}",
            **self.extensions,
        }
        # surrogatepass is not needed: JSON parsing has refused lone surrogates, and ASCII output escapes the rest.
        return json.dumps(members).encode("ascii")


def problem_of(error: RestockError) -> Problem:
    """Return the problem that tells a client about `error`."""
    return Problem(
        status=error.http_status,
        kind=_kind_of(type(error)),
        title=error.title,
        detail=_public_detail(error),
        extensions=error.members(),
        headers=_headers_of(error.http_status) | _retry_header(error),
    )


def problem_response(error: RestockError) -> Response:
    """Return the reply that tells a client about `error`, for an endpoint that runs inside a request."""
    return respond(problem_of(error))


def respond(problem: Problem) -> Response:
    """Return a problem as the reply of an endpoint that runs inside a request."""
    return Response(
        problem.body(request_id=current_request_id.get()),
        status_code=problem.status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers=dict(problem.headers),
    )


def problem_of_status(status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> Problem:
    """Return the problem of a status that HTTP itself defines: 400, 404, 405, 408, 411, 413, 415, 500, 503, 504."""
    kind, title = _HTTP_PROBLEMS.get(status, ("error", "The request failed"))
    return Problem(status=status, kind=kind, title=title, detail=detail, headers=headers or _headers_of(status))


def problem_of_bento(status: int, body: bytes) -> Problem:
    """Return the problem for an error reply that BentoML wrote itself.

    BentoML answers a body that breaks its model with 400 and pydantic's list of errors; whatever else goes wrong in an
    endpoint with 500, without saying what.
    """
    listed = _listed_faults(body) if status == 400 else []
    if listed:
        return problem_of_faults(listed)
    return problem_of_status(status, _BENTO_DETAILS.get(status, "The request could not be done."))


def problem_of_faults(listed: Sequence[Mapping[str, Any]]) -> Problem:
    """Return the problem for a request that breaks its model.

    Args:
        listed: pydantic's faults, at least one: each with `loc`, `msg` and `type`.
    """
    faults = [
        {
            "field": ".".join(str(part) for part in fault["loc"]) or "body",
            "message": str(fault["msg"]),
            "type": str(fault["type"]),
        }
        for fault in listed
    ]
    first = faults[0]
    if any(fault["type"] == "json_invalid" for fault in faults):
        return problem_of_status(400, f"The body is not valid JSON. {first['message']}.")
    more = f" ({len(faults) - 1} more in errors)" if len(faults) > 1 else ""
    return Problem(
        status=422,
        kind="invalid-request",
        title="The request is not valid",
        detail=f"{first['field']}: {first['message']}{more}. /docs describes every field.",
        extensions={"errors": faults[:_NAMED_FAULTS]},
    )


def _kind_of(kind: type[RestockError]) -> str:
    """Return `horizon` for HorizonError, `not-found` for NotFoundError."""
    words = re.findall("[A-Z][a-z]+", kind.__name__.removesuffix("Error"))
    return "-".join(word.lower() for word in words)


def _public_detail(error: RestockError) -> str:
    """Return the message, unless it is about the server's own set-up, which is for its log and not for a client."""
    if isinstance(error, ConfigurationError):
        return "The service is not configured correctly; its log says what is wrong."
    return str(error)


def _headers_of(status: int) -> dict[str, str]:
    if status == 401:
        return {"www-authenticate": 'Bearer realm="restock"'}
    return {"retry-after": _RETRY_SECONDS} if status == NotReadyError.http_status else {}


def _retry_header(error: RestockError) -> dict[str, str]:
    seconds = error.members().get("retry_after_seconds")
    return {} if seconds is None else {"retry-after": str(seconds)}


def _listed_faults(body: bytes) -> list[Mapping[str, Any]]:
    """Return the faults that pydantic listed; none where the body is something else."""
    try:
        listed = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        return []
    is_list = isinstance(listed, list) and all(
        isinstance(fault, dict) and {"loc", "msg", "type"} <= set(fault) for fault in listed
    )
    return listed if is_list else []


_HTTP_PROBLEMS: dict[int, tuple[str, str]] = {
    400: ("bad-request", "The request can't be read"),
    404: ("no-such-path", "There is nothing at this path"),
    405: ("method-not-allowed", "The path does not take this method"),
    408: ("timeout", "The request came too slowly"),
    413: ("body-too-large", "The body is too large"),
    415: ("unsupported-media-type", "The body is not JSON"),
    429: ("overloaded", "Too many requests at once"),
    500: ("internal", "The service failed"),
    503: ("overloaded", "Too many requests at once"),
    504: ("took-too-long", "The request took too long"),
}
_BENTO_DETAILS: dict[int, str] = {
    500: "The service failed; its log holds the cause under this request's id.",
}
