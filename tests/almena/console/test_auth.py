from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from console_client import (
    PASSWORD,
    Clock,
    TestClient,
    form_token,
)

from almena.clock import MINUTE
from almena.console import audit, ensure_admin
from almena.console.users import create_user, find_user
from almena.store import ALL, AUDIT, Store

NEW = "otra frase bien larga"


def enter(client: TestClient, name: str, password: str, **fields: str) -> Any:
    token = form_token(client.get("/entrar").text)
    return client.post("/entrar", data={"sello": token, "usuario": name, "clave": password, **fields})


def change(client: TestClient, old: str, new: str, again: str | None = None) -> Any:
    token = form_token(client.get("/clave").text)
    data = {"sello": token, "actual": old, "nueva": new, "otra": new if again is None else again}
    return client.post("/clave", data=data)


def test_the_first_sign_in_chooses_a_password_before_anything_else(client: TestClient, store: Store) -> None:
    once = ensure_admin(store)
    assert once is not None
    answer = enter(client, "admin", once)
    assert answer.headers["location"] == "/clave"
    for path in ("/", "/cola", "/fuentes", "/salud", "/reglas", "/alertas/x"):
        assert client.get(path).headers["location"] == "/clave"
    assert client.get("/api/v1/status").status_code == 401
    assert "un solo uso" in client.get("/clave").text
    before = client.cookies["almena_session"]
    assert change(client, once, NEW).headers["location"] == "/cola"
    assert client.cookies["almena_session"] != before
    assert "La contraseña nueva ya vale" in client.get("/cola").text
    assert "La contraseña nueva ya vale" not in client.get("/cola").text
    client.cookies.set("almena_session", before)
    client.cookies.clear()
    assert enter(client, "admin", once).status_code == 401
    assert enter(client, "admin", NEW).headers["location"] == "/cola"
    actions = [store.get(AUDIT, f"{n:012d}", scope=ALL).document["event.action"] for n in (1, 2, 3)]  # type: ignore[union-attr]
    assert actions == ["sign-in", "password-change", "sign-in"]
    assert audit.verify(store) == 3


def test_a_wrong_password_says_no_more_than_that(client: TestClient, store: Store) -> None:
    create_user(store, "ana", PASSWORD, must_change=False)
    known, unknown = enter(client, "ana", "equivocada"), enter(client, "nadie", "equivocada")
    assert known.status_code == unknown.status_code == 401
    assert "El usuario o la contraseña no es correcto" in known.text
    assert "almena_session" not in client.cookies


def test_signing_in_goes_back_to_where_it_was_asked(client: TestClient, store: Store) -> None:
    create_user(store, "ana", PASSWORD, must_change=False)
    asked = client.get("/cola?nivel=high&q=a%26b")
    assert asked.headers["location"] == "/entrar?volver=%2Fcola%3Fnivel%3Dhigh%26q%3Da%2526b"
    page = client.get(asked.headers["location"]).text
    assert 'name="volver" value="/cola?nivel=high&amp;q=a%26b"' in page
    assert enter(client, "ana", PASSWORD, volver="/cola?nivel=high").headers["location"] == "/cola?nivel=high"


def test_guessing_is_held_back(client: TestClient, store: Store, clock: Clock) -> None:
    create_user(store, "ana", PASSWORD, must_change=False)
    for _ in range(6):
        assert enter(client, "ana", "equivocada").status_code == 401
    held = enter(client, "ana", PASSWORD)
    assert held.status_code == 429
    assert 0 < int(held.headers["retry-after"]) <= 900
    assert "Demasiados intentos. Espere 15 min" in held.text
    clock.time += 15 * MINUTE
    assert enter(client, "ana", PASSWORD).status_code == 303


def test_signing_out_ends_the_session(sign_in: Callable[..., TestClient]) -> None:
    ana = sign_in()
    kept = ana.cookies["almena_session"]
    token = form_token(ana.get("/cola").text)
    assert ana.post("/salir", data={"sello": token}).headers["location"] == "/entrar"
    ana.cookies.clear()
    ana.cookies.set("almena_session", kept)
    assert ana.get("/cola").status_code == 303


@pytest.mark.parametrize(
    ("old", "new", "again", "said"),
    [
        ("equivocada", NEW, NEW, "La contraseña actual no es correcta"),
        (PASSWORD, NEW, NEW + "x", "debe ser la misma"),
        (PASSWORD, PASSWORD, PASSWORD, "debe ser otra"),
        (PASSWORD, "corta", "corta", "al menos 12 caracteres"),
        (PASSWORD, "ana.ruiz es mi clave", "ana.ruiz es mi clave", "No use su nombre"),
    ],
)
def test_a_password_that_does_not_do_changes_nothing(
    sign_in: Callable[..., TestClient], store: Store, old: str, new: str, again: str, said: str
) -> None:
    ana = sign_in()
    before = find_user(store, "ana.ruiz")
    answer = change(ana, old, new, again)
    assert answer.status_code == 422
    assert said in answer.text
    assert find_user(store, "ana.ruiz") == before
    assert ana.get("/cola").status_code == 200


def test_changing_the_password_ends_the_other_sessions(sign_in: Callable[..., TestClient]) -> None:
    other = sign_in().cookies["almena_session"]
    ana = sign_in()
    assert ana.cookies["almena_session"] != other
    change(ana, PASSWORD, NEW)
    assert ana.get("/cola").status_code == 200
    ana.cookies.clear()
    ana.cookies.set("almena_session", other)
    assert ana.get("/cola").status_code == 303


def test_the_old_password_cannot_be_guessed_from_an_open_session(sign_in: Callable[..., TestClient]) -> None:
    ana = sign_in()
    for _ in range(6):
        change(ana, "equivocada", NEW)
    assert "Demasiados intentos" in change(ana, PASSWORD, NEW).text
