import pytest

from restock.errors import PermissionDeniedError
from restock.operations.access import ROLE_SCOPES, Principal, Role, Scope, roles_with


def test_require_scope_of_another_role_names_roles_that_have_it():
    with pytest.raises(PermissionDeniedError, match="Roles that have it: manager, admin"):
        Principal(name="me", role=Role.OPERATOR).require(Scope.COUNTS_APPROVE)


def test_require_scope_that_the_token_was_not_given_is_refused():
    principal = Principal(name="till", role=Role.SERVICE, scopes=frozenset({Scope.STOCK_READ}))
    principal.require(Scope.STOCK_READ)
    with pytest.raises(PermissionDeniedError, match="was not given the scope 'stock:write'; it has stock:read"):
        principal.require(Scope.STOCK_WRITE)


def test_granted_scopes_beyond_the_role_give_nothing():
    principal = Principal(name="till", role=Role.OPERATOR, scopes=frozenset(Scope))
    assert principal.granted == ROLE_SCOPES[Role.OPERATOR]


def test_role_scopes_cover_every_role_and_admin_may_everything():
    assert set(ROLE_SCOPES) == set(Role)
    assert ROLE_SCOPES[Role.ADMIN] == frozenset(Scope)


def test_roles_with_metrics_are_admin_and_service_alone():
    assert roles_with(Scope.METRICS) == (Role.ADMIN, Role.SERVICE)
