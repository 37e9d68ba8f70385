from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import console_seed as seed
import pytest
from console_client import Clock, TestClient, form_token

from almena.clock import MINUTE, format_time, now
from almena.console import audit
from almena.console.triage import Changed, Decision, Result, decide, history_of, possible, sight
from almena.store import ALERTS, ALL, AUDIT, Document, Store, open_store


def kept(store: Store, number: str) -> Document:
    found = store.get(ALERTS, number, scope=ALL)
    assert found is not None
    return found.document


def act(
    store: Store, number: str, action: str, user: str = "ana", *, group: bool = False, **more: str
) -> Result | None:
    decision = Decision(action=action, user=user, time=now(), **more)
    return decide(store, number, decision, scope=None, seen=sight(kept(store, number)), group=group)


def test_acknowledging_assigns_and_is_written_down(store: Store) -> None:
    (number,) = seed.put(store, seed.web_shell(now()))
    assert act(store, number, "acknowledge") == Result(1, 1)
    alert = kept(store, number)
    assert alert["almena.alert.status"] == "acknowledged"
    assert alert["almena.alert.assignee"] == "ana"
    (entry,) = history_of(alert)
    assert (entry["user"], entry["from"], entry["to"]) == ("ana", "open", "acknowledged")
    assert entry["time"] == alert["almena.alert.acknowledged"]
    written = store.get(AUDIT, "000000000001", scope=frozenset({"finanzas"}))
    assert written is not None
    assert written.document["event.action"] == "alert-acknowledge"
    assert written.document["almena.audit.subject"] == [number]
    assert audit.verify(store) == 1


def test_a_whole_life(store: Store) -> None:
    (number,) = seed.put(store, seed.web_shell(now()))
    act(store, number, "acknowledge")
    act(store, number, "acknowledge", "eva")
    assert kept(store, number)["almena.alert.assignee"] == "eva"
    act(store, number, "close", "eva", resolution="false_positive", note="Prueba del proveedor")
    closed = kept(store, number)
    assert closed["almena.alert.status"] == "closed"
    assert closed["almena.alert.resolution"] == "false_positive"
    act(store, number, "reopen", "ana")
    opened = kept(store, number)
    assert opened["almena.alert.status"] == "open"
    assert not {"almena.alert.assignee", "almena.alert.resolution", "almena.alert.closed"} & opened.keys()
    assert [entry["action"] for entry in history_of(opened)] == ["acknowledge", "acknowledge", "close", "reopen"]
    assert history_of(opened)[2]["note"] == "Prueba del proveedor"
    assert audit.verify(store) == 4


def test_the_second_of_two_people_is_told_and_changes_nothing(store: Store) -> None:
    (number,) = seed.put(store, seed.web_shell(now()))
    seen = sight(kept(store, number))
    act(store, number, "acknowledge", "ana")
    before = kept(store, number)
    with pytest.raises(Changed) as conflict:
        decide(
            store, number, Decision(action="close", user="eva", time=now(), resolution="unknown"), scope=None,
            seen=seen, group=False,
        )  # fmt: skip
    assert conflict.value.current.document["almena.alert.assignee"] == "ana"
    assert kept(store, number) == before


def test_new_events_of_a_growing_alert_stand_in_nobodys_way(store: Store) -> None:
    (number,) = seed.put(store, seed.spraying(now(), "198.51.100.7"))
    seen = sight(kept(store, number))
    found = store.get(ALERTS, number, scope=ALL)
    assert found is not None
    store.replace(ALERTS, number, found.document | {"almena.alert.count": 99}, found.version)
    decision = Decision(action="acknowledge", user="ana", time=now())
    assert decide(store, number, decision, scope=None, seen=seen, group=False) == Result(1, 1)
    assert kept(store, number)["almena.alert.count"] == 99


def test_a_group_is_decided_with_an_honest_count(store: Store) -> None:
    numbers = seed.put(store, *(seed.web_shell(now() - minutes * MINUTE) for minutes in range(5)))
    act(store, numbers[1], "acknowledge", "eva")
    others = seed.put(store, seed.web_shell(now(), agency="registro"))
    assert act(store, numbers[0], "acknowledge", group=True) == Result(4, 4)
    assert kept(store, numbers[1])["almena.alert.assignee"] == "eva", "what another took stays with them"
    assert kept(store, others[0])["almena.alert.status"] == "open", "another agency's alert is another group"
    assert act(store, numbers[0], "close", group=True, resolution="true_positive") == Result(5, 5)


def test_another_agencys_alert_is_not_there(store: Store) -> None:
    (number,) = seed.put(store, seed.web_shell(now()))
    decision = Decision(action="acknowledge", user="eva", time=now())
    scope = frozenset({"educacion"})
    assert decide(store, number, decision, scope=scope, seen=sight(kept(store, number)), group=True) is None
    assert kept(store, number)["almena.alert.status"] == "open"


def test_of_many_at_once_one_wins(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path / 'store.sqlite'}")
    (number,) = seed.put(store, seed.web_shell(now()))
    seen = sight(kept(store, number))

    def one(person: int) -> int:
        decision = Decision(action="acknowledge", user=f"p{person}", time=now())
        try:
            result = decide(store, number, decision, scope=None, seen=seen, group=False)
        except Changed:
            return 0
        return result.done if result else 0

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(16))) == 1
    assert len(history_of(kept(store, number))) == 1
    assert audit.verify(store) == 1
    store.close()


def test_only_decisions_that_make_sense_are_offered(store: Store) -> None:
    def offered(status: str, user: str = "ana") -> list[str]:
        return possible({"almena.alert.status": status, "almena.alert.assignee": "ana"}, user)

    assert offered("open") == ["acknowledge", "close"]
    assert offered("acknowledged") == ["close", "reopen"]
    assert offered("acknowledged", "eva") == ["acknowledge", "close", "reopen"]
    assert offered("closed") == ["reopen"]
    assert offered("suppressed") == ["close", "reopen"]


def test_a_history_does_not_grow_for_ever(store: Store) -> None:
    fields: dict[str, Any] = {"almena.alert.history": [{"action": "reopen", "user": "x"}] * 300}
    (number,) = seed.put(store, seed.web_shell(now(), **fields))
    act(store, number, "acknowledge")
    history = history_of(kept(store, number))
    assert len(history) == 200
    assert history[-1]["user"] == "ana"


def send(client: TestClient, number: str, **fields: str) -> Any:
    page = client.get(f"/alertas/{number}").text
    fields = {"sello": form_token(page), "visto": "open.0", "volver": f"/alertas/{number}", **fields}
    return client.post(f"/alertas/{number}", data=fields)


def test_the_page_decides_and_says_so(sign_in: Callable[..., TestClient], store: Store, clock: Clock) -> None:
    numbers = seed.put(store, *(seed.web_shell(clock.time - minutes * MINUTE) for minutes in range(3)))
    ana = sign_in()
    answer = send(ana, numbers[0], accion="acknowledge", grupo="1")
    assert answer.headers["location"] == f"/alertas/{numbers[0]}"
    page = ana.get(answer.headers["location"]).text
    assert "Acuse dado a 3 de 3 alertas." in page
    assert "a cargo de ana.ruiz" in page
    assert "dio acuse" in page
    done = send(
        ana, numbers[0], accion="close", resolucion="true_positive", nota="Aislado\na las 3", visto="acknowledged.1"
    )
    assert done.status_code == 303
    page = ana.get(f"/alertas/{numbers[0]}").text
    assert "Cerradas 1 de 1 alertas." in page
    assert "Verdadera, sin daño" in page
    assert "Aislado\na las 3" in page


def test_the_page_tells_the_second_person(sign_in: Callable[..., TestClient], store: Store, clock: Clock) -> None:
    (number,) = seed.put(store, seed.web_shell(clock.time))
    act(store, number, "acknowledge", "eva")
    answer = send(sign_in(), number, accion="close", resolucion="unknown")
    assert answer.status_code == 409
    assert "Otra persona decidió antes" in answer.text
    assert "eva" in answer.text
    assert kept(store, number)["almena.alert.status"] == "acknowledged"


@pytest.mark.parametrize(
    "fields", [{"accion": "close"}, {"accion": "close", "resolucion": "mentira"}, {"accion": "delete"}, {}]
)
def test_an_incomplete_decision_changes_nothing(
    sign_in: Callable[..., TestClient], store: Store, clock: Clock, fields: dict[str, str]
) -> None:
    (number,) = seed.put(store, seed.web_shell(clock.time))
    answer = send(sign_in(), number, **fields)
    assert answer.status_code == 422
    assert "No se cambió nada" in answer.text
    assert kept(store, number)["almena.alert.status"] == "open"
    assert audit.head(store) == (0, "")


def test_the_form_of_another_agencys_alert_is_not_there(
    sign_in: Callable[..., TestClient], store: Store, clock: Clock
) -> None:
    (number,) = seed.put(store, seed.web_shell(clock.time))
    eva = sign_in("eva", "educacion")
    token = form_token(eva.get("/cola").text)
    answer = eva.post(f"/alertas/{number}", data={"sello": token, "accion": "acknowledge", "visto": "open.0"})
    assert answer.status_code == 404
    assert kept(store, number)["almena.alert.status"] == "open"


def test_times_are_those_of_the_decision(store: Store) -> None:
    (number,) = seed.put(store, seed.web_shell(now()))
    decide(
        store,
        number,
        Decision(action="acknowledge", user="ana", time=5_000_000),
        scope=None,
        seen="open.0",
        group=False,
    )
    assert kept(store, number)["almena.alert.acknowledged"] == format_time(5_000_000)
