"""What every request to the planning API must pass before it is parsed."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from restock.settings import Settings
from serving.asgi import Gateway
from serving.planning.frame import build_frame
from tests.serving.planning.conftest import Tokens

OPERATOR = {"authorization": "Bearer operator"}
BODY = {"kind": "receipt", "location": "STORE-1", "lines": [{"sku": "SCREW", "quantity": "1"}]}


def make_client(engine, clock, tmp_path, **changes):
    frame = build_frame(engine, Settings(workspace=tmp_path, **changes), now=clock, verifier=Tokens())
    return TestClient(Gateway(None, find_frame=lambda: frame), raise_server_exceptions=False)


def test_gate_slows_down_who_asks_too_often_and_nobody_else(engine, clock, tmp_path):
    client = make_client(engine, clock, tmp_path, requests_per_second=1)
    statuses = [client.get("/api/v1/company", headers=OPERATOR).status_code for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    assert client.get("/api/v1/company", headers={"authorization": "Bearer manager"}).status_code == 200


def test_gate_refuses_a_body_that_is_too_large_before_it_is_parsed(engine, clock, tmp_path):
    client = make_client(engine, clock, tmp_path, max_body_bytes=2_000)
    body = BODY | {"reason": "x" * 3_000}
    reply = client.post("/api/v1/movements", json=body, headers=OPERATOR | {"idempotency-key": "large-one"})
    assert reply.status_code == 413


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"{not json", "application/json", 400),
        (b"sku=1", "application/x-www-form-urlencoded", 415),
        (b"[1, 2]", "application/json", 422),
        (b'{"kind": "sale"}', "application/json", 422),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
    ],
)
def test_gate_and_application_answer_bodies_that_are_none_with_problems(client, content, media_type, status):
    headers = OPERATOR | {"idempotency-key": "a-key-of-mine", "content-type": media_type}
    reply = client.post("/api/v1/movements", content=content, headers=headers)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"


def test_health_needs_no_token_and_metrics_do(client):
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").json()["status"] == "ready"
    assert client.get("/metrics").status_code == 401
    assert client.get("/docs").status_code == 200
    assert client.get("/openapi.json").json()["info"]["title"] == "restock planning API"


def test_metrics_name_routes_and_not_paths(client):
    client.get("/api/v1/movements/secret-name", headers=OPERATOR)
    text = client.get("/metrics", headers={"authorization": "Bearer admin"}).text
    assert 'endpoint="/api/v1/movements/{movement}"' in text
    assert "secret-name" not in text


def test_readyz_says_what_a_database_without_tables_needs(tmp_path, clock):
    from restock.adapters.database.engine import open_database

    empty = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    reply = make_client(empty, clock, tmp_path).get("/readyz")
    assert reply.status_code == 503
    assert "restock ledger migrate" in reply.json()["database"]
