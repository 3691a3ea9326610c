"""What every request must pass before it is parsed: a token with the right role, and a body of a sane size and kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from restock.operations.access import Principal, Scope, TokenVerifier
from serving.problems import Problem, problem_of_status

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Headers = Iterable[tuple[bytes, bytes]]

# A signed token of an issuer is some kilobytes long.
_LONGEST_TOKEN = 8_192
JSON_MEDIA_TYPE = "application/json"
_BODY_SECONDS = 20.0


class RefusedBodyError(Exception):
    """The body must not be read, or not any further.

    Attributes:
        problem: what the client is told.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class ClientGoneError(Exception):
    """The client closed the connection before its body was whole; nobody is left to answer."""


def header_value(headers: Headers, name: bytes) -> str | None:
    """Return the value of a header (name in lower case), or None where it is absent.

    Raises:
        RefusedBodyError: it comes more than once with different values, so which one counts is open.
    """
    values = {value for key, value in headers if key == name}
    if not values:
        return None
    if len(values) > 1:
        raise RefusedBodyError(problem_of_status(400, f"The header {name.decode('ascii')} came more than once."))
    return values.pop().decode("latin-1")


def authorise(headers: Headers, *, verifier: TokenVerifier, scope: Scope) -> Principal:
    """Return who makes the request, once it is sure that they have the scope.

    Raises:
        AuthenticationError: no token came, it is not of the form expected, or it is unknown or revoked.
        PermissionDeniedError: they have not.
        NotReadyError: the tokens can't be read.
    """
    # Without a token the verifier is still asked: it knows whether one has ever been created, and says how.
    principal = verifier.verify(bearer_token(headers))
    principal.require(scope)
    return principal


def bearer_token(headers: Headers) -> str:
    """Return the token that came with a request; "" where none came, or none of the form expected.

    Raises:
        RefusedBodyError: several came.
    """
    scheme, _, token = (header_value(headers, b"authorization") or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and len(token) <= _LONGEST_TOKEN else ""


def check_body_headers(headers: Headers, *, max_body_bytes: int, media_type: str | None = JSON_MEDIA_TYPE) -> None:
    """Return where the headers announce a body of a kind and size that may be read.

    Args:
        headers: of the request.
        max_body_bytes: largest body that may be announced.
        media_type: what the body must be, and is where the headers don't say; None where it may be anything.

    Raises:
        RefusedBodyError: another media type or encoding, or too large.
    """
    headers = list(headers)
    given = (header_value(headers, b"content-type") or media_type or "").split(";")[0].strip().lower()
    if media_type is not None and given != media_type:
        raise RefusedBodyError(problem_of_status(415, f"The body must be {media_type}, got {given[:100]!r}."))
    encoding = (header_value(headers, b"content-encoding") or "identity").strip().lower()
    if encoding != "identity":
        raise RefusedBodyError(
            problem_of_status(415, f"The body must not be compressed, got content-encoding {encoding[:100]!r}.")
        )
    length = header_value(headers, b"content-length")
    if length is not None and (not length.isdecimal() or len(length) > 18):
        raise RefusedBodyError(problem_of_status(400, "The header content-length is not a number."))
    if length is not None and int(length) > max_body_bytes:
        raise _too_large(max_body_bytes)


async def read_body(receive: Receive, *, max_body_bytes: int, seconds: float = _BODY_SECONDS) -> bytes:
    """Return the whole body, reading no more than is allowed whatever its headers said.

    Raises:
        RefusedBodyError: it is too large, or came too slowly.
        ClientGoneError: the connection closed before it was whole.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > max_body_bytes:
                    raise _too_large(max_body_bytes)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError as error:
        raise RefusedBodyError(
            problem_of_status(408, f"The body was not whole after {seconds:.0f} s.", headers={"connection": "close"})
        ) from error


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives `body` once, then whatever the connection says."""
    is_given = False

    async def receive_again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _too_large(max_body_bytes: int) -> RefusedBodyError:
    # The rest of the body is not read, so the connection can't be used again.
    return RefusedBodyError(
        problem_of_status(
            413,
            f"The body must be at most {max_body_bytes} bytes. Send fewer series or less history, or raise "
            "RESTOCK_MAX_BODY_BYTES on the server.",
            headers={"connection": "close"},
        )
    )
