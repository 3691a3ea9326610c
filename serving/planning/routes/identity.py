"""Signing in and out, the people who may, and the tokens of programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, SecretStr

from restock.errors import NotFoundError
from restock.operations.access import PrincipalKind, Role, Scope
from restock.operations.identity import signing_in
from restock.operations.identity.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD
from restock.operations.identity.reading import page_tokens, page_users
from restock.operations.identity.sessions import derive_csrf_token
from restock.operations.identity.token_rights import manages_all, may_revoke, require_may_issue
from restock.operations.identity.tokens import (
    TokenDraft,
    TokenRecord,
    create_token,
    find_token,
    record_of,
    revoke_token,
)
from restock.operations.identity.users import (
    User,
    UserChange,
    UserDraft,
    change_user,
    create_user,
    find_user,
    set_password,
    user_of,
)
from serving.planning import values
from serving.planning.context import Caller, Context, ExpectedVersion
from serving.planning.etags import set_etag
from serving.planning.identifying import (
    CurrentSession,
    clear_session_cookie,
    get_session,
    session_cookie,
    set_session_cookie,
)
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.values import Code, Instant, PathCode, Reply

router = APIRouter(tags=["identity"])

_Username = Annotated[Code, Field(max_length=64, examples=["anna"])]
_DisplayName = Annotated[Code, Field(max_length=200, examples=["Anna B."])]
# Whatever was typed is compared; only a new one has to be a good one.
_Password = Annotated[SecretStr, Field(max_length=LONGEST_PASSWORD, examples=["correct horse battery"])]
_NewPassword = Annotated[
    SecretStr,
    Field(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD, examples=["another horse battery"]),
]


class LoginRequest(values.Request):
    """Who signs in."""

    username: str = Field(max_length=200, description="Their name.", examples=["anna"])
    password: _Password = Field(description="Their password.")


class PasswordRequest(values.Request):
    """A new password for oneself."""

    old_password: _Password = Field(description="The one of until now.")
    new_password: _NewPassword = Field(description="The one from now on; other sessions end.")


class NewPasswordRequest(values.Request):
    """A new password for somebody else."""

    password: _NewPassword = Field(description="They have to choose another one when they sign in.")


class UserRequest(values.Request):
    """A user who is to be added."""

    username: _Username = Field(description="Letters, digits and ._@-; kept in lower case.")
    role: Role = Field(description="What they are.")
    display_name: Annotated[str, Field(max_length=200)] = Field(default="", description="As others call them.")
    password: _NewPassword | None = Field(
        default=None,
        description="Their first one, which they have to change; left out where they come through an issuer.",
    )


class UserChangeRequest(values.Request):
    """What is to change of a user; what is left out stays."""

    role: Role | None = Field(default=None, description="What they are; tokens beyond it are revoked.")
    display_name: _DisplayName | None = Field(default=None, description="As others call them.")
    is_active: bool | None = Field(default=None, description="Whether they are let in.")


class TokenRequest(values.Request):
    """A token that is to be made."""

    name: Annotated[Code, Field(max_length=64)] = Field(
        description="Letters, digits and ._@-; no other token's that is not revoked, and no user's.",
        examples=["scanner-7"],
    )
    role: Role | None = Field(default=None, description="What it is; left out: what the caller is.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))] | None = Field(
        default=None, description="What of the role's scopes it has; left out: all of them."
    )
    username: _Username | None = Field(
        default=None, description="Whose it is; left out: one's own, or nobody's where an admin asks."
    )
    expires_at: Instant | None = Field(default=None, description="From when on it is refused; left out: never.")


class UserReply(Reply):
    """A user."""

    username: str = Field(description="Their name.")
    display_name: str = Field(description="As others call them.")
    role: Role = Field(description="What they are.")
    has_password: bool = Field(description="Whether they can sign in here; otherwise through an issuer only.")
    must_change_password: bool = Field(description="Whether they have to choose another password first.")
    is_active: bool = Field(description="Whether they are let in.")
    created_at_utc: Instant = Field(description="When they were added.")
    changed_at_utc: Instant = Field(description="When something of this changed last.")
    version: int = Field(description="Rises with every change.")


class LoginReply(Reply):
    """A session that began; its cookie came with the reply."""

    user: UserReply = Field(description="Who signed in.")
    csrf_token: str = Field(description="Send it as X-CSRF-Token with every request that is no GET.")
    expires_at_utc: Instant = Field(description="When the session ends where it is not used.")


class CallerReply(Reply):
    """Who asks."""

    name: str = Field(description="The user's name, or that of a token that belongs to nobody.")
    kind: PrincipalKind = Field(description="How they showed who they are.")
    role: Role = Field(description="What they are.")
    scopes: list[Scope] = Field(description="What they may do.")
    must_change_password: bool = Field(description="Whether they can do nothing before they changed their password.")
    csrf_token: str | None = Field(description="Of the session; null where the request came with a token.")
    expires_at_utc: Instant | None = Field(description="When the session ends where it is not used.")


class TokenReply(Reply):
    """A token, without its secret."""

    token: str = Field(description="Its identifier.")
    name: str = Field(description="Its name.")
    username: str | None = Field(description="Whose it is; null for nobody's.")
    role: Role = Field(description="What it is.")
    scopes: list[Scope] | None = Field(description="What of the role's scopes it has; null: all of them.")
    created_at_utc: Instant = Field(description="When it was made.")
    expires_at_utc: Instant | None = Field(description="From when on it is refused.")
    revoked_at_utc: Instant | None = Field(description="When it was revoked.")


class NewTokenReply(TokenReply):
    """A token that was just made."""

    secret: str = Field(description="Send it as `Authorization: Bearer SECRET`. It can't be shown again.")


@router.post("/auth/login", summary="Sign in.")
def post_login(context: Context, http: Request, response: Response, request: LoginRequest) -> LoginReply:
    """Begin a session; its cookie is out of reach of scripts. Failing often makes the next try wait."""
    signed_in = signing_in.sign_in(
        context.engine,
        request.username,
        request.password.get_secret_value(),
        address=_address(http),
        now=context.now(),
    )
    set_session_cookie(http, response, signed_in.session.cookie)
    return LoginReply(
        user=_user_reply(signed_in.user),
        csrf_token=signed_in.session.csrf_token,
        expires_at_utc=signed_in.session.expires_at,
    )


@router.post("/auth/logout", status_code=204, summary="Sign out.")
def post_logout(context: Context, http: Request, response: Response, session: CurrentSession) -> None:
    """End the session."""
    signing_in.sign_out(context.engine, session, now=context.now())
    clear_session_cookie(http, response)


@router.get("/auth/me", summary="Who asks.")
def get_me(context: Context, http: Request, caller: Caller) -> CallerReply:
    """The caller, and what a page needs that was loaded anew."""
    session = get_session(http, context, caller) if caller.kind is PrincipalKind.USER else None
    return CallerReply(
        name=caller.name,
        kind=caller.kind,
        role=caller.role,
        scopes=sorted(caller.granted),
        must_change_password=session is not None and session.must_change_password,
        csrf_token=None if session is None else derive_csrf_token(session_cookie(http.headers.raw)),
        expires_at_utc=None if session is None else session.expires_at,
    )


@router.post("/auth/password", status_code=204, summary="Change one's password.")
def post_password(context: Context, http: Request, session: CurrentSession, request: PasswordRequest) -> None:
    """Change the password of whoever is signed in; their other sessions end."""
    signing_in.change_password(
        context.engine,
        session,
        old_password=request.old_password.get_secret_value(),
        new_password=request.new_password.get_secret_value(),
        address=_address(http),
        now=context.now(),
    )


@router.get("/users", summary="The users, by name.")
def get_users(context: Context, pages: Pages) -> ListReply[UserReply]:
    """All users, disabled ones too."""
    with context.reading() as connection:
        page = page_users(connection, after=check_cursor(pages.after, str), limit=pages.limit)
    return ListReply(items=[_user_reply(user_of(row)) for row in page.rows], next_cursor=encode_cursor(page.after))


@router.get("/users/{username}", summary="One user.")
def get_user(context: Context, response: Response, username: PathCode) -> UserReply:
    """A user."""
    with context.reading() as connection:
        user = find_user(connection, username)
    set_etag(response, user.version)
    return _user_reply(user)


@router.post("/users", status_code=201, summary="Add a user.")
def post_user(context: Context, caller: Caller, response: Response, request: UserRequest) -> UserReply:
    """Add somebody who may sign in."""
    draft = UserDraft(
        username=request.username,
        role=request.role,
        display_name=request.display_name,
        password=None if request.password is None else request.password.get_secret_value(),
        must_change_password=request.password is not None,
    )
    with context.writing() as connection:
        user = create_user(connection, draft, actor=caller.name, now=context.now())
    set_etag(response, user.version)
    return _user_reply(user)


@router.patch("/users/{username}", summary="Change a user.")
def patch_user(
    context: Context,
    caller: Caller,
    response: Response,
    username: PathCode,
    expected_version: ExpectedVersion,
    request: UserChangeRequest,
) -> UserReply:
    """Change role, name or whether they are let in; who is disabled is out at once."""
    change = UserChange(role=request.role, display_name=request.display_name, is_active=request.is_active)
    with context.writing() as connection:
        user = change_user(
            connection,
            username,
            change,
            actor=caller.name,
            now=context.now(),
            expected_version=expected_version,
        )
    set_etag(response, user.version)
    return _user_reply(user)


@router.post("/users/{username}/password", status_code=204, summary="Give a user a new password.")
def post_user_password(context: Context, caller: Caller, username: PathCode, request: NewPasswordRequest) -> None:
    """Set a password that they have to change; they are signed out everywhere."""
    password = request.password.get_secret_value()
    with context.writing() as connection:
        set_password(connection, username, password, actor=caller.name, now=context.now(), must_change=True)


@router.get("/tokens", summary="Tokens, the latest first.")
def get_tokens(
    context: Context,
    caller: Caller,
    pages: Pages,
    username: Annotated[Code | None, Query(description="Only this user's; an admin may ask.")] = None,
) -> ListReply[TokenReply]:
    """One's own tokens, or all where an admin asks; never their secrets."""
    whose = username if manages_all(caller) else caller.name
    with context.reading() as connection:
        after = check_cursor(pages.after, str)
        page = page_tokens(connection, username=whose, after=after, limit=pages.limit)
    items = [_token_reply(record_of(row)) for row in page.rows]
    return ListReply(items=items, next_cursor=encode_cursor(page.after))


@router.post("/tokens", status_code=201, summary="Make a token.")
def post_token(context: Context, caller: Caller, request: TokenRequest) -> NewTokenReply:
    """Make a token for a program, for no more than one may do oneself; its secret is shown this once."""
    own = None if manages_all(caller) else caller.name
    draft = TokenDraft(
        name=request.name,
        role=request.role or caller.role,
        username=request.username.lower() if request.username else own,
        scopes=request.scopes,
        expires_at=request.expires_at,
    )
    require_may_issue(caller, draft)
    with context.writing() as connection:
        made = create_token(connection, draft, actor=caller.name, now=context.now())
        record = find_token(connection, made.identifier)
    return NewTokenReply(**_token_reply(record).model_dump(), secret=made.secret)


@router.delete("/tokens/{token}", status_code=204, summary="Revoke a token.")
def delete_token(context: Context, caller: Caller, token: PathCode) -> None:
    """Revoke a token; it is refused from then on, on PostgreSQL within a second."""
    with context.writing() as connection:
        if not may_revoke(caller, find_token(connection, token)):
            raise NotFoundError(f"there is no token {token!r} of {caller.name!r}.")
        revoke_token(connection, token, actor=caller.name, now=context.now())


def _address(request: Request) -> str:
    return "unknown" if request.client is None else request.client.host


def _user_reply(user: User) -> UserReply:
    return UserReply(
        username=user.username,
        display_name=user.display_name,
        role=user.role,
        has_password=user.has_password,
        must_change_password=user.must_change_password,
        is_active=user.is_active,
        created_at_utc=user.created_at,
        changed_at_utc=user.changed_at,
        version=user.version,
    )


def _token_reply(record: TokenRecord) -> TokenReply:
    return TokenReply(
        token=record.identifier,
        name=record.name,
        username=record.username,
        role=record.role,
        scopes=None if record.scopes is None else sorted(record.scopes),
        created_at_utc=record.created_at,
        expires_at_utc=record.expires_at,
        revoked_at_utc=record.revoked_at,
    )
