"""Who asks: by the token of the request, or by the cookie of a session and, for what writes, its second secret."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from restock.errors import AuthenticationError, ConflictError
from restock.operations.access import Principal, PrincipalKind, TokenVerifier
from restock.operations.identity.sessions import (
    LONGEST_SESSION,
    Session,
    extend_session,
    find_session,
    require_csrf_token,
)
from serving.planning.context import Caller, Context, PlanningContext
from serving.security import Headers, bearer_token, header_value

SESSION_COOKIE = "restock_session"
CSRF_HEADER = "x-csrf-token"
_READS = frozenset({"GET", "HEAD"})
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_LONGEST_OWN_TOKEN = 100


async def identify(headers: Headers, method: str, *, verifier: TokenVerifier, context: PlanningContext) -> Principal:
    """Return who makes a request; a token, even a wrong one, comes before a cookie.

    Raises:
        AuthenticationError: nobody that is known.
        PermissionDeniedError: a write with a cookie alone, as another site could forge it.
        NotReadyError: nobody can say for now.
    """
    headers = list(headers)
    token = bearer_token(headers)
    cookie = "" if header_value(headers, b"authorization") is not None else session_cookie(headers)
    if cookie:
        csrf_token = header_value(headers, CSRF_HEADER.encode()) or ""
        return await run_in_threadpool(_identify_session, context, cookie, method=method, csrf_token=csrf_token)
    if len(token) > _LONGEST_OWN_TOKEN:
        # An issuer's: its keys may have to be fetched.
        return await run_in_threadpool(verifier.verify, token)
    return verifier.verify(token)


def get_session(request: Request, context: Context, caller: Caller) -> Session:
    """Return the session in which a request is made.

    Raises:
        ConflictError: it was made with a token.
        AuthenticationError: the session ended meanwhile.
    """
    if caller.kind is not PrincipalKind.USER:
        raise ConflictError("this needs a session, and the request came with a token. Sign in: POST /auth/login.")
    with context.reading() as connection:
        return find_session(connection, session_cookie(request.headers.raw), now=context.now())


CurrentSession = Annotated[Session, Depends(get_session)]


def set_session_cookie(request: Request, response: Response, cookie: str) -> None:
    """Let the browser keep a session, out of reach of scripts and other sites."""
    response.set_cookie(
        SESSION_COOKIE,
        cookie,
        max_age=int(LONGEST_SESSION.total_seconds()),
        path="/",
        secure=_is_secure(request),
        httponly=True,
        samesite="strict",
    )


def clear_session_cookie(request: Request, response: Response) -> None:
    """Let the browser forget the session."""
    response.delete_cookie(SESSION_COOKIE, path="/", secure=_is_secure(request), httponly=True, samesite="strict")


def _identify_session(context: PlanningContext, cookie: str, *, method: str, csrf_token: str) -> Principal:
    now = context.now()
    with context.reading() as connection:
        session = find_session(connection, cookie, now=now)
        if method not in _READS:
            require_csrf_token(connection, session, csrf_token)
    if session.is_due:
        with context.writing() as connection:
            extend_session(connection, session, now=now)
    return session.principal


def session_cookie(headers: Headers) -> str:
    """Return the session's cookie; "" where none came.

    Raises:
        AuthenticationError: several came, so whose request it is is open.
    """
    lines = [value.decode("latin-1") for name, value in headers if name == b"cookie"]
    pairs = [part.strip().partition("=") for line in lines for part in line.split(";")]
    found = {value.strip('"') for name, _, value in pairs if name == SESSION_COOKIE}
    if len(found) > 1:
        raise AuthenticationError("more than one session came with the request. Delete the cookies and sign in again.")
    return found.pop() if found else ""


def _is_secure(request: Request) -> bool:
    """Return whether the cookie may travel encrypted only: always, but on this machine without TLS."""
    return request.url.scheme == "https" or request.url.hostname not in _LOOPBACK
