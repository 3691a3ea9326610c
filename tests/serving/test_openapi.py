import json
import re
import subprocess
import sys
from pathlib import Path

from serving.forecast.api import ENDPOINTS, describe_api
from serving.forecast.explaining import ExplainRequest
from serving.forecast.requests import ForecastBatchRequest, ForecastHistoryRequest, ForecastRequest
from serving.openapi import openapi_text, render_docs

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "docs" / "openapi" / "forecast.json"


def test_openapi_committed_document_is_what_the_code_says():
    # Mend it: python -m serving.forecast.api > docs/openapi/forecast.json
    assert COMMITTED.read_text(encoding="utf-8") == openapi_text(describe_api())


def test_openapi_every_reference_leads_somewhere():
    text = COMMITTED.read_text(encoding="utf-8")
    schemas = json.loads(text)["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= set(schemas)


def test_openapi_every_field_is_described_and_every_request_has_an_example_that_is_valid():
    schemas = describe_api()["components"]["schemas"]
    for name, schema in schemas.items():
        for field, described in schema.get("properties", {}).items():
            # A field that says the same as the type it refers to leaves it to that type.
            referred = schemas.get(described.get("$ref", "").rsplit("/", 1)[-1], {})
            assert described.get("description") or referred.get("description"), f"{name}.{field}"
    for model in (ForecastRequest, ForecastBatchRequest, ForecastHistoryRequest, ExplainRequest):
        for example in schemas[model.__name__]["examples"]:
            model.model_validate(example)


def test_openapi_names_the_unit_of_every_quantity():
    schemas = describe_api()["components"]["schemas"]
    for schema in schemas.values():
        for field, described in schema.get("properties", {}).items():
            if field.endswith("_units") or field == "units_sold":
                assert "units" in described["description"].lower()
            if field.endswith("_price"):
                assert "currency per unit" in described["description"]


def test_render_docs_loads_nothing_from_elsewhere_and_shows_every_endpoint():
    page = render_docs(describe_api())
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    assert all(endpoint.path in page for endpoint in ENDPOINTS)


def test_service_offers_exactly_the_endpoints_of_the_document():
    code = (
        "from serving.forecast.service import ForecastService as s; import sys, json;"
        "unwanted = {'tensorflow', 'mlflow', 'great_expectations', 'dvc', 'airflow', 'xgboost', 'sklearn'};"
        "heavy = unwanted & set(sys.modules);"
        "print(json.dumps([[api.route for api in s.apis.values()], sorted(heavy)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    routes, heavy = json.loads(done.stdout.splitlines()[-1])
    assert sorted(routes) == sorted(endpoint.path for endpoint in ENDPOINTS)
    assert heavy == []
