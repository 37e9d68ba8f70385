from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import console_seed as seed
from console_client import Clock, TestClient
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import HOUR, MINUTE
from almena.console.alerts import LONGEST_RAW, evidence, raw, related
from almena.store import Store


def test_the_page_says_what_happened_why_and_what_to_do(
    sign_in: Callable[..., TestClient], store: Store, clock: Clock
) -> None:
    (number,) = seed.put(store, seed.web_shell(clock.time - 3 * MINUTE))
    page = sign_in().get(f"/alertas/{number}").text
    assert page.count("<h1") == 1
    for text in (
        "Un servidor web abre una consola",
        "Qué pasó",
        "/usr/sbin/nginx abrió /usr/bin/dash en portal-03.",
        "Por qué importa",
        "Qué hacer",
        "Aísle portal-03",
        "Cuándo es falso positivo",
        "Por qué se disparó",
        "programa padre</span> termina en «/nginx» o «/apache2»",
        "Secretaría de Finanzas y Administración",
        "hace 3 minutos",
        "process.command_line",
        "Documento completo (JSON)",
        "Nadie ha decidido nada todavía",
        "T1505",
    ):
        assert text in page, text
    assert '<a class="mono" href="/cola?q=portal-03&amp;estado=all">portal-03</a>' in page
    english = sign_in().get(f"/alertas/{number}?lang=en").text
    assert "/usr/sbin/nginx opened /usr/bin/dash on portal-03." in english
    assert "Why it fired" in english


def test_the_last_event_is_shown_where_it_differs(
    sign_in: Callable[..., TestClient], store: Store, clock: Clock
) -> None:
    (number,) = seed.put(store, seed.spraying(clock.time - HOUR, "198.51.100.7"))
    page = sign_in().get(f"/alertas/{number}").text
    assert "Primer evento" in page
    assert "Último evento" in page
    assert page.count(">igual<") == 4
    (single,) = seed.put(store, seed.web_shell(clock.time))
    assert "Último evento" not in sign_in().get(f"/alertas/{single}").text


def test_a_correlation_is_told_with_the_titles_of_its_rules(
    sign_in: Callable[..., TestClient], store: Store, clock: Clock
) -> None:
    came, broke, unpaid = (rule["id"] for rule in (seed.SPRAYING, seed.WEB_SHELL, seed.REFUND))
    root = {
        "kind": "correlation",
        "type": "temporal_ordered",
        "rules": [came, broke, unpaid],
        "absent": [unpaid],
        "condition": "came and broke and not unpaid",
        "timespan": "1h",
        "group": {"host.name": "portal-03"},
    }
    shown: dict[str, Any] = {"almena.alert.explanation": {"condition": "", "root": root}}
    (number,) = seed.put(store, seed.web_shell(clock.time, **shown))
    page = sign_in().get(f"/alertas/{number}?lang=en").text
    assert (
        "«Somebody tries one password on many officials&#39; accounts» occurred, then «A web server opens a shell», "
        "all within 1 hour; after that, within the same span, «Refund out of the ordinary» did not occur"
    ) in page
    page = sign_in().get(f"/alertas/{number}?lang=es").text
    assert page.count('class="failed"') == 1
    assert "Devolución fuera de lo acostumbrado: no ocurrió" in page


def test_the_group_is_a_timeline(sign_in: Callable[..., TestClient], store: Store, clock: Clock) -> None:
    numbers = seed.put(store, *(seed.web_shell(clock.time - minutes * MINUTE) for minutes in range(25)))
    page = sign_in().get(f"/alertas/{numbers[0]}").text
    assert "Grupo: 25 alertas" in page
    assert "Se muestran las 20 más recientes." in page
    assert re.findall(r'<td><a href="/alertas/([^"]+)">', page) == numbers[:20]


def test_an_alert_that_is_not_there_is_said(sign_in: Callable[..., TestClient]) -> None:
    ana = sign_in()
    for number in ("202611-0", "x" * 500, "%00", "a%2Fb"):
        answer = ana.get(f"/alertas/{number}")
        assert answer.status_code == 404


def test_related_values_have_their_kind() -> None:
    found = related({"related.ip": ["10.0.0.1"], "related.user": "ana", "related.hash": [None, "x"]})
    assert found == [("IP", "10.0.0.1"), ("user", "ana"), ("hash", "x")]


def test_a_huge_document_is_cut_on_the_page() -> None:
    assert len(raw({"x": "y" * 3 * LONGEST_RAW})) <= LONGEST_RAW + 2
    assert raw({"b": 1, "a": [True]}) == '{\n  "a": [\n    true\n  ],\n  "b": 1\n}'


plain = st.none() | st.integers() | st.text(max_size=5)


@given(st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner)))
def test_any_evidence_is_shown_or_left_out(kept: Any) -> None:
    for alert in ({"almena.alert.evidence": kept}, {"almena.alert.evidence": {"first": kept}}):
        told, plumbing = evidence(alert)
        assert all(isinstance(cell, str) for row in told + plumbing for cell in row)


def test_what_the_rule_asked_about_stands_first() -> None:
    event = {
        "@timestamp": "2026-11-22T20:07:32.123456Z",
        "event.dataset": "windows.security",
        "event.id": "w:0:1",
        "group.name": "Administrators",
        "user.name": "jtorres",
        "winlog.event_data.SubjectUserName": "jtorres",
        "winlog.event_data.TargetSid": "S-1-5-32-544",
        "winlog.record_id": "7",
    }
    root = {"kind": "field", "field": "winlog.event_data.TargetSid"}
    alert = {"almena.alert.evidence": {"first": event}, "almena.alert.explanation": {"root": root}}
    told, plumbing = evidence(alert)
    assert [name for name, _, _ in told] == ["@timestamp", "winlog.event_data.TargetSid", "group.name", "user.name"]
    assert [name for name, _, _ in plumbing] == ["event.dataset", "event.id", "winlog.record_id"]
