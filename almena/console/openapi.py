"""The API described for programs: OpenAPI 3.1, its schemas made from the very types that answers are written from."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from almena import __version__
from almena.console.api import AlertFilters, AlertPage, Problem, Status

_REF = "#/components/schemas/{name}"
_PROBLEMS = {"400": "A filter or a cursor is wrong.", "401": "No token, or one that is not known."}


@cache
def document() -> bytes:
    """The whole description as JSON."""
    return msgspec.json.encode(describe())


def describe() -> dict[str, Any]:
    """The whole description."""
    _, schemas = msgspec.json.schema_components((AlertPage, Status, Problem), ref_template=_REF)
    schemas["Alert"] = {
        "type": "object",
        "title": "Alert",
        "description": "A flat document of the Elastic Common Schema with the fields of Almena beside it.",
        "required": ["@timestamp", "rule.id", "almena.alert.id", "almena.alert.level"],
        "additionalProperties": True,
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Almena",
            "version": __version__,
            "description": "Alerts and the state of the whole, within the agencies the caller may see.",
        },
        "security": [{"token": []}, {"session": []}],
        "paths": {
            "/api/v1/alerts": {"get": _alerts()},
            "/api/v1/alerts/{alert_id}": {"get": _alert()},
            "/api/v1/status": {"get": _operation("status", "How the whole is doing", "Status", [])},
            "/api/v1/openapi.json": {"get": _itself()},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "almena_session"},
            },
        },
    }


def _alerts() -> dict[str, Any]:
    _, found = msgspec.json.schema_components((AlertFilters,), ref_template=_REF)
    parameters = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in found["AlertFilters"]["properties"].items()
    ]
    return _operation("listAlerts", "Alerts, the newest first", "AlertPage", parameters, problems=("400", "401"))


def _alert() -> dict[str, Any]:
    parameter = {"name": "alert_id", "in": "path", "required": True, "schema": {"type": "string"}}
    operation = _operation("getAlert", "One alert", "Alert", [parameter])
    operation["responses"]["404"] = _answer("There is none within the caller's agencies.", "Problem", problem=True)
    return operation


def _itself() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": "openapi",
        "summary": "This description",
        "security": [],
        "responses": {"200": {"description": "OpenAPI 3.1.", "content": content}},
    }


def _operation(
    name: str, summary: str, schema: str, parameters: list[dict[str, Any]], problems: tuple[str, ...] = ("401",)
) -> dict[str, Any]:
    answers = {"200": _answer(summary + ".", schema)}
    answers |= {status: _answer(_PROBLEMS[status], "Problem", problem=True) for status in problems}
    return {"operationId": name, "summary": summary, "parameters": parameters, "responses": answers}


def _answer(description: str, schema: str, *, problem: bool = False) -> dict[str, Any]:
    media = "application/problem+json" if problem else "application/json"
    return {
        "description": description,
        "content": {media: {"schema": {"$ref": _REF.format(name=schema)}}},
    }
