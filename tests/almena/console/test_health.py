from __future__ import annotations

from collections.abc import Callable

import pytest
from console_client import BASE, SECRET, Clock, TestClient
from starlette.applications import Starlette

from almena.clock import SECOND, format_time
from almena.console import ConsoleSettings, create_app
from almena.console.health import Problems
from almena.errors import StoreError
from almena.store import Scope, Store


def test_it_lives_while_the_store_answers(client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/healthz").text == "ok\n"

    def broken(*_: object, **__: object) -> None:
        raise StoreError("disk full at /secret/path")

    monkeypatch.setattr(store, "get", broken)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert "secret" not in answer.text


def test_metrics_are_for_this_machine(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.text == "almena_up 1\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("peer", ["10.0.0.1", "192.0.2.1", "::2", "localhost", ""])
def test_metrics_are_for_nobody_else(make_app: Callable[..., Starlette], peer: str) -> None:
    with TestClient(make_app(), base_url=BASE, client=(peer, 1)) as client:
        assert client.get("/metrics").status_code == 404


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
def test_metrics_are_not_for_whom_a_proxy_forwards(client: TestClient, header: str) -> None:
    assert client.get("/metrics", headers={header: "127.0.0.1"}).status_code == 404


def test_metrics_are_not_for_whom_asks_by_the_public_name(make_app: Callable[..., Starlette]) -> None:
    app = make_app(public_url="https://almena.example")
    with TestClient(app, base_url="https://almena.example", client=("127.0.0.1", 1)) as client:
        assert client.get("/metrics").status_code == 404


def test_problems_are_asked_for_now_and_then_apart_for_each_scope(clock: Clock) -> None:
    asked: list[tuple[Scope, str]] = []

    def status(scope: Scope, language: str) -> dict[str, object]:
        asked.append((scope, language))
        return {"problems": ["x"] * len(asked)}

    problems = Problems(status, clock)
    one, other = frozenset({"finanzas"}), frozenset({"registro"})
    assert [problems.count(one, "es"), problems.count(one, "es"), problems.count(other, "es")] == [1, 1, 2]
    clock.time += 10 * SECOND
    assert problems.count(one, "es") == 3
    assert asked == [(one, "es"), (other, "es"), (one, "es")]


def test_the_page_shows_what_waits_and_who_works(
    sign_in: Callable[..., TestClient], store: Store, clock: Clock
) -> None:
    member = {"stage": "detect", "host": "m1", "member": "detect@m1", "heard": format_time(clock.time)}
    state = {
        "ok": False,
        "problems": ["El bus no responde: k1\\u001b"],
        "lag": {"events": 1_234, "hits": 0},
        "delay": {"events": 90.0, "hits": None},
        "members": [member | {"here": True}, member | {"host": "m2<b>", "here": False}],
        "outbox": {"waiting": 3, "failed": 0},
        "spool": {"records": 77, "bytes": 1, "share": 0.1, "seconds": 2.0},
    }
    app = create_app(
        store, ConsoleSettings(), agencies={}, rules=list, status=lambda scope, language: state, metrics=lambda: b"",
        secret=SECRET, clock=clock,
    )  # fmt: skip
    with TestClient(app, base_url=BASE, cookies=dict(sign_in().cookies)) as client:
        page = client.get("/salud").text
        said = ("El bus no responde: k1", "1 min 30 s", "detect</td>", "m1</td>", "m2&lt;b&gt;</td>", "se fue", ">77 ")
        for text in said:
            assert text in page
        english = client.get("/salud?lang=en").text
        assert "Who works" in english
        assert "1,234" in english
        assert client.get("/api/v1/status").json()["delay"] == {"events": 90.0, "hits": None}
