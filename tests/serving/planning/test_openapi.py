from __future__ import annotations

from pathlib import Path

from serving.openapi import openapi_text
from serving.planning.app import describe_api

COMMITTED = Path(__file__).resolve().parents[3] / "docs" / "openapi" / "planning.json"


def test_openapi_committed_document_is_what_the_code_says():
    # Mend it: python -m serving.planning.app > docs/openapi/planning.json
    assert COMMITTED.read_text(encoding="utf-8") == openapi_text(describe_api())


def test_openapi_every_field_and_parameter_is_described():
    document = describe_api()
    schemas = document["components"]["schemas"]
    silent = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, described in schema.get("properties", {}).items()
        # What it refers to describes it then, in the same words.
        if not described.get("description") and "$ref" not in described
    ]
    assert silent == []
    parameters = [
        f"{path} {parameter['name']}"
        for path, operations in document["paths"].items()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] != "path" and not parameter.get("description")
    ]
    assert parameters == []


def test_openapi_every_operation_says_who_may_call_it():
    for path, operations in describe_api()["paths"].items():
        for method, operation in operations.items():
            assert "Roles: " in operation["description"], (method, path)
