"""A service's API as an OpenAPI document and as a page, both rendered from its typed requests and replies."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from restock.operations.access import Scope, roles_with
from serving.problems import PROBLEM_MEDIA_TYPE

_HEALTH = frozenset({"/livez", "/readyz", "/metrics"})
_REFERENCE = "#/components/schemas/{model}"
PROBLEM_WORDS: dict[int, str] = {
    400: "The body is not JSON, or a header contradicts itself.",
    401: "No token came, or it is unknown, expired or revoked.",
    403: "The token, or its role, may not do this.",
    404: "A sku, a location or the pair of them is unknown; `near_matches` holds names that look alike.",
    408: "The body came too slowly.",
    409: "It does not fit the state that something has by now; the detail says which.",
    412: "What is to be changed has changed since it was read.",
    413: "The body is larger than RESTOCK_MAX_BODY_BYTES.",
    415: "The body is not application/json, or it is compressed.",
    422: "A field is not valid, the horizon is too long, or a quantile can't be given; `errors` lists the fields.",
    429: "Too many requests; ask less often.",
    500: "The service failed; its log holds the cause under the request's id.",
    503: "Nothing is served yet, or too many requests are under way; `Retry-After` says when to ask again.",
}


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Stable identifier of the kind.", examples=["urn:restock:problem:horizon"])
    title: str = Field(description="The kind in words.", examples=["The horizon is too long"])
    status: int = Field(description="HTTP status.", examples=[422])
    detail: str = Field(description="What is wrong, what was expected and how to mend it.")
    instance: str = Field(description="The request, as the service's log names it.")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One POST endpoint.

    Attributes:
        path: where.
        summary: one line.
        request: model of the body.
        reply: model of the reply.
        scope: what the token must have.
    """

    path: str
    summary: str
    request: type[BaseModel]
    reply: type[BaseModel]
    scope: Scope


def render_openapi(title: str, endpoints: Sequence[Endpoint], *, description: str, version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a service."""
    models: list[type[BaseModel]] = [
        ProblemDetails,
        *(model for one in endpoints for model in (one.request, one.reply)),
    ]
    # Requests as they are read and replies as they are written; no model here differs between the two.
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": description, "version": version},
        "paths": {one.path: {"post": _operation(one)} for one in endpoints} | _health_paths(),
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def openapi_text(document: dict[str, Any]) -> str:
    """Return the document as it is committed: indented, with a newline at its end."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def render_docs(document: dict[str, Any]) -> str:
    """Return the document as one page that loads nothing."""
    schemas = document["components"]["schemas"]
    sections = [
        _section(method, path, operation, schemas)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path not in _HEALTH
    ]
    title = html.escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{html.escape(document['info']['description'])}</p>"
        '<p>Machine-readable: <a href="/openapi.json">/openapi.json</a>. State: <a href="/readyz">/readyz</a>.</p>'
        + "".join(sections)
        + "</html>"
    )


def _operation(one: Endpoint) -> dict[str, Any]:
    roles = ", ".join(roles_with(one.scope))
    problems = {
        str(status): {
            "description": words,
            "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model="ProblemDetails")}}},
        }
        for status, words in PROBLEM_WORDS.items()
    }
    return {
        "operationId": one.path.strip("/"),
        "summary": one.summary,
        "description": f"{one.request.__doc__} Roles: {roles}.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": _reference(one.request)}}},
        "responses": {
            "200": {
                "description": one.reply.__doc__,
                "content": {"application/json": {"schema": _reference(one.reply)}},
            },
            **problems,
        },
    }


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _health_paths() -> dict[str, Any]:
    def path(summary: str, answers: dict[str, str], *, is_open: bool = True) -> dict[str, Any]:
        operation: dict[str, Any] = {
            "summary": summary,
            "responses": {status: {"description": words} for status, words in answers.items()},
        }
        return {"get": operation | ({"security": []} if is_open else {})}

    return {
        "/livez": path("Whether the process answers.", {"200": "It does."}),
        "/readyz": path(
            "What is served, since when, and which version stays out and why.",
            {"200": "Requests can be answered.", "503": "Nothing is served yet; the body says why."},
        ),
        "/metrics": path(
            "Prometheus metrics; roles: " + ", ".join(roles_with(Scope.METRICS)) + ".",
            {"200": "Text format.", "401": PROBLEM_WORDS[401], "403": PROBLEM_WORDS[403]},
            is_open=False,
        ),
    }


def _section(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    words = [f"<h2>{method.upper()} {html.escape(path)}</h2><p>{html.escape(operation['summary'])}</p>"]
    request = _schema_of(operation.get("requestBody", {}), schemas)
    words.append(f"<pre>{html.escape(_call(method, path, operation, request))}</pre>")
    if operation.get("parameters"):
        words.append(f"<h3>Parameters</h3>{_parameter_table(operation['parameters'])}")
    if request:
        words.append(f"<h3>Request</h3>{_field_table(request)}")
    success: dict[str, Any] = next(
        (reply for status, reply in operation["responses"].items() if status.startswith("2")), {}
    )
    reply = _schema_of(success, schemas)
    if reply:
        words.append(f"<h3>Reply</h3>{_field_table(reply)}")
    return "".join(words)


def _schema_of(content: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the named schema of a body; empty where it has none."""
    reference = content.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
    named: dict[str, Any] = schemas.get(reference.rsplit("/", 1)[-1], {})
    return named if "properties" in named else {}


def _call(method: str, path: str, operation: dict[str, Any], request: dict[str, Any]) -> str:
    """Return an example of a call."""
    parts = ["curl -H 'Authorization: Bearer TOKEN'"]
    if method != "get" and (method != "post" or not request):
        parts.append(f"-X {method.upper()}")
    parts += [
        f"-H '{one['name']}: VALUE'"
        for one in operation.get("parameters", [])
        if one["in"] == "header" and one.get("required")
    ]
    if request:
        example = json.dumps(request.get("examples", [{}])[0], indent=2)
        parts.append(f"-H 'Content-Type: application/json' \\\n  -d '{example}'")
    return " ".join([*parts, f"ADDRESS{path}"])


def _parameter_table(parameters: Sequence[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{html.escape(one['name'])}</code></td><td>{html.escape(one['in'])}</td>"
        f"<td>{html.escape(_type_words(one['schema']))}</td><td>{'required' if one.get('required') else ''}</td>"
        f"<td>{html.escape(one.get('description', ''))}</td></tr>"
        for one in parameters
    )
    return f"<table>{rows}</table>"


def _field_table(schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(_type_words(described))}</td>"
        f"<td>{'required' if name in schema.get('required', []) else ''}</td>"
        f"<td>{html.escape(described.get('description', ''))}</td></tr>"
        for name, described in schema["properties"].items()
    )
    return f"<table>{rows}</table>"


def _type_words(described: dict[str, Any]) -> str:
    if "anyOf" in described:
        return " or ".join(_type_words(one) for one in described["anyOf"])
    if "$ref" in described:
        return str(described["$ref"]).rsplit("/", 1)[-1]
    if described.get("type") == "array":
        return f"list of {_type_words(described.get('items', {}))}"
    return str(described.get("format") or described.get("type") or "any")


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430}"
    "pre{background:#f2f4f7;padding:1rem;overflow:auto}table{border-collapse:collapse;width:100%}"
    "td{border-top:1px solid #d5dae1;padding:.4rem .6rem;vertical-align:top}"
)
