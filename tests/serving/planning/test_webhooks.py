from __future__ import annotations

import random

import pytest
from sqlalchemy import select

from restock.adapters.database.engine import read_transaction
from restock.adapters.database.ledger_tables import AuditRow, IdempotencyRow
from restock.adapters.webhook_calls import WebhookCaller
from restock.operations.relay import Relay
from restock.operations.webhooks.deliveries import WebhookLayout
from restock.operations.webhooks.sender import WebhookSender
from restock.operations.webhooks.signing import read_signing_key, signing_key_file
from tests.webhook_receiver import WebhookReceiver

BODY = {"url": "https://hooks.example.com/restock", "topics": ["stock.*"]}


@pytest.fixture
def admin(api):
    return api("admin")


@pytest.fixture
def receiver(monkeypatch):
    # Read before the client's settings are made.
    with WebhookReceiver() as made:
        yield made


@pytest.fixture
def local_admin(monkeypatch, request):
    """Return an admin of a service that lets webhooks go to this machine."""
    monkeypatch.setenv("RESTOCK_WEBHOOKS_ALLOW_LOCAL", "true")
    return request.getfixturevalue("api")("admin")


def send(engine, clock, tmp_path):
    """Relay and send what is due, as the service does in the background."""
    relay = Relay(engine, [WebhookLayout(engine, now=clock)], now=clock)
    while relay.step():
        pass
    sender = WebhookSender(
        engine,
        key=read_signing_key(signing_key_file(tmp_path)),
        caller=WebhookCaller(is_local_allowed=True),
        now=clock,
        rng=random.Random(1),
    )
    sender.step()
    n_taken = sender.wait()
    sender.close()
    return n_taken


def test_webhook_made_over_http_gets_signed_movements_and_replays(
    local_admin, operator, receiver, engine, clock, tmp_path
):
    made = local_admin.post("/webhooks", {"url": receiver.url, "topics": ["stock.movements"]})
    assert made.status_code == 201, made.text
    webhook, secret = made.json()["webhook"], made.json()["secret"]
    receiver.secrets = [secret]
    operator.book("receipt", "SCREW", 5)
    operator.book("sale", "SCREW", 1)
    assert send(engine, clock, tmp_path) == 2
    assert all(each.is_signed for each in receiver.received)
    assert [each.body["payload"]["kind"] for each in receiver.received] == ["receipt", "sale"]
    rows = local_admin.get(f"/webhooks/{webhook}/deliveries", state="delivered").json()["items"]
    assert [row["sequence"] for row in rows] == [2, 1]
    again = local_admin.post(f"/webhooks/{webhook}/deliveries/{rows[0]['delivery']}/replay")
    assert again.json() == {"events": 1}
    ranged = local_admin.post(f"/webhooks/{webhook}/replay", {"first_sequence": 1, "last_sequence": 1})
    assert ranged.json() == {"events": 1}
    assert send(engine, clock, tmp_path) == 2
    assert receiver.sequences() == [1, 2, 1, 2]
    wrong = local_admin.post(f"/webhooks/{webhook}/replay", {"first_sequence": 2, "last_sequence": 1})
    assert wrong.status_code == 422
    assert local_admin.post(f"/webhooks/{webhook}/deliveries/99/replay").status_code == 404


def test_secret_is_shown_when_it_is_made_only_and_kept_nowhere(admin, engine):
    made = admin.post("/webhooks", BODY, key="make-one-webhook")
    secret = made.json()["secret"]
    assert secret.startswith("rws_")
    # The reply was lost: the same request tells it again.
    assert admin.post("/webhooks", BODY, key="make-one-webhook").json() == made.json()
    path = f"/webhooks/{made.json()['webhook']}"
    assert "secret" not in admin.get(path).json()
    rotated = admin.post(f"{path}/secret").json()["secret"]
    assert rotated != secret
    with read_transaction(engine) as connection:
        kept = [str(row) for table in (IdempotencyRow, AuditRow) for row in connection.execute(select(table.__table__))]
    assert not [row for row in kept if "rws_" in row]


def test_webhook_is_changed_by_version_switched_off_and_removed(admin):
    made = admin.post("/webhooks", BODY)
    path = f"/webhooks/{made.json()['webhook']}"
    changed = admin.send("PUT", path, BODY | {"is_active": False}, **{"if-match": made.headers["etag"]})
    assert changed.json()["is_active"] is False
    assert admin.send("PUT", path, BODY, **{"if-match": made.headers["etag"]}).status_code == 412
    assert [row["webhook"] for row in admin.get("/webhooks").json()["items"]] == [made.json()["webhook"]]
    assert admin.send("DELETE", path).status_code == 200
    assert admin.get(path).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://hooks.example.com/"},
        {"url": "https://127.0.0.1/"},
        {"url": "https://10.0.0.8/"},
        {"url": "https://user:pw@hooks.example.com/"},
        {"topics": []},
        {"topics": ["Stock"]},
    ],
)
def test_webhook_that_must_not_be_is_refused(admin, change):
    assert admin.post("/webhooks", BODY | change).status_code == 422
