from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from console_client import BASE, PASSWORD, TestClient, form_token
from starlette.applications import Starlette

from almena.console import visit
from almena.console.security import HEADERS, LONGEST_BODY, host_of
from almena.console.users import create_user
from almena.store import SESSIONS, USERS, Query, Store

PAGES = ("/entrar", "/static/console.css", "/healthz", "/api/v1/openapi.json", "/api/v1/status", "/no-existe", "/cola")


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_is_sealed(client: TestClient, path: str) -> None:
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"]
    assert "server" not in answer.headers


def test_pages_are_not_cached_and_our_files_are(client: TestClient) -> None:
    page = client.get("/entrar")
    assert page.headers["cache-control"] == "no-store"
    address = re.search(r'href="(/static/console\.css\?v=[0-9a-f]+)"', page.text)
    assert address is not None
    assert "immutable" in client.get(address[1]).headers["cache-control"]
    assert client.get("/static/console.css").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/"])
def test_nothing_but_our_files_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "evil.example:8080", "[::2]"])
def test_another_host_name_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/entrar", headers={"host": host})
    assert answer.status_code == 421
    assert answer.headers["content-security-policy"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:8080"])
def test_our_own_host_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/entrar", headers={"host": host}).status_code == 200


def test_hosts_are_read_without_their_port() -> None:
    assert host_of("[::1]") == "::1"
    assert host_of("Almena.Example:443") == "almena.example"


def test_a_long_body_is_refused_however_it_is_sent(client: TestClient) -> None:
    assert client.post("/entrar", content=b"x" * (LONGEST_BODY + 1)).status_code == 413

    def chunks() -> Iterator[bytes]:
        for _ in range(LONGEST_BODY // 1024 + 2):
            yield b"x" * 1024

    answer = client.post("/entrar", content=chunks())
    assert answer.status_code == 413
    assert answer.headers["content-security-policy"]


def test_a_long_address_is_refused(client: TestClient) -> None:
    assert client.get("/cola?q=" + "x" * 5_000).status_code == 414


def test_everything_but_signing_in_needs_a_session(client: TestClient) -> None:
    for route in client.app.routes:  # type: ignore[attr-defined]
        path = getattr(route, "path", "")
        if path.startswith(("/static", "/entrar", "/api/v1/openapi", "/healthz", "/metrics")):
            continue
        path = path.replace("{alert_id}", "x").replace("{rule_id:path}", "x")
        for method in route.methods - {"HEAD"}:
            answer = client.request(method, path)
            if path.startswith("/api/"):
                assert answer.status_code == 401, path
                assert answer.headers["content-type"] == "application/problem+json"
            else:
                assert answer.status_code == 303, (method, path)
                assert answer.headers["location"].startswith("/entrar"), path


def test_nobody_is_asked_for_before_the_form_is_ours(client: TestClient, store: Store) -> None:
    create_user(store, "ana", PASSWORD, must_change=False)
    answer = client.post("/entrar", data={"usuario": "ana", "clave": PASSWORD})
    assert answer.status_code == 403
    assert "No se cambió nada" in answer.text
    assert store.count(Query(kind=SESSIONS, scope=None)) == 0


@pytest.mark.parametrize("sello", ["", "0" * 64, "é", "x" * 10_000])
def test_a_forged_form_changes_nothing(sign_in: Callable[..., TestClient], sello: str) -> None:
    ana = sign_in()
    assert ana.post("/salir", data={"sello": sello}).status_code == 403
    assert ana.get("/cola").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"},
     {"origin": "null"}],
)  # fmt: skip
def test_a_form_from_another_site_changes_nothing(sign_in: Callable[..., TestClient], headers: dict[str, str]) -> None:
    ana = sign_in()
    token = form_token(ana.get("/cola").text)
    assert ana.post("/salir", data={"sello": token}, headers=headers).status_code == 403
    same = {"origin": BASE, "sec-fetch-site": "same-origin"}
    assert ana.post("/salir", data={"sello": token}, headers=same).status_code == 303


def test_a_session_cookie_from_outside_is_never_adopted(client: TestClient, store: Store) -> None:
    create_user(store, "ana", PASSWORD, must_change=False, agencies=("*",))
    planted = "planted" * 6
    client.cookies.set("almena_session", planted, domain="127.0.0.1", path="/")
    page = client.get("/entrar")
    client.cookies.delete("almena_session")
    answer = client.post("/entrar", data={"sello": form_token(page.text), "usuario": "ana", "clave": PASSWORD})
    assert answer.status_code == 303
    given = answer.cookies["almena_session"]
    assert given != planted
    client.cookies.clear()
    client.cookies.set("almena_session", planted)
    assert client.get("/cola").status_code == 303


def test_the_session_changes_at_every_sign_in(sign_in: Callable[..., TestClient], store: Store) -> None:
    ana = sign_in("ana.ruiz")
    old = ana.cookies["almena_session"]
    ana.cookies.clear()
    page = ana.get("/entrar")
    fields = {"sello": form_token(page.text), "usuario": "ana.ruiz", "clave": PASSWORD}
    first = ana.post("/entrar", data=fields).cookies["almena_session"]
    assert first != old


@pytest.mark.parametrize(("secure", "name"), [(False, "almena_session"), (True, "__Host-almena_session")])
def test_cookies_are_out_of_reach(make_app: Callable[..., Starlette], store: Store, secure: bool, name: str) -> None:
    create_user(store, "ana", PASSWORD, must_change=False)
    url = "https://almena.example" if secure else BASE
    with TestClient(make_app(public_url=url), base_url=url, follow_redirects=False) as client:
        page = client.get("/entrar")
        answer = client.post("/entrar", data={"sello": form_token(page.text), "usuario": "ana", "clave": PASSWORD})
        cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith(name + "="))
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert ("Secure" in cookie) is secure
        assert ("strict-transport-security" in answer.headers) is secure


@pytest.mark.parametrize(
    "back", ["https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nset-cookie: x=y", "javascript:x", "",
             "/" + "x" * 3_000],
)  # fmt: skip
def test_the_way_back_stays_here(back: str) -> None:
    assert visit.local_path(back) == "/cola"


def test_the_way_back_keeps_the_filters() -> None:
    assert visit.local_path("/cola?nivel=high&q=a%26b") == "/cola?nivel=high&q=a%26b"


def test_templates_translate_nothing_but_literals() -> None:
    """`_()` trusts its message as markup, so a value from outside must never be one."""
    for path in (Path(visit.__file__).parent / "templates").glob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(r"""(?<!\w)(gettext|_)\((?!["'])""", text), path.name
        assert "|safe" not in re.sub(r'(?:"<code>[^"{}]*</code>"|\'<a href="/fuentes">\'|"</a>")\|safe', "", text)
        assert "style=" not in text, path.name
        assert not re.search(r"<script(?! src=)| on\w+=", text), path.name


def test_a_page_that_fails_is_sealed_and_says_nothing_of_why(
    make_app: Callable[..., Starlette], store: Store, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    app = make_app()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(store, "get", broken)
    with TestClient(app, base_url=BASE, follow_redirects=False) as client:
        client.cookies.set("almena_session", "x" * 40)
        for path, kind in (("/cola", "text/html"), ("/api/v1/status", "application/problem+json")):
            answer = client.get(path)
            assert answer.status_code == 500
            assert kind in answer.headers["content-type"]
            assert "secret detail" not in answer.text
            assert answer.headers["content-security-policy"]
    assert "secret detail" in caplog.text


def test_passwords_are_never_logged(client: TestClient, store: Store, caplog: Any) -> None:
    create_user(store, "ana", PASSWORD, must_change=False)
    token = form_token(client.get("/entrar").text)
    client.post("/entrar", data={"sello": token, "usuario": "ana", "clave": "secreto equivocado"})
    assert "sign-in refused for 'ana'" in caplog.text
    assert "secreto equivocado" not in caplog.text
    assert store.count(Query(kind=USERS, scope=None)) == 1
