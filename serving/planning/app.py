"""The planning API as an application: its routes, its errors as problem details, its OpenAPI document."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from restock.errors import RestockError
from serving.openapi import PROBLEM_WORDS, ProblemDetails, render_openapi
from serving.planning.context import PlanningContext
from serving.planning.identifying import SESSION_COOKIE
from serving.planning.recommending import ENDPOINTS
from serving.planning.route_table import API, ROUTES, Access
from serving.planning.routes import all_routers
from serving.problems import (
    PROBLEM_MEDIA_TYPE,
    Problem,
    problem_of_faults,
    problem_of_status,
    problem_response,
    respond,
)

API_VERSION = "1"
_DESCRIPTION = (
    "Catalogue, stock ledger, orders, counts, alerts and analytics. Quantities and money travel as decimal text. Every "
    "write takes an Idempotency-Key, but for what concerns users, tokens and signing in; lists are paged by cursor; "
    "what can be changed has an ETag."
)


def build_application(context: PlanningContext | None) -> FastAPI:
    """Return the application that answers everything under /api/v1.

    Args:
        context: what the endpoints work with; None for an application that only describes itself.

    Raises:
        ValueError: the routes and the table of who may call them differ.
    """
    application = FastAPI(
        title="restock planning API",
        description=_DESCRIPTION,
        version=API_VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        responses={status: {"description": words} for status, words in PROBLEM_WORDS.items()},
        separate_input_output_schemas=True,
    )
    application.state.context = context
    root = APIRouter(prefix=API)
    for router in all_routers():
        root.include_router(router)
    application.include_router(root)
    require_table(application)
    application.add_exception_handler(RestockError, _answer_restock_error)
    application.add_exception_handler(RequestValidationError, _answer_invalid_request)
    application.add_exception_handler(HTTPException, _answer_http_error)
    return application


def served_routes(application: FastAPI) -> set[tuple[str, str]]:
    """Return method and path template of every route, without the prefix."""
    return {
        (method, route.path.removeprefix(API))
        for route in application.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }


def require_table(application: FastAPI, routes: tuple[Access, ...] = ROUTES) -> None:
    """Refuse routes that the table does not know, and rows without a route.

    Raises:
        ValueError: there are any.
    """
    served, known = served_routes(application), {(row.method, row.path) for row in routes}
    if served != known or len(known) != len(routes):
        raise ValueError(f"route table: missing {sorted(served - known)}, without a route {sorted(known - served)}")


@cache
def describe_api() -> dict[str, Any]:
    """Return the OpenAPI document: FastAPI's, with who may call each route. It takes a fifth of a second, once."""
    document = build_application(None).openapi()
    components = document["components"]
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    components["schemas"]["ProblemDetails"] = ProblemDetails.model_json_schema()
    # Each problem is described once: a hundred operations refer to it.
    components["responses"] = {f"Problem{status}": _problem_reply(words) for status, words in PROBLEM_WORDS.items()}
    document["components"]["securitySchemes"]["session"] = {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE}
    for row in ROUTES:
        operation = document["paths"][API + row.path][row.method.lower()]
        operation["security"] = [] if row.roles is None else [{"token": []}, {"session": []}]
        who = "anybody" if row.roles is None else ", ".join(sorted(row.roles))
        scope = "" if row.scope is None else f" Scope: `{row.scope}`."
        for status in PROBLEM_WORDS:
            operation["responses"][str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
        operation["description"] = f"{operation.get('description', '')} Roles: {who}.{scope}".strip()
    # Beside the application: BentoML's own endpoints, described as those of other services are.
    beside = render_openapi("", ENDPOINTS, description="", version=API_VERSION)
    for one in ENDPOINTS:
        operation = beside["paths"][one.path]["post"]
        for status in PROBLEM_WORDS:
            operation["responses"][str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
        document["paths"][one.path] = {"post": operation | {"security": [{"token": []}], "tags": ["planning"]}}
    components["schemas"] |= beside["components"]["schemas"]
    return document


def _operation_id(route: APIRoute) -> str:
    return route.name


def _problem_reply(words: str) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/ProblemDetails"}
    return {"description": words, "content": {PROBLEM_MEDIA_TYPE: {"schema": reference}}}


async def _answer_restock_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, RestockError):
        raise error
    return problem_response(error)


async def _answer_invalid_request(_: Request, error: Exception) -> Response:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    return respond(problem_of_faults(faults))


async def _answer_http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return respond(_problem_of_http(error))


def _problem_of_http(error: HTTPException) -> Problem:
    return problem_of_status(error.status_code, str(error.detail), headers=error.headers)


if __name__ == "__main__":
    # `python -m serving.planning.app > docs/openapi/planning.json` renders the committed document anew.
    import sys

    from serving.openapi import openapi_text

    sys.stdout.write(openapi_text(describe_api()))
