"""`/explain` over HTTP on loopback: parts that add up to what `/forecast` answers."""

from datetime import timedelta

import httpx
import pytest

from tests.serving.running import FIRST, HORIZON, SKUS, STORES, promote_version, running, serve_version, write_history

LAST = FIRST + timedelta(days=119)
ONE = {"sku": SKUS[0], "location": STORES[0]}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The service with boosted trees, which read a plan."""
    workspace = tmp_path_factory.mktemp("explained")
    write_history(workspace)
    serve_version(workspace, promote_version(workspace, family="xgboost"))
    with running(workspace) as started:
        yield started


@pytest.mark.parametrize("horizon", [None, 1, 7])
def test_explain_parts_add_up_to_the_forecast(service, horizon):
    asked = ONE | {"horizon": horizon, "planned": [{"date": str(LAST + timedelta(days=1)), "is_promoted": True}]}
    told = service.post("/explain", asked)
    assert told.status_code == 200
    body, forecast = told.json(), service.post("/forecast", asked).json()
    assert len(body["periods"]) == (horizon or HORIZON)
    for period, served in zip(body["periods"], forecast["periods"], strict=True):
        assert (period["date"], period["mean_units"]) == (served["date"], served["mean_units"])
        assert sum(period["part_units"].values()) == pytest.approx(served["mean_units"], abs=1e-9)
    assert body["mean_units"] == pytest.approx(sum(served["mean_units"] for served in forecast["periods"]))
    assert sum(body["part_units"].values()) == pytest.approx(body["mean_units"], abs=1e-9)
    for name in ("sku", "location", "assumptions", "model", "cutoff", "data_hash", "frequency"):
        assert body[name] == forecast[name], name
    assert body["sentence"].split(" ")[0] == f"{body['mean_units']:.{0 if body['mean_units'] >= 10 else 1}f}"


def test_explain_without_a_plan_gives_promotion_nothing(service):
    body = service.post("/explain", ONE | {"horizon": 3}).json()
    assert body["part_units"]["promotion"] == 0
    assert body["part_units"]["level"] > 0


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"sku": "SKU-0O01"}, 404, "unknown-series"),
        ({"horizon": HORIZON + 1}, 422, "horizon"),
        ({"quantiles": [0.5]}, 422, "invalid-request"),
        ({"planned": [{"date": "2020-01-01"}]}, 422, "plan"),
    ],
)
def test_explain_refuses_with_problem_details(service, change, status, kind):
    reply = service.post("/explain", ONE | change)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["type"] == f"urn:restock:problem:{kind}"


def test_explain_needs_a_token(service):
    assert httpx.post(f"{service.address}/explain", json=ONE).status_code == 401
