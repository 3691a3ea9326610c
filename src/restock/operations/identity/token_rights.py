"""Who may make, see and end which tokens: an admin all of them, everybody else who signed in their own."""

from __future__ import annotations

from restock.errors import PermissionDeniedError
from restock.operations.access import ROLE_SCOPES, Principal, PrincipalKind, Role, Scope
from restock.operations.identity.tokens import TokenDraft, TokenRecord


def manages_all(principal: Principal) -> bool:
    """Return whether somebody may manage everybody's tokens."""
    return principal.role is Role.ADMIN and Scope.IDENTITY_WRITE in principal.granted


def may_revoke(principal: Principal, record: TokenRecord) -> bool:
    """Return whether somebody may end a token; one token can't end another one of its owner's."""
    is_person = principal.kind is not PrincipalKind.TOKEN
    return manages_all(principal) or (is_person and record.username == principal.name)


def require_may_issue(principal: Principal, draft: TokenDraft) -> None:
    """Return where somebody may make a token: for no more than they have themselves.

    Raises:
        PermissionDeniedError: they may not.
    """
    if not manages_all(principal):
        # A token could otherwise make another one that lasts longer than it, and an issuer's people would keep theirs
        # when the issuer let them go.
        if principal.kind is not PrincipalKind.USER:
            raise PermissionDeniedError("only who signed in with a password makes tokens of their own. Ask an admin.")
        if draft.username != principal.name or draft.role is not principal.role:
            raise PermissionDeniedError(
                f"{principal.name!r} may make tokens of their own with role {principal.role}. Ask an admin for others."
            )
    wanted = ROLE_SCOPES[draft.role] if draft.scopes is None else frozenset(draft.scopes)
    beyond = wanted - principal.granted
    if beyond:
        raise PermissionDeniedError(
            f"{principal.name!r} has not {', '.join(sorted(beyond))} and so can't give it to a token."
        )
