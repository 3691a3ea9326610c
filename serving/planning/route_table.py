"""Who may do what over HTTP: one row a route, with the scope that a token needs and the roles that have it.

A route that is not in this table is not served, and a row without its route fails the start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from restock.operations.access import Role, Scope

API = "/api/v1"

_ALL = frozenset(Role)
_PEOPLE = _ALL - {Role.SERVICE}
_STOCK = frozenset({Role.OPERATOR, Role.MANAGER, Role.ADMIN, Role.SERVICE})
_BUYERS = frozenset({Role.MANAGER, Role.SUPPLY_CHAIN, Role.ADMIN, Role.SERVICE})
_MANAGERS = frozenset({Role.MANAGER, Role.ADMIN})
_PLANNERS = frozenset({Role.MANAGER, Role.SUPPLY_CHAIN, Role.ADMIN})
_AUDITORS = frozenset({Role.ANALYST, Role.ADMIN})
_IMPORTERS = frozenset({Role.MANAGER, Role.SUPPLY_CHAIN, Role.ADMIN, Role.SERVICE})
_EXPORTERS = _IMPORTERS | {Role.ANALYST}
_ADMIN = frozenset({Role.ADMIN})
_ANALYSTS = _ALL - {Role.OPERATOR}


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may call a route.

    Attributes:
        method: GET, POST, PUT, PATCH or DELETE.
        path: template under API, such as /products/{sku}.
        scope: what a token must hold.
        roles: who may; None where nobody has to sign in.
        takes_upload: the body is a file, of the size of uploads.
    """

    method: str
    path: str
    scope: Scope | None
    roles: frozenset[Role] | None
    takes_upload: bool = False
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(API + self.path))
        object.__setattr__(self, "pattern", re.compile(pattern))


def _row(
    method: str, path: str, scope: Scope | None, roles: frozenset[Role] | None, *, takes_upload: bool = False
) -> Access:
    return Access(method=method, path=path, scope=scope, roles=roles, takes_upload=takes_upload)


ROUTES: tuple[Access, ...] = (
    _row("GET", "/stock", Scope.STOCK_READ, _ALL),
    _row("GET", "/movements", Scope.STOCK_READ, _ALL),
    _row("POST", "/movements", Scope.STOCK_WRITE, _STOCK),
    _row("POST", "/movements/batch", Scope.STOCK_WRITE, _STOCK),
    _row("GET", "/movements/{movement}", Scope.STOCK_READ, _ALL),
    _row("POST", "/movements/{movement}/reversal", Scope.STOCK_WRITE, _STOCK),
    _row("GET", "/transfers", Scope.STOCK_READ, _ALL),
    _row("POST", "/transfers", Scope.STOCK_WRITE, _STOCK),
    _row("GET", "/transfers/{transfer}", Scope.STOCK_READ, _ALL),
    _row("POST", "/transfers/{transfer}/arrivals", Scope.STOCK_WRITE, _STOCK),
    _row("POST", "/transfers/{transfer}/close", Scope.COUNTS_APPROVE, _MANAGERS),
    _row("GET", "/counts", Scope.STOCK_READ, _ALL),
    _row("POST", "/counts", Scope.COUNTS_WRITE, _STOCK),
    _row("GET", "/counts/{count}", Scope.STOCK_READ, _ALL),
    _row("POST", "/counts/{count}/results", Scope.COUNTS_WRITE, _STOCK),
    _row("POST", "/counts/{count}/recount", Scope.COUNTS_APPROVE, _MANAGERS),
    _row("POST", "/counts/{count}/approve", Scope.COUNTS_APPROVE, _MANAGERS),
    _row("POST", "/counts/{count}/cancel", Scope.COUNTS_APPROVE, _MANAGERS),
    _row("GET", "/purchase-orders", Scope.ORDERS_READ, _ALL),
    _row("POST", "/purchase-orders", Scope.ORDERS_WRITE, _BUYERS),
    _row("POST", "/purchase-orders/from-plan", Scope.ORDERS_WRITE, _BUYERS),
    _row("GET", "/purchase-orders/{purchase_order}", Scope.ORDERS_READ, _ALL),
    _row("PUT", "/purchase-orders/{purchase_order}", Scope.ORDERS_WRITE, _BUYERS),
    _row("POST", "/purchase-orders/{purchase_order}/send", Scope.ORDERS_WRITE, _BUYERS),
    _row("POST", "/purchase-orders/{purchase_order}/receipts", Scope.STOCK_WRITE, _STOCK | _BUYERS),
    _row("POST", "/purchase-orders/{purchase_order}/close", Scope.ORDERS_WRITE, _BUYERS),
    _row("POST", "/purchase-orders/{purchase_order}/cancel", Scope.ORDERS_WRITE, _BUYERS),
    _row("GET", "/plans", Scope.PLANNING_READ, _ALL),
    _row("GET", "/plans/{sku}/{location}/explanation", Scope.PLANNING_READ, _ALL),
    _row("POST", "/plans/what-if", Scope.PLANNING_READ, _ANALYSTS),
    _row("GET", "/plans/frontier", Scope.PLANNING_READ, _ANALYSTS),
    _row("GET", "/forecasts", Scope.PLANNING_READ, _ALL),
    _row("GET", "/overrides", Scope.PLANNING_READ, _ALL),
    _row("GET", "/overrides/judged", Scope.PLANNING_READ, _ANALYSTS),
    _row("POST", "/overrides", Scope.PLANNING_WRITE, _PLANNERS),
    _row("POST", "/overrides/{override}/withdraw", Scope.PLANNING_WRITE, _PLANNERS),
    _row("GET", "/products", Scope.CATALOGUE_READ, _ALL),
    _row("POST", "/products", Scope.CATALOGUE_WRITE, _BUYERS),
    _row("GET", "/products/{sku}", Scope.CATALOGUE_READ, _ALL),
    _row("PUT", "/products/{sku}", Scope.CATALOGUE_WRITE, _BUYERS),
    _row("PATCH", "/products/{sku}", Scope.CATALOGUE_WRITE, _BUYERS),
    _row("GET", "/products/{sku}/page", Scope.STOCK_READ, _ALL),
    _row("GET", "/products/{sku}/lots", Scope.CATALOGUE_READ, _ALL),
    _row("PUT", "/products/{sku}/lots/{lot}", Scope.CATALOGUE_WRITE, _BUYERS),
    _row("GET", "/search", Scope.CATALOGUE_READ, _ALL),
    _row("POST", "/scan", Scope.STOCK_READ, _ALL),
    _row("GET", "/locations", Scope.CATALOGUE_READ, _ALL),
    _row("GET", "/locations/{location}", Scope.CATALOGUE_READ, _ALL),
    _row("PUT", "/locations/{location}", Scope.CATALOGUE_WRITE, _MANAGERS | {Role.SERVICE}),
    _row("GET", "/suppliers", Scope.CATALOGUE_READ, _ALL),
    _row("GET", "/suppliers/{supplier}", Scope.CATALOGUE_READ, _ALL),
    _row("PUT", "/suppliers/{supplier}", Scope.CATALOGUE_WRITE, _BUYERS),
    _row("GET", "/supply-terms", Scope.CATALOGUE_READ, _ALL),
    _row("PUT", "/supply-terms/{sku}/{location}/{supplier}", Scope.CATALOGUE_WRITE, _BUYERS),
    _row("GET", "/alerts", Scope.STOCK_READ, _ALL),
    _row("GET", "/alerts/{alert}", Scope.STOCK_READ, _ALL),
    _row("POST", "/alerts/{alert}/acknowledge", Scope.ALERTS_WRITE, _STOCK | _BUYERS),
    _row("POST", "/alerts/{alert}/resolve", Scope.ALERTS_WRITE, _STOCK | _BUYERS),
    _row("POST", "/alerts/{alert}/reopen", Scope.ALERTS_WRITE, _STOCK | _BUYERS),
    _row("GET", "/events", Scope.EVENTS_READ, _ALL),
    _row("GET", "/webhooks", Scope.WEBHOOKS_WRITE, _ADMIN),
    _row("POST", "/webhooks", Scope.WEBHOOKS_WRITE, _ADMIN),
    _row("GET", "/webhooks/{webhook}", Scope.WEBHOOKS_WRITE, _ADMIN),
    _row("PUT", "/webhooks/{webhook}", Scope.WEBHOOKS_WRITE, _ADMIN),
    _row("DELETE", "/webhooks/{webhook}", Scope.WEBHOOKS_WRITE, _ADMIN),
    _row("POST", "/webhooks/{webhook}/secret", Scope.WEBHOOKS_WRITE, _ADMIN),
    _row("POST", "/webhooks/{webhook}/replay", Scope.WEBHOOKS_WRITE, _ADMIN),
    _row("GET", "/webhooks/{webhook}/deliveries", Scope.WEBHOOKS_WRITE, _ADMIN),
    _row("POST", "/webhooks/{webhook}/deliveries/{delivery}/replay", Scope.WEBHOOKS_WRITE, _ADMIN),
    _row("GET", "/imports", Scope.EXCHANGE_READ, _EXPORTERS),
    _row("POST", "/imports", Scope.EXCHANGE_WRITE, _IMPORTERS, takes_upload=True),
    _row("GET", "/imports/{import_id}", Scope.EXCHANGE_READ, _EXPORTERS),
    _row("GET", "/imports/{import_id}/rejections", Scope.EXCHANGE_READ, _EXPORTERS),
    _row("GET", "/exports/{kind}", Scope.EXCHANGE_READ, _EXPORTERS),
    _row("GET", "/analytics/inventory-value", Scope.ANALYTICS_READ, _ANALYSTS),
    _row("GET", "/analytics/finance", Scope.ANALYTICS_READ, _ANALYSTS),
    _row("GET", "/analytics/turnover", Scope.ANALYTICS_READ, _ANALYSTS),
    _row("GET", "/analytics/carrying-cost", Scope.ANALYTICS_READ, _ANALYSTS),
    _row("GET", "/analytics/abc-xyz", Scope.ANALYTICS_READ, _ANALYSTS),
    _row("GET", "/analytics/ageing", Scope.ANALYTICS_READ, _ANALYSTS),
    _row("GET", "/analytics/suppliers", Scope.ANALYTICS_READ, _ANALYSTS),
    _row("GET", "/analytics/demand", Scope.ANALYTICS_READ, _ANALYSTS),
    _row("GET", "/analytics/stockouts", Scope.ANALYTICS_READ, _ANALYSTS),
    _row("GET", "/analytics/shrinkage", Scope.ANALYTICS_READ, _ANALYSTS),
    _row("GET", "/analytics/fill-rate", Scope.ANALYTICS_READ, _ANALYSTS),
    _row("GET", "/audit", Scope.AUDIT_READ, _AUDITORS),
    _row("GET", "/erp", Scope.EXCHANGE_READ, _PLANNERS | _AUDITORS),
    _row("POST", "/erp/{system}/sync", Scope.ERP_WRITE, _ADMIN),
    _row("GET", "/customers", Scope.ORDERS_READ, _ALL),
    _row("GET", "/customer-orders", Scope.ORDERS_READ, _ALL),
    _row("GET", "/company", Scope.STOCK_READ, _ALL),
    _row("POST", "/auth/login", None, None),
    _row("POST", "/auth/logout", None, _ALL),
    _row("GET", "/auth/me", None, _ALL),
    _row("POST", "/auth/password", None, _ALL),
    _row("GET", "/users", Scope.IDENTITY_WRITE, _ADMIN),
    _row("POST", "/users", Scope.IDENTITY_WRITE, _ADMIN),
    _row("GET", "/users/{username}", Scope.IDENTITY_WRITE, _ADMIN),
    _row("PATCH", "/users/{username}", Scope.IDENTITY_WRITE, _ADMIN),
    _row("POST", "/users/{username}/password", Scope.IDENTITY_WRITE, _ADMIN),
    # Whose tokens, is decided by who asks: their own, or an admin all.
    _row("GET", "/tokens", None, _ALL),
    _row("POST", "/tokens", None, _ALL),
    _row("DELETE", "/tokens/{token}", None, _ALL),
)


def find_access(path: str, routes: Iterable[Access] = ROUTES) -> dict[str, Access]:
    """Return who may call a path, by method; empty where there is no such path.

    A fixed path is found before a template that would also fit it.
    """
    found = [row for row in routes if row.pattern.fullmatch(path)]
    fixed = [row for row in found if "{" not in row.path]
    return {row.method: row for row in fixed or found}
