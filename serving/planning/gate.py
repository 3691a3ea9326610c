"""The gate in front of the planning API: who asks is known, allowed and not too quick before anything is parsed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from restock.errors import PermissionDeniedError, RestockError
from restock.operations.access import Principal
from serving.asgi import ROUTE_KEY, App, AsgiScope, Receive, Send
from serving.planning.route_table import API, Access, find_access
from serving.problems import problem_of_status
from serving.security import JSON_MEDIA_TYPE, Headers, RefusedBodyError, check_body_headers, read_body, replay

# Writes and reads together; a scanner sends one every second or two, a console some at once.
_WINDOW_SECONDS = 10


class TooManyRequestsError(RestockError):
    """Somebody asks more often than the service lets anybody."""

    http_status = 429
    title = "Too many requests"


class Gate:
    """ASGI application that lets requests through to another one.

    Args:
        application: answers what is let through.
        identify: returns who asks, from the request's headers and method.
        max_body_bytes: largest body read.
        max_upload_bytes: largest file read.
        requests_per_second: how often one caller may ask, on the average of ten seconds.
    """

    def __init__(
        self,
        application: App,
        *,
        identify: Callable[[Headers, str], Awaitable[Principal]],
        max_body_bytes: int,
        max_upload_bytes: int,
        requests_per_second: int,
    ) -> None:
        self._application = application
        self._identify = identify
        self._max_body_bytes = max_body_bytes
        self._max_upload_bytes = max_upload_bytes
        self._limit = RateLimitItemPerSecond(requests_per_second * _WINDOW_SECONDS, _WINDOW_SECONDS)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            RestockError: who asks is not known, may not, or asks too often.
            RefusedBodyError: there is no such path or method, or the body must not be read.
        """
        access = _find_row(scope)
        headers = scope["headers"]
        self._require_pace(_address(scope) if access.roles is None else None)
        if access.roles is not None:
            principal = await self._identify(headers, scope["method"])
            require_access(principal, access)
            self._require_pace(principal.name)
            scope.setdefault("state", {})["principal"] = principal
        scope[ROUTE_KEY] = API + access.path
        if scope["method"] in ("POST", "PUT", "PATCH", "DELETE"):
            most = self._max_upload_bytes if access.takes_upload else self._max_body_bytes
            check_body_headers(
                headers, max_body_bytes=most, media_type=None if access.takes_upload else JSON_MEDIA_TYPE
            )
            receive = replay(await read_body(receive, max_body_bytes=most), receive)
        await self._application(scope, receive, send)

    def _require_pace(self, who: str | None) -> None:
        if who is not None and not self._limiter.hit(self._limit, who):
            raise TooManyRequestsError(
                f"{who} sent more than {self._limit.amount} requests in {_WINDOW_SECONDS} s. Send fewer, or many "
                "movements in one: POST /api/v1/movements/batch."
            )


def require_access(principal: Principal, access: Access) -> None:
    """Let a caller through whose role and token may call a route.

    Raises:
        PermissionDeniedError: they may not.
    """
    if access.roles is not None and principal.role not in access.roles:
        raise PermissionDeniedError(
            f"{principal.name!r} has role {principal.role}, which may not {access.method} {access.path}; the roles "
            f"that may: {', '.join(sorted(access.roles))}."
        )
    if access.scope is not None:
        principal.require(access.scope)


def _find_row(scope: AsgiScope) -> Access:
    rows = find_access(scope["path"])
    if not rows:
        raise RefusedBodyError(problem_of_status(404, "There is nothing here; /docs lists every path."))
    method = scope["method"]
    # HEAD is answered as GET would be.
    row = rows.get("GET" if method == "HEAD" else method)
    if row is None:
        allowed = ", ".join(sorted(rows))
        raise RefusedBodyError(
            problem_of_status(405, f"{row_path(rows)} takes {allowed}, got {method[:20]}.", headers={"allow": allowed})
        )
    return row


def row_path(rows: dict[str, Access]) -> str:
    """Return the path template of rows that share it."""
    return next(iter(rows.values())).path


def _address(scope: AsgiScope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"
