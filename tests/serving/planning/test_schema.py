"""Whatever is sent to the planning API, the reply is what its OpenAPI document says, and never a failure of its own."""

from __future__ import annotations

from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.planning.route_table import ROUTES

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Streams do not end, and files in are told of by their own tests.
_LEFT_OUT = frozenset({"/api/v1/events"})


def fuzz(client, *, n_cases, seed_number):
    """Send cases to every operation, as an administrator, and return how many were sent by status."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", client.app)
    statuses = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in _LEFT_OUT or not operation.path.startswith("/api/"):
            continue

        @seed(seed_number)
        @settings(
            max_examples=n_cases,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @given(case=operation.as_strategy())
        def send(case):
            reply = case.call_and_validate(headers={"authorization": "Bearer admin"}, checks=CHECKS)
            statuses[reply.status_code] += 1

        send()
    return statuses


def test_api_answers_as_its_document_says(client):
    statuses = fuzz(client, n_cases=5, seed_number=4)
    assert sum(statuses.values()) >= 4 * len(ROUTES)
    # A run in which nothing is let through tests only the gate.
    assert statuses[200] > 0


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_api_answers_as_its_document_says_in_ten_thousand_cases(client):
    statuses = fuzz(client, n_cases=1 + 12_000 // len(ROUTES), seed_number=5)
    assert sum(statuses.values()) >= 10_000
