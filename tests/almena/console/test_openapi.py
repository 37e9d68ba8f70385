from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import console_seed as seed
import msgspec
import pytest
from console_client import PASSWORD, Clock, TestClient

from almena.console import openapi
from almena.console.app import routes
from almena.console.users import create_token, create_user
from almena.store import Store

DOCUMENT = openapi.describe()


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()]


def test_it_describes_every_address_of_the_api_and_no_other() -> None:
    served = {
        (route.path, method.lower())
        for route in routes()
        if route.path.startswith("/api/")
        for method in getattr(route, "methods", ())
        if method != "HEAD"
    }
    assert {(path, method) for path, method, _ in operations()} == served


def test_it_is_a_whole_document() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    assert DOCUMENT["info"]["title"]
    assert DOCUMENT["info"]["version"]
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    for path, _, operation in operations():
        asked = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
        assert asked == set(re.findall(r"\{(\w+)\}", path))
        for each in operation.get("parameters", ()):
            assert each["required"] or each["in"] == "query"
            assert each["schema"]
        for status, answer in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status)
            assert answer["description"]
    for reference in re.findall(r'"\$ref":"#/components/schemas/(\w+)"', openapi.document().decode()):
        assert reference in DOCUMENT["components"]["schemas"]


def test_anybody_may_read_it(client: TestClient) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == msgspec.json.decode(msgspec.json.encode(DOCUMENT))


def conforms(value: Any, schema: dict[str, Any], where: str = "$") -> None:
    """The part of JSON Schema that the description uses."""
    if "$ref" in schema:
        return conforms(value, DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], where)
    if "anyOf" in schema:
        for choice in schema["anyOf"]:
            try:
                return conforms(value, choice, where)
            except AssertionError:
                continue
        raise AssertionError(f"{where}: {value!r} is none of {schema['anyOf']}")
    kinds: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    kind = schema.get("type")
    if kind == "integer":
        assert isinstance(value, int), where
        assert not isinstance(value, bool), where
    elif kind is not None:
        assert isinstance(value, kinds[kind]), f"{where}: {value!r} is no {kind}"
    if kind == "object":
        for name in schema.get("required", ()):
            assert name in value, f"{where}.{name}"
        for name, item in value.items():
            rest = schema.get("additionalProperties")
            conforms(
                item, schema.get("properties", {}).get(name, rest if isinstance(rest, dict) else {}), f"{where}.{name}"
            )
    if kind == "array":
        for at, item in enumerate(value):
            conforms(item, schema.get("items", {}), f"{where}[{at}]")
    return None


@pytest.mark.parametrize(
    ("address", "path", "status"),
    [
        ("/api/v1/alerts?limit=3", "/api/v1/alerts", 200),
        ("/api/v1/alerts?limit=x", "/api/v1/alerts", 400),
        ("/api/v1/alerts/x", "/api/v1/alerts/{alert_id}", 404),
        ("/api/v1/status", "/api/v1/status", 200),
        ("/api/v1/openapi.json", "/api/v1/openapi.json", 200),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_answers_are_as_described(
    client: TestClient, store: Store, clock: Clock, address: str, path: str, status: int, known: bool
) -> None:
    seed.shift(store, clock.time)
    headers = {}
    if known:
        create_user(store, "programa", PASSWORD, agencies=("*",), must_change=False)
        headers = {"authorization": f"Bearer {create_token(store, 'programa')}"}
    elif not path.endswith("openapi.json"):
        status = 401
    answer = client.get(address, headers=headers)
    assert answer.status_code == status
    described = DOCUMENT["paths"][path]["get"]["responses"][str(status)]["content"]
    kind = answer.headers["content-type"].partition(";")[0]
    conforms(answer.json(), described[kind]["schema"])


def test_an_alert_is_as_described(client: TestClient, store: Store, clock: Clock) -> None:
    (number,) = seed.put(store, seed.web_shell(clock.time))
    create_user(store, "programa", PASSWORD, agencies=("*",), must_change=False)
    headers = {"authorization": f"Bearer {create_token(store, 'programa')}"}
    answer = client.get(f"/api/v1/alerts/{number}", headers=headers)
    conforms(answer.json(), DOCUMENT["components"]["schemas"]["Alert"])


def test_the_check_itself_can_fail() -> None:
    schemas: Callable[[str], dict[str, Any]] = DOCUMENT["components"]["schemas"].__getitem__
    for value, name in (
        ({"alerts": {}}, "AlertPage"),
        ({"ok": 1, "problems": []}, "Status"),
        ({"title": "x"}, "Problem"),
    ):
        with pytest.raises(AssertionError):
            conforms(value, schemas(name))
