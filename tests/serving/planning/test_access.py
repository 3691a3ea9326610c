"""Every route with every role and with none: the table says who may, and the service does what it says."""

from __future__ import annotations

import re

import pytest

from restock.operations.access import Role
from serving.planning.app import API, build_application, require_table, served_routes
from serving.planning.route_table import ROUTES, find_access


@pytest.mark.parametrize("row", ROUTES, ids=lambda row: f"{row.method} {row.path}")
def test_every_route_lets_in_whom_the_table_names_and_nobody_else(client, row):
    path = API + re.sub(r"\{\w+\}", "some-thing", row.path)
    for role in (None, *Role):
        headers = {} if role is None else {"authorization": f"Bearer {role}"}
        reply = client.request(row.method, path, headers=headers, json={} if row.method != "GET" else None)
        if row.roles is None:
            assert reply.status_code not in (401, 403), (role, reply.text)
        elif role is None:
            assert reply.status_code == 401
            assert reply.headers["www-authenticate"].startswith("Bearer")
        elif role in row.roles:
            assert reply.status_code not in (401, 403), (role, reply.text)
        else:
            assert reply.status_code == 403, (role, reply.text)
        assert reply.status_code < 500


def test_require_table_a_route_that_nobody_decided_on_is_refused():
    application = build_application(None)
    assert served_routes(application) == {(row.method, row.path) for row in ROUTES}
    with pytest.raises(ValueError, match=re.escape("missing [('GET', '/stock')]")):
        require_table(application, tuple(row for row in ROUTES if row.path != "/stock"))


def test_find_access_a_fixed_path_comes_before_a_template():
    assert find_access(f"{API}/movements/batch")["POST"].path == "/movements/batch"
    assert set(find_access(f"{API}/movements/m-1")) == {"GET"}
    assert find_access(f"{API}/nothing") == {}


def test_unknown_path_and_method_are_problems(client):
    assert client.get("/api/v1/nothing").status_code == 404
    reply = client.delete("/api/v1/stock", headers={"authorization": "Bearer admin"})
    assert reply.status_code == 405
    assert reply.headers["allow"] == "GET"
    assert reply.headers["content-type"] == "application/problem+json"


def test_every_reply_has_the_headers_that_keep_browsers_safe(client):
    headers = client.get("/api/v1/stock").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers
