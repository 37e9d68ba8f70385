from __future__ import annotations

from collections.abc import Callable
from typing import Any

import console_seed as seed
import pytest
from console_client import PASSWORD, Clock, TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almena.console.users import create_token, create_user
from almena.store import Store


@pytest.fixture
def ask(client: TestClient, store: Store, clock: Clock) -> Callable[..., Any]:
    """Asks the API as a program with a token for two agencies."""
    seed.shift(store, clock.time)
    create_user(store, "programa", PASSWORD, agencies=("finanzas", "registro"), must_change=False)
    token = create_token(store, "programa")

    def get(path: str, **params: Any) -> Any:
        return client.get(path, params=params, headers={"authorization": f"Bearer {token}"})

    return get


def test_alerts_come_newest_first_within_the_agencies(ask: Callable[..., Any]) -> None:
    found = ask("/api/v1/alerts", limit=500).json()
    assert found["cursor"] is None
    assert {alert["organization.id"] for alert in found["alerts"]} == {"finanzas", "registro"}
    seen = [alert["almena.alert.last_seen"] for alert in found["alerts"]]
    assert seen == sorted(seen, reverse=True)


def test_filters_narrow(ask: Callable[..., Any]) -> None:
    everything = ask("/api/v1/alerts", limit=500).json()["alerts"]
    for params, field, value in (
        ({"level": "critical"}, "almena.alert.level", "critical"),
        ({"status": "closed"}, "almena.alert.status", "closed"),
        ({"agency": "registro"}, "organization.id", "registro"),
        ({"rule": seed.REFUND["id"]}, "rule.id", seed.REFUND["id"]),
    ):
        found = ask("/api/v1/alerts", limit=500, **params).json()["alerts"]
        assert found == [alert for alert in everything if alert[field] == value]
        assert found
    assert len(ask("/api/v1/alerts", q="rpp-web-01").json()["alerts"]) == 1
    middle = everything[len(everything) // 2]["almena.alert.last_seen"]
    later = ask("/api/v1/alerts", limit=500, **{"from": middle}).json()["alerts"]
    earlier = ask("/api/v1/alerts", limit=500, to=middle).json()["alerts"]
    assert later + earlier == everything
    assert ask("/api/v1/alerts", agency="educacion").json()["alerts"] == []


def test_shadows_come_only_when_they_are_asked_for(ask: Callable[..., Any], store: Store, clock: Clock) -> None:
    hidden = seed.web_shell(clock.time, "equipo-en-sombra", **{"almena.alert.status": "shadow"})
    seed.put(store, hidden)
    ids = [item["almena.alert.id"] for item in ask("/api/v1/alerts", limit=500).json()["alerts"]]
    assert ids
    assert hidden["almena.alert.id"] not in ids
    found = ask("/api/v1/alerts", status="shadow").json()["alerts"]
    assert [item["almena.alert.id"] for item in found] == [hidden["almena.alert.id"]]


def test_history_comes_only_when_it_is_asked_for(ask: Callable[..., Any], store: Store, clock: Clock) -> None:
    about = [
        seed.web_shell(clock.time - n, name, **{"almena.alert.status": "history", "almena.alert.backfill": name})
        for n, name in enumerate(("enero", "febrero"))
    ]
    january, february = seed.put(store, *about)
    ids = {item["almena.alert.id"] for item in ask("/api/v1/alerts", limit=500).json()["alerts"]}
    assert ids
    assert not ids & {january, february}
    for asked, wanted in (({"status": "history"}, {january, february}), ({"backfill": "enero"}, {january})):
        found = ask("/api/v1/alerts", **asked).json()["alerts"]
        assert {item["almena.alert.id"] for item in found} == wanted


def test_a_cursor_goes_on_where_the_page_ended(ask: Callable[..., Any]) -> None:
    everything = ask("/api/v1/alerts", limit=500).json()["alerts"]
    seen: list[Any] = []
    page = ask("/api/v1/alerts", limit=7).json()
    while True:
        seen += page["alerts"]
        if page["cursor"] is None:
            break
        page = ask("/api/v1/alerts", limit=7, cursor=page["cursor"]).json()
    assert seen == everything


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"level": "worst"}, "level: 'worst' is not known; write one of critical"),
        ({"status": "x"}, "status: 'x' is not known"),
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"from": "yesterday"}, "from: 'yesterday' is no time"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "x" * 2_000}, "cursor"),
        ({"nivel": "high"}, "nivel"),
        ({"q": "x" * 201}, "q"),
        ({"level": ["high", "low"]}, "given twice"),
    ],
)
def test_a_wrong_filter_is_a_problem_that_says_which(
    ask: Callable[..., Any], params: dict[str, Any], said: str
) -> None:
    answer = ask("/api/v1/alerts", **params)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 400
    assert said in problem["detail"]


def test_a_cursor_of_another_search_is_refused(ask: Callable[..., Any]) -> None:
    cursor = ask("/api/v1/alerts", limit=1).json()["cursor"]
    assert ask("/api/v1/alerts", limit=1, cursor=cursor, level="high").status_code == 400


def test_one_alert(ask: Callable[..., Any], store: Store, clock: Clock) -> None:
    (mine,) = seed.put(store, seed.web_shell(clock.time - 7))
    (foreign,) = seed.put(store, seed.web_shell(clock.time - 7, agency="educacion"))
    assert ask(f"/api/v1/alerts/{mine}").json()["almena.alert.id"] == mine
    for wrong in (foreign, "x", "x" * 200, "%00"):
        answer = ask(f"/api/v1/alerts/{wrong}")
        assert answer.status_code == 404, wrong
        assert answer.json()["title"] == "Not found"


def test_the_status_is_that_of_the_whole_within_the_agencies(ask: Callable[..., Any]) -> None:
    found = ask("/api/v1/status").json()
    assert found["ok"] is False
    assert any("rpp-folios" in problem for problem in found["problems"])
    assert not any("correo" in problem for problem in found["problems"])
    assert {source["name"] for source in found["sources"]} == {"portal", "pagos", "rpp-folios"}
    assert found["dead_letters"] == 3
    english = ask("/api/v1/status", lang="en").json()
    assert any("is silent since" in problem for problem in english["problems"])


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Basic YTpi", "bearer almena.programa.x", "Bearer " + "x" * 9_000]
)
def test_without_a_token_there_is_nothing(client: TestClient, ask: Callable[..., Any], header: str) -> None:
    for path in ("/api/v1/alerts", "/api/v1/alerts/x", "/api/v1/status"):
        answer = client.get(path, headers={"authorization": header} if header else {})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["status"] == 401


def test_a_session_is_as_good_as_a_token(sign_in: Callable[..., TestClient], store: Store, clock: Clock) -> None:
    seed.shift(store, clock.time)
    assert sign_in("eva", "educacion").get("/api/v1/alerts").json()["alerts"]


def test_what_is_not_there_is_a_problem_too(ask: Callable[..., Any], client: TestClient) -> None:
    assert ask("/api/v1/nothing").json() == {"type": "about:blank", "title": "Not found", "status": 404, "detail": ""}
    assert client.post("/api/v1/alerts").json()["status"] == 405


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["level", "status", "agency", "rule", "q", "from", "to", "limit", "cursor"]),
        st.text(max_size=40),
    )
)
def test_any_question_is_answered_or_refused(ask: Callable[..., Any], params: dict[str, str]) -> None:
    assert ask("/api/v1/alerts", **params).status_code in (200, 400)
