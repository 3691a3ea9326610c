"""`/recommend` as it is run: BentoML's endpoint behind the gateway, over HTTP."""

from __future__ import annotations

import httpx
import pytest

from restock.operations.replenishment.explain_plan import explain_plan_line
from restock.settings import Settings
from tests.planned_workspace import PLAN_DAY
from tests.serving.planning.running import running_planning
from tests.serving.running import SKUS, STORES

LINE = {"sku": SKUS[5], "location": STORES[0]}


@pytest.mark.timeout(280)
def test_recommend_answers_for_lines_as_they_are_now(planned):
    told = explain_plan_line(Settings(workspace=planned), **LINE).explanation
    with running_planning(planned) as service:

        def ask(body, token=service.token):
            headers = {"authorization": f"Bearer {token}"}
            return httpx.post(f"{service.address}/recommend", json=body, headers=headers, timeout=60)

        reply = ask({"lines": [LINE, {**LINE, "sku": SKUS[4], "on_hand": 500}]})
        assert reply.status_code == 200, reply.text
        body = reply.json()
        kept, changed = body["lines"]
        assert (body["as_of"], kept["order_quantity"]) == (str(PLAN_DAY), told.order_quantity)
        assert kept["expected_cost"] == pytest.approx(told.expected_cost, rel=1e-5)
        assert (kept["is_changed"], changed["is_changed"]) == (False, True)
        assert changed["order_quantity"] == 0 < changed["planned_quantity"]
        assert ask({"lines": [LINE]}, token="nobody").status_code == 401
        for wrong, status in (
            ({"lines": []}, 422),
            ({"lines": [LINE, LINE]}, 422),
            ({"lines": [LINE | {"sku": "X"}]}, 404),
        ):
            refused = ask(wrong)
            assert refused.status_code == status, refused.text
            assert refused.headers["content-type"] == "application/problem+json"
        assert httpx.get(f"{service.address}/recommend").status_code == 405
