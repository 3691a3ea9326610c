"""The real service over HTTP on loopback: what it answers, and what it refuses."""

import json
import socket
from datetime import date, timedelta

import bentoml
import httpx
import pytest
from bentoml.exceptions import BentoMLException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.running import FIRST, HORIZON, SKUS, STORES

LAST = FIRST + timedelta(days=119)
ONE = {"sku": SKUS[0], "location": STORES[0]}
HISTORY = [{"date": str(FIRST + timedelta(days=day)), "units_sold": day % 7, "unit_price": 2.0} for day in range(60)]


def problem_of(reply):
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == reply.status_code
    assert problem["instance"].endswith(reply.headers["x-request-id"])
    assert {"type", "title", "detail"} <= set(problem)
    return problem


def test_forecast_reply_holds_everything_that_made_it(service):
    reply = service.post("/forecast", ONE | {"horizon": 3, "quantiles": [0.05, 0.4, 0.95]})
    assert reply.status_code == 200
    body = reply.json()
    assert (body["sku"], body["location"], body["frequency"]) == (SKUS[0], STORES[0], "daily")
    assert body["model"]["type"] == "demand_forecasting"
    assert body["model"]["version"] == "model_version_1"
    assert body["model"]["family"] == "seasonal_naive"
    assert body["model"]["training_cutoff"] == body["cutoff"] == str(LAST)
    assert len(body["data_hash"]) == 64
    assert body["data_hash"] == service.readiness()["history"]["data_hash"]
    assert body["quantiles"] == [0.05, 0.4, 0.95]
    assert body["interpolated_quantiles"] == [0.4]
    assert body["assumptions"] == ["no promotion planned", "price stays at 3.49"]
    assert [period["date"] for period in body["periods"]] == [str(LAST + timedelta(days=step)) for step in (1, 2, 3)]
    for period in body["periods"]:
        values = [period["quantile_units"][level] for level in ("0.05", "0.4", "0.95")]
        assert values == sorted(values)
        assert min(values) >= 0


def test_forecast_horizon_left_out_gives_the_longest(service):
    assert len(service.post("/forecast", ONE).json()["periods"]) == HORIZON


def test_forecast_plan_changes_the_assumptions(service):
    planned = [{"date": str(LAST + timedelta(days=1)), "unit_price": 2.5, "is_promoted": True}]
    body = service.post("/forecast", ONE | {"horizon": 1, "planned": planned}).json()
    assert body["assumptions"] == []


def test_forecast_batch_answers_in_the_order_asked_for(service):
    series = [{"sku": sku, "location": store} for sku in reversed(SKUS) for store in STORES]
    body = service.post("/forecast_batch", {"series": series, "horizon": 2}).json()
    assert [{"sku": one["sku"], "location": one["location"]} for one in body["forecasts"]] == series
    single = service.post("/forecast", series[3] | {"horizon": 2}).json()
    assert body["forecasts"][3]["periods"] == single["periods"]
    assert body["model"] == single["model"]


def test_forecast_batch_with_unknown_series_names_each(service):
    series = [ONE, {"sku": "SKU-9999", "location": "STORE-1"}, {"sku": SKUS[0], "location": "STORE-7"}]
    problem = problem_of(service.post("/forecast_batch", {"series": series}))
    assert problem["status"] == 404
    assert [fault["position"] for fault in problem["errors"]] == [1, 2]


def test_forecast_history_of_an_unseen_product_is_forecast(service):
    reply = service.post("/forecast_history", {"history": HISTORY, "horizon": 7, "sku": "NEW", "location": STORES[0]})
    body = reply.json()
    assert reply.status_code == 200
    assert body["cutoff"] == HISTORY[-1]["date"]
    # Sales repeat every 7 days exactly, so the seasonal naive's mean continues them.
    assert [period["mean_units"] for period in body["periods"]] == [(60 + step) % 7 for step in range(7)]


def test_forecast_history_same_history_has_the_same_hash(service):
    first, again, other = (
        service.post("/forecast_history", {"history": rows, "horizon": 1}).json()["data_hash"]
        for rows in (HISTORY, HISTORY, HISTORY[:-1])
    )
    assert first == again != other


@pytest.mark.parametrize("n_rows", [1, 2, 8])
def test_forecast_history_short_history_is_answered_or_refused_in_words(service, n_rows):
    reply = service.post("/forecast_history", {"history": HISTORY[:n_rows]})
    assert reply.status_code == 200 or problem_of(reply)["status"] == 422


def test_forecast_unknown_sku_names_near_matches(service):
    problem = problem_of(service.post("/forecast", {"sku": "SKU-0O01", "location": STORES[0]}))
    assert problem["status"] == 404
    assert SKUS[0] in problem["near_matches"]
    assert "/forecast_history" in problem["detail"]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"horizon": HORIZON + 1}, "horizon", "1 to 14"),
        ({"horizon": 0}, "invalid-request", "horizon: "),
        ({"horizon": 10**30}, "invalid-request", "horizon: "),
        ({"horizon": "7 days"}, "invalid-request", "horizon: "),
        ({"quantiles": [0.001]}, "quantile", "within 0.05 and 0.95"),
        ({"quantiles": [0.5, 0.1]}, "invalid-request", "increase"),
        ({"quantiles": [1.5]}, "invalid-request", "above 0 and below 1"),
        ({"quantiles": []}, "invalid-request", "quantiles: "),
        ({"planned": [{"date": "2020-01-01"}]}, "plan", "not a forecast period"),
        ({"planned": [{"date": "9999-12-31"}]}, "invalid-request", "planned.0.date"),
        ({"sku": ""}, "invalid-request", "sku: "),
        ({"sku": "x" * 201}, "invalid-request", "sku: "),
        ({"sku": None}, "invalid-request", "sku: "),
        ({"colour": "red"}, "invalid-request", "colour: "),
    ],
)
def test_forecast_bad_field_answers_422_and_says_which(service, change, kind, words):
    problem = problem_of(service.post("/forecast", ONE | change))
    assert (problem["status"], problem["type"]) == (422, f"urn:restock:problem:{kind}")
    assert words in problem["detail"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"date": "2999-01-01", "units_sold": 1}], "must be not after"),
        ([{"date": "2024-01-01", "units_sold": -1}], "history.0.units_sold"),
        ([{"date": "2024-01-01", "units_sold": 1}] * 2, "more than once"),
        ([{"date": "2024-13-01", "units_sold": 1}], "history.0.date"),
        ([], "history: "),
    ],
)
def test_forecast_history_bad_row_answers_422_and_says_which(service, rows, words):
    problem = problem_of(service.post("/forecast_history", {"history": rows}))
    assert problem["status"] == 422
    assert words in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", b"[" * 100_000, b'{"sku": "\\ud800", "location": "x"}', b'{"sku": NaN', b"null{}", b"{} {}"],
)
def test_forecast_malformed_json_answers_400(service, body):
    reply = service.client.post("/forecast", content=body, headers={"content-type": "application/json"})
    assert problem_of(reply)["status"] == 400


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"sku"', b"1", b'{"sku": NaN, "location": Infinity}'])
def test_forecast_json_of_another_shape_answers_422(service, body):
    reply = service.client.post("/forecast", content=body, headers={"content-type": "application/json"})
    assert problem_of(reply)["status"] == 422


def test_forecast_without_token_answers_401(service):
    assert problem_of(httpx.post(f"{service.address}/forecast", json=ONE))["status"] == 401


def test_forecast_body_too_large_answers_413_though_still_sending(service):
    chunks = (b"x" * 50_000 for _ in range(100))
    headers = {"content-type": "application/json"}
    assert problem_of(service.client.post("/forecast", content=chunks, headers=headers))["status"] == 413


@pytest.mark.parametrize("head", ["Content-Length: 300000", "Transfer-Encoding: chunked"])
def test_forecast_lying_about_the_body_is_refused_over_a_raw_socket(service, head):
    host, port = service.address.removeprefix("http://").split(":")
    lines = [
        "POST /forecast HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {service.token}",
        "Content-Type: application/json",
        head,
        "",
        "",
    ]
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode())
        if head.startswith("Transfer"):
            connection.sendall(chunk * 4)
        assert b" 413 " in connection.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize("path", ["/forecast/", "/%2e%2e/forecast", "/static_content/", "/docs.html", "/submit"])
def test_service_any_other_path_answers_404(service, path):
    assert problem_of(service.client.post(path, json=ONE))["status"] == 404


def test_bentoml_client_calls_every_endpoint(service):
    with bentoml.SyncHTTPClient(service.address, token=service.token) as client:
        assert client.is_ready()
        assert client.forecast(ONE | {"horizon": 2})["model"]["version"] == "model_version_1"
        assert len(client.forecast_batch({"series": [ONE], "horizon": 2})["forecasts"]) == 1
        assert client.forecast_history({"history": HISTORY, "horizon": 2})["sku"] == "new"
        assert client.explain(ONE | {"horizon": 2})["sku"] == SKUS[0]
        with pytest.raises(BentoMLException, match="near_matches"):
            client.forecast({"sku": "SKU-1", "location": STORES[0]})


def test_metrics_name_the_served_version_and_endpoints(service):
    service.post("/forecast", ONE)
    metrics = httpx.get(f"{service.address}/metrics", headers={"authorization": f"Bearer {service.admin_token}"}).text
    assert (
        'restock_served_model{family="seasonal_naive",model_type="demand_forecasting",model_version="model_version_1"'
        in metrics
    )
    assert 'restock_request_seconds_bucket{endpoint="/forecast",' in metrics


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=30)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=12,
)
_days = st.one_of(st.dates(), st.dates(date(2023, 1, 1), date(2024, 6, 1)), st.text(max_size=12)).map(str)
_numbers = st.one_of(st.floats(allow_nan=False), st.integers(-5, 10**12), st.none())
_rows = st.fixed_dictionaries(
    {"date": _days, "units_sold": _numbers},
    optional={"unit_price": _numbers, "is_promoted": st.booleans(), "stockout_share": _numbers},
)
_plans = st.fixed_dictionaries({"date": _days}, optional={"unit_price": _numbers, "is_promoted": st.booleans()})
_fields = {
    "sku": st.one_of(st.sampled_from(SKUS), st.text(max_size=20)),
    "location": st.one_of(st.sampled_from(STORES), st.text(max_size=20)),
}
_asked = {
    "horizon": st.one_of(st.integers(-1, 20), _json),
    "quantiles": st.one_of(st.lists(st.floats(0, 1), max_size=5), _json),
    "planned": st.lists(_plans, max_size=3),
}
_likely = st.one_of(
    st.tuples(st.just("/forecast"), st.fixed_dictionaries(_fields, optional=_asked)),
    st.tuples(
        st.just("/forecast_batch"),
        st.fixed_dictionaries({"series": st.lists(st.fixed_dictionaries(_fields), max_size=3)}, optional=_asked),
    ),
    st.tuples(
        st.just("/forecast_history"),
        st.fixed_dictionaries({"history": st.lists(_rows, max_size=6)}, optional=_asked | _fields),
    ),
    st.tuples(
        st.just("/explain"),
        st.fixed_dictionaries(_fields, optional={name: _asked[name] for name in ("horizon", "planned")}),
    ),
    st.tuples(st.sampled_from(["/forecast", "/forecast_batch", "/forecast_history", "/explain"]), _json),
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_likely)
def test_service_any_json_is_answered_without_failing(service, request_parts):
    path, body = request_parts
    reply = service.client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert reply.status_code in {200, 400, 404, 422}, reply.text
    if reply.status_code != 200:
        problem_of(reply)


def test_log_holds_no_token_no_body_and_no_access_lines(service):
    service.post("/forecast", {"sku": "CONFIDENTIAL-SKU", "location": ["x"]})
    service.post("/forecast", ONE)
    log = service.log.read_text(encoding="utf-8")
    assert service.token not in log
    assert "CONFIDENTIAL" not in log
    assert "Traceback" not in log
    assert "/forecast" not in log
