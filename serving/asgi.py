"""The gateway in front of every service: routes, health, tokens, body limits and problem details, as plain ASGI.

It wraps BentoML's own application, so BentoML's endpoints, clients and serialisation stay, while nothing reaches them
that is not an allowed path with a valid token and a sane body, and no error leaves in any other form.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from restock.errors import RestockError
from restock.operations.access import Scope, TokenVerifier
from serving.problems import PROBLEM_MEDIA_TYPE, Problem, problem_of, problem_of_bento, problem_of_status
from serving.security import (
    ClientGoneError,
    RefusedBodyError,
    authorise,
    check_body_headers,
    header_value,
    read_body,
    replay,
)
from serving.telemetry import METRICS_MEDIA_TYPE, Telemetry, current_request_id, request_id_of

logger = logging.getLogger(__name__)

AsgiScope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[AsgiScope, Receive, Send], Awaitable[None]]

_JSON = "application/json"
_HTML = "text/html; charset=utf-8"
_FIXED_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
)
_OTHER = "other"
# Where an application notes which of its routes a request was for.
ROUTE_KEY = "restock_route"
# What BentoML itself answers at /schema.json, for its own clients.
_SCHEMA_PATH = "/schema.json"
# The second is where BentoML's users look for it.
_OPENAPI_PATHS = frozenset({"/openapi.json", "/docs.json"})
_GET_PATHS = frozenset({"/", "/docs", "/livez", "/healthz", "/readyz", "/metrics", _SCHEMA_PATH}) | _OPENAPI_PATHS


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """Whether a service can do its work, and what it works with.

    Attributes:
        is_ready: whether requests can be answered.
        report: what is served, since when, and what stays out and why; ready for JSON.
    """

    is_ready: bool
    report: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class ServiceFrame:
    """What the gateway needs of the service behind it.

    Attributes:
        endpoints: scope needed by POST path.
        verifier: who a token belongs to.
        readiness: called at each /readyz.
        telemetry: the service's metrics.
        openapi: the API's description, JSON.
        docs: the same as a page.
        max_body_bytes: largest body read.
        max_in_flight: requests beyond this many at once are answered 503.
        application: answers everything under `application_prefix` itself: it knows who may do what there.
        application_prefix: such as /api/.
    """

    endpoints: Mapping[str, Scope]
    verifier: TokenVerifier
    readiness: Callable[[], Readiness]
    telemetry: Telemetry
    openapi: bytes
    docs: bytes
    max_body_bytes: int
    max_in_flight: int = 128
    application: App | None = None
    application_prefix: str = "/api/"


@dataclass(kw_only=True)
class _Exchange:
    """One request under way: its id, and what was answered so far."""

    scope: AsgiScope
    send: Send
    request_id: str
    status: int = 0
    is_started: bool = False
    held: Message | None = None
    held_body: list[bytes] = field(default_factory=list)

    async def reply(
        self, status: int, body: bytes, *, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole reply."""
        lines = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
        lines += [(name.encode(), value.encode("ascii", "replace")) for name, value in (headers or {}).items()]
        await self._start({"type": "http.response.start", "status": status, "headers": lines})
        is_head = self.scope["method"] == "HEAD"
        await self.send({"type": "http.response.body", "body": b"" if is_head else body})

    async def reply_problem(self, problem: Problem) -> None:
        """Send problem details."""
        body = problem.body(request_id=self.request_id)
        await self.reply(problem.status, body, media_type=PROBLEM_MEDIA_TYPE, headers=problem.headers)

    async def forward(self, message: Message) -> None:
        """Pass on what the application answers; its own errors are held back and sent as problem details."""
        if message["type"] == "http.response.start":
            if message["status"] >= 400 and _media_type(message) != PROBLEM_MEDIA_TYPE:
                self.held = message
            else:
                await self._start(message)
        elif self.held is None:
            await self.send(message)
        else:
            self.held_body.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self.reply_problem(problem_of_bento(self.held["status"], b"".join(self.held_body)))

    async def _start(self, message: Message) -> None:
        self.status = message["status"]
        self.is_started = True
        own = ((b"x-request-id", self.request_id.encode()), *_FIXED_HEADERS)
        await self.send({**message, "headers": [*message.get("headers", []), *own]})


class Gateway:
    """ASGI middleware that a BentoML service adds with `add_asgi_middleware`.

    Args:
        app: BentoML's application.
        find_frame: returns the service's frame, or None while the service is still starting.
    """

    def __init__(self, app: App, *, find_frame: Callable[[], ServiceFrame | None]) -> None:
        self._app = app
        self._find_frame = find_frame
        self._in_flight = 0

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request, or let the application answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        begun = time.perf_counter()
        exchange = _Exchange(scope=scope, send=send, request_id=_given_request_id(scope))
        current_request_id.set(exchange.request_id)
        frame = self._find_frame()
        try:
            if frame is None:
                await exchange.reply_problem(problem_of_status(503, "The service is starting; ask again shortly."))
            else:
                await self._answer(frame, exchange, receive)
        except ClientGoneError:
            return
        except RefusedBodyError as refused:
            await exchange.reply_problem(refused.problem)
        except RestockError as error:
            if error.http_status >= 500:
                logger.warning("request %s to %s: %s", exchange.request_id, _label(frame, scope), error)
            await exchange.reply_problem(problem_of(error))
        except Exception:
            logger.exception("request %s to %s failed", exchange.request_id, _label(frame, scope))
            if exchange.is_started:
                raise
            await exchange.reply_problem(problem_of_bento(500, b""))
        if frame is not None:
            frame.telemetry.count_request(_label(frame, scope), exchange.status, seconds=time.perf_counter() - begun)

    async def _answer(self, frame: ServiceFrame, exchange: _Exchange, receive: Receive) -> None:
        scope = exchange.scope
        path, method = scope["path"], scope["method"]
        if frame.application is not None and path.startswith(frame.application_prefix):
            await self._call_application(frame.application, frame, exchange, receive)
            return
        needed = frame.endpoints.get(path)
        allowed = "POST" if needed is not None else "GET, HEAD"
        if needed is None and path not in _GET_PATHS:
            known = ", ".join([*frame.endpoints, "/docs"])
            await exchange.reply_problem(problem_of_status(404, f"There is nothing here; try {known}."))
        elif method not in allowed.split(", "):
            problem = problem_of_status(405, f"{path} takes {allowed}, got {method[:20]}.", headers={"allow": allowed})
            await exchange.reply_problem(problem)
        elif needed is not None:
            await self._call_endpoint(frame, exchange, receive, needed=needed)
        else:
            await self._get(frame, exchange, receive)

    async def _call_endpoint(
        self, frame: ServiceFrame, exchange: _Exchange, receive: Receive, *, needed: Scope
    ) -> None:
        headers = exchange.scope["headers"]
        authorise(headers, verifier=frame.verifier, scope=needed)
        check_body_headers(headers, max_body_bytes=frame.max_body_bytes)
        if self._in_flight >= frame.max_in_flight:
            await exchange.reply_problem(_too_many(self._in_flight))
            return
        self._in_flight += 1
        try:
            body = await read_body(receive, max_body_bytes=frame.max_body_bytes)
            await self._app(exchange.scope, replay(body, receive), exchange.forward)
        finally:
            self._in_flight -= 1

    async def _call_application(
        self, application: App, frame: ServiceFrame, exchange: _Exchange, receive: Receive
    ) -> None:
        # Reads may stay open as streams do, so only writes count.
        is_write = exchange.scope["method"] not in ("GET", "HEAD")
        if is_write and self._in_flight >= frame.max_in_flight:
            await exchange.reply_problem(_too_many(self._in_flight))
            return
        self._in_flight += is_write
        try:
            await application(exchange.scope, receive, exchange.forward)
        finally:
            self._in_flight -= is_write

    async def _get(self, frame: ServiceFrame, exchange: _Exchange, receive: Receive) -> None:
        path, headers = exchange.scope["path"], exchange.scope["headers"]
        if path == "/":
            await exchange.reply(307, b"", media_type="text/plain", headers={"location": "/docs"})
        elif path == "/docs":
            await exchange.reply(200, frame.docs, media_type=_HTML)
        elif path in _OPENAPI_PATHS:
            await exchange.reply(200, frame.openapi, media_type=_JSON)
        elif path == "/readyz":
            readiness = frame.readiness()
            status = 200 if readiness.is_ready else 503
            body = json.dumps({"status": "ready" if readiness.is_ready else "not ready", **readiness.report}).encode()
            await exchange.reply(status, body, media_type=_JSON)
        elif path == "/metrics":
            authorise(headers, verifier=frame.verifier, scope=Scope.METRICS)
            await exchange.reply(200, frame.telemetry.render(), media_type=METRICS_MEDIA_TYPE)
        elif path == _SCHEMA_PATH:
            authorise(headers, verifier=frame.verifier, scope=Scope.DESCRIBE)
            await self._app(exchange.scope, receive, exchange.forward)
        else:
            await exchange.reply(200, b'{"status": "alive"}', media_type=_JSON)


def _too_many(in_flight: int) -> Problem:
    return problem_of_status(503, f"{in_flight} requests are under way already; ask again shortly.")


def _label(frame: ServiceFrame | None, scope: AsgiScope) -> str:
    """Return the path where it is one of ours, so that nobody can fill the metrics with made-up paths."""
    if ROUTE_KEY in scope:
        return str(scope[ROUTE_KEY])
    path = str(scope["path"])
    return path if path in _GET_PATHS or (frame is not None and path in frame.endpoints) else _OTHER


def _given_request_id(scope: AsgiScope) -> str:
    try:
        return request_id_of(header_value(scope["headers"], b"x-request-id"))
    except RefusedBodyError:
        return request_id_of(None)


def _media_type(message: Message) -> str:
    for name, value in message.get("headers", []):
        if name.lower() == b"content-type":
            return str(value.decode("latin-1").split(";")[0].strip())
    return ""
