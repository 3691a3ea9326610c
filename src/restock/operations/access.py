"""Who may do what: roles, the scopes of each, and who makes a request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from restock.errors import PermissionDeniedError


class Role(StrEnum):
    """What a person or a program is."""

    OPERATOR = "operator"
    MANAGER = "manager"
    ANALYST = "analyst"
    SUPPLY_CHAIN = "supply_chain"
    ADMIN = "admin"
    SERVICE = "service"


class Scope(StrEnum):
    """What a service asks for before it does something; a token may hold fewer than its role has."""

    FORECAST = "forecast"
    DESCRIBE = "describe"
    METRICS = "metrics"
    STOCK_READ = "stock:read"
    STOCK_WRITE = "stock:write"
    CATALOGUE_READ = "catalogue:read"
    CATALOGUE_WRITE = "catalogue:write"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    COUNTS_WRITE = "counts:write"
    COUNTS_APPROVE = "counts:approve"
    ALERTS_WRITE = "alerts:write"
    PLANNING_READ = "planning:read"
    PLANNING_WRITE = "planning:write"
    ANALYTICS_READ = "analytics:read"
    EXCHANGE_READ = "exchange:read"
    EXCHANGE_WRITE = "exchange:write"
    WEBHOOKS_WRITE = "webhooks:write"
    ERP_WRITE = "erp:write"
    IDENTITY_WRITE = "identity:write"
    AUDIT_READ = "audit:read"
    EVENTS_READ = "events:read"


_READING = frozenset(
    {
        Scope.FORECAST,
        Scope.DESCRIBE,
        Scope.STOCK_READ,
        Scope.CATALOGUE_READ,
        Scope.ORDERS_READ,
        Scope.PLANNING_READ,
        Scope.EVENTS_READ,
    }
)
_STOCK = frozenset({Scope.STOCK_WRITE, Scope.COUNTS_WRITE, Scope.ALERTS_WRITE})
_BUYING = frozenset({Scope.ORDERS_WRITE, Scope.PLANNING_WRITE, Scope.CATALOGUE_WRITE})
_FIGURES = frozenset({Scope.ANALYTICS_READ, Scope.EXCHANGE_READ})
ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.OPERATOR: _READING | _STOCK,
    Role.MANAGER: _READING | _STOCK | _BUYING | _FIGURES | {Scope.COUNTS_APPROVE, Scope.EXCHANGE_WRITE},
    Role.ANALYST: _READING | _FIGURES | {Scope.AUDIT_READ},
    # Goods are received under stock:write, by whoever ordered them too.
    Role.SUPPLY_CHAIN: _READING | _BUYING | _FIGURES | {Scope.STOCK_WRITE, Scope.ALERTS_WRITE, Scope.EXCHANGE_WRITE},
    Role.ADMIN: frozenset(Scope),
    # What programs do: all but what a person has to decide or must answer for.
    Role.SERVICE: frozenset(Scope)
    - {Scope.COUNTS_APPROVE, Scope.WEBHOOKS_WRITE, Scope.IDENTITY_WRITE, Scope.AUDIT_READ},
}


class PrincipalKind(StrEnum):
    """How somebody showed who they are."""

    TOKEN = "token"  # noqa: S105  (the word, not a token)
    USER = "user"
    OIDC = "oidc"


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who makes a request.

    Attributes:
        name: the user's name, or the name of a token that belongs to nobody; what the audit log says.
        role: what it is.
        scopes: what of the role's scopes it has; None is all of them.
        kind: how it showed who it is.
    """

    name: str
    role: Role
    scopes: frozenset[Scope] | None = None
    kind: PrincipalKind = PrincipalKind.TOKEN

    @property
    def granted(self) -> frozenset[Scope]:
        """The scopes it has: never more than its role."""
        of_role = ROLE_SCOPES[self.role]
        return of_role if self.scopes is None else of_role & self.scopes

    def require(self, scope: Scope) -> None:
        """Return where it has the scope.

        Raises:
            PermissionDeniedError: it has not.
        """
        if scope not in ROLE_SCOPES[self.role]:
            raise PermissionDeniedError(
                f"{self.name!r} has role {self.role}, which has no scope {scope.value!r}. Roles that have it: "
                f"{', '.join(roles_with(scope))}."
            )
        if scope not in self.granted:
            raise PermissionDeniedError(
                f"{self.name!r} was not given the scope {scope.value!r}; it has "
                f"{', '.join(sorted(self.granted)) or 'none'}. Use a token that has it: restock token create --scope."
            )


class TokenVerifier(Protocol):
    """Whatever knows who a token belongs to."""

    def verify(self, token: str) -> Principal:
        """Return who the token belongs to; "" stands for a request without one.

        Raises:
            AuthenticationError: the token is missing, unknown, expired or revoked.
            NotReadyError: nobody can say for now; nobody gets in.
        """
        ...


def roles_with(scope: Scope) -> tuple[Role, ...]:
    """Return the roles that have a scope."""
    return tuple(role for role, granted in ROLE_SCOPES.items() if scope in granted)
