"""The guide's snippet, run as it stands against deliveries as they are sent."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from restock.adapters.outbox import OutboxEvent
from restock.operations.webhooks.deliveries import Delivery
from restock.operations.webhooks.sender import encode, headers_of

GUIDE = Path(__file__).resolve().parents[4] / "docs" / "guide" / "webhooks.md"


@pytest.fixture(scope="module")
def is_from_restock():
    (snippet,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names = {}
    exec(snippet, names)
    return names["is_from_restock"]


def sent(*, secrets, at):
    payload = {"summary": "Käse unter null"}
    event = OutboxEvent(sequence=1, event="e", topic="stock.alerts", payload=payload, created_at=at)
    delivery = Delivery(identifier=1, n_attempts=0, event=event)
    body = encode(delivery)
    return headers_of(delivery, body, secrets_in_force=secrets, at=at)["restock-signature"], body


def test_guide_snippet_knows_what_was_signed(is_from_restock):
    header, body = sent(secrets=["new", "old"], at=datetime.now(UTC))
    assert is_from_restock(header, body, secret="new")
    assert is_from_restock(header, body, secret="old")
    assert not is_from_restock(header, body, secret="other")
    assert not is_from_restock(header, body + b" ", secret="new")
    assert not is_from_restock("", body, secret="new")


def test_guide_snippet_refuses_what_is_old(is_from_restock):
    header, body = sent(secrets=["s"], at=datetime.now(UTC) - timedelta(minutes=6))
    assert not is_from_restock(header, body, secret="s")
