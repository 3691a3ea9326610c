"""Explanations, scenarios, the frontier and judged decisions over HTTP, from a kept plan."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.migrate import migrate
from restock.operations.replenishment.explain_plan import explain_plan_line
from restock.operations.replenishment.recommend import recommend
from restock.settings import Settings
from serving.asgi import Gateway
from serving.planning.frame import build_frame
from serving.planning.recommending import RecommendRequest, reply_of_recommendations
from tests.planned_workspace import KEPT, PLAN_DAY, UNKNOWN, WAREHOUSE
from tests.serving.planning.conftest import Api, Clock, Tokens, fill_catalogue
from tests.serving.running import SKUS, STORES

LINE = f"/plans/{SKUS[5]}/{STORES[0]}/explanation"


@pytest.fixture(scope="module")
def planner(planned_template, tmp_path_factory):
    """Return a client of the planning API over the workspace with a plan, and what its files were."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}"
    engine = open_database(url)
    migrate(engine)
    with write_transaction(engine) as connection:
        fill_catalogue(connection)
    settings = Settings(workspace=planned_template, database_url=url, requests_per_second=10_000)
    frame = build_frame(engine, settings, now=Clock(), verifier=Tokens())

    async def nothing(scope, receive, send):
        raise AssertionError("the gateway must not pass anything on to BentoML")

    yield Api(TestClient(Gateway(nothing, find_frame=lambda: frame), raise_server_exceptions=False), "analyst")
    engine.dispose()


@pytest.fixture
def settings(planned_template):
    return Settings(workspace=planned_template)


def test_explanation_is_the_operation_s_and_the_same_later(planner, settings):
    first, second = (planner.get(LINE, as_of=str(PLAN_DAY)) for _ in range(2))
    assert first.status_code == 200, first.text
    assert first.json() == second.json()
    told = explain_plan_line(settings, sku=SKUS[5], location=STORES[0]).to_json()
    assert first.json() == json.loads(json.dumps(told, default=str))


def test_explanation_of_what_is_not_planned_is_404_and_says_why(planner):
    reply = planner.get(f"/plans/{UNKNOWN[0]}/{UNKNOWN[1]}/explanation")
    assert reply.status_code == 404
    assert "its stock is not known" in reply.json()["detail"]
    assert planner.get(LINE, as_of="2020-01-01").status_code == 404


def test_what_if_answers_each_scenario_and_writes_nothing(planner, planned_template):
    before = {path: path.stat().st_mtime_ns for path in planned_template.rglob("*") if path.is_file()}
    body = {
        "lines": {"location": STORES[1]},
        "scenarios": [
            {"name": "promotion", "demand_factor": 2, "lines": {"skus": [KEPT[0]]}},
            {"name": "no supplier", "outage_days": 5},
        ],
    }
    reply = planner.post("/plans/what-if", body)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert [one["name"] for one in told["scenarios"]] == ["as planned", "promotion", "no supplier"]
    assert told["scenarios"][2]["lost_units"] > told["scenarios"][0]["lost_units"]
    assert len(told["dates"]) == len(told["scenarios"][0]["periods"]["stock_value"])
    assert {path: path.stat().st_mtime_ns for path in planned_template.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"scenarios": []}, 422),
        ({"scenarios": [{"name": f"s{number}"} for number in range(7)]}, 422),
        ({"scenarios": [{"name": "a"}, {"name": "a"}]}, 422),
        ({"scenarios": [{"name": "a", "service_target": 1.2}]}, 422),
        ({"scenarios": [{"name": "a", "outage_days": 3, "lines": {"supplier": "nobody"}}]}, 422),
        ({"scenarios": [{"name": "a"}], "lines": {"location": "nowhere"}}, 404),
        ({"scenarios": [{"name": "a"}], "lines": {"skus": ["x"] * 201}}, 422),
    ],
)
def test_what_if_out_of_bounds_is_a_problem(planner, body, status):
    reply = planner.post("/plans/what-if", body)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"


def test_frontier_rises_with_the_fill_rate(planner):
    told = planner.get("/plans/frontier", sku=[SKUS[4], SKUS[5]], points=6).json()
    assert told["lines"] == 4
    rates = [point["fill_rate"] for point in told["points"]]
    assert rates == sorted(rates)
    assert 2 <= len(rates) <= 6
    assert planner.get("/plans/frontier", points=1).status_code == 422


def test_judged_overrides_of_an_empty_ledger_are_none(planner):
    assert planner.get("/overrides/judged").json() == {"items": [], "planners": {}}


def test_recommend_without_changes_gives_the_kept_plan(settings):
    request = RecommendRequest.model_validate(
        {"lines": [{"sku": SKUS[5], "location": STORES[0]}, {"sku": KEPT[0], "location": WAREHOUSE}]}
    )
    reply = reply_of_recommendations(recommend(settings, [line.to_line() for line in request.lines]))
    assert [(line.sku, line.location) for line in reply.lines] == [(SKUS[5], STORES[0]), (KEPT[0], WAREHOUSE)]
    for line in reply.lines:
        told = explain_plan_line(settings, sku=line.sku, location=line.location).explanation
        assert not line.is_changed
        assert line.order_quantity == line.planned_quantity == told.order_quantity
        assert line.expected_cost == pytest.approx(told.expected_cost, rel=1e-5)
        assert line.stockout_probability == pytest.approx(told.stockout_probability)


def test_recommend_with_other_stock_and_terms_plans_anew_on_the_same_paths(settings):
    base = {"sku": SKUS[5], "location": STORES[0]}
    (told,) = recommend(settings, [RecommendRequest.model_validate({"lines": [base]}).lines[0].to_line()]).lines

    def asked(**changes):
        request = RecommendRequest.model_validate({"lines": [base | changes]})
        (line,) = recommend(settings, [request.lines[0].to_line()]).lines
        return line

    assert asked(on_hand=0).order_quantity > told.order_quantity
    full = asked(on_hand=500)
    assert (full.order_quantity, full.is_changed, full.inventory_position) == (0, True, 510)
    assert asked(on_hand=0, order_multiple=50).order_quantity % 50 == 0
    assert asked(lead_time_days=10).order_up_to_level > asked(lead_time_days=1).order_up_to_level
    assert asked(service_target=0.6).order_up_to_level < asked(service_target=0.99).order_up_to_level
