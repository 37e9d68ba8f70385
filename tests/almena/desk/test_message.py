"""A message says what happened, where, since when, how bad and what to do, whatever the alert holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.desk.message import Composer

ALERT: dict[str, Any] = {
    "@timestamp": "2026-05-28T20:26:40.000000Z",
    "organization.id": "fin",
    "host.name": "web-01",
    "rule.id": "r1",
    "message": "Web Server Spawns Shell",
    "almena.alert.id": "202605-a/b",
    "almena.alert.group": "g",
    "almena.alert.level": "critical",
    "almena.alert.entity": "host.name=web-01",
    "almena.alert.first_seen": "2026-05-28T20:26:40.000000Z",
    "almena.alert.last_seen": "2026-05-28T20:36:40.000000Z",
    "almena.alert.words": {
        "es": {
            "title": "Un servidor web abre una consola",
            "what_happened": "nginx abrió /bin/sh en web-01",
            "what_to_do": "Aísle el servidor.\nConserve la memoria.",
        },
        "en": {"title": "Web server spawns shell", "what_happened": "nginx started /bin/sh on web-01"},
    },
}


def test_in_spanish() -> None:
    composer = Composer(agencies={"fin": "Finanzas"}, console_url="https://almena.example/")
    message = composer.compose(ALERT, key="k", count=3)
    assert message.title == "[Crítica] Un servidor web abre una consola"
    zone = "(America/Mexico_City)"
    assert message.text.splitlines() == [
        "Qué pasó: nginx abrió /bin/sh en web-01",
        "Dónde: Finanzas · web-01",
        "De quién se trata: host.name=web-01",
        f"Desde cuándo: 28 may 2026, 14:26:40 {zone} (última señal: 28 may 2026, 14:36:40 {zone})",
        "Gravedad: Crítica (Web Server Spawns Shell, r1)",
        "Qué hacer: Aísle el servidor. Conserve la memoria.",
        "Alertas del grupo: 3",
        "Ver: https://almena.example/alertas/202605-a%2Fb",
    ]
    assert (message.level, message.agency, message.group, message.rule) == ("critical", "fin", "g", "r1")


def test_in_english_and_alone() -> None:
    message = Composer(language="en", zone="UTC").compose(ALERT, key="k", count=1)
    assert message.title == "[Critical] Web server spawns shell"
    assert "Severity: Critical" in message.text
    assert "Alerts in the group" not in message.text
    assert "See:" not in message.text
    assert "What to do: Open the alert" in message.text
    assert message.url == ""


def test_what_held_is_said_in_one_line() -> None:
    root = {
        "kind": "and",
        "pass": True,
        "children": [
            {"kind": "field", "selection": "server", "field": "process.parent.executable", "op": "endswith",
             "expected": ["*/nginx"], "seen": "/usr/sbin/nginx", "pass": True},
            {"kind": "not", "pass": True, "children": [
                {"kind": "field", "field": "user.name", "op": "", "expected": ["deploy"], "seen": "www\nÿ",
                 "pass": False}]},
        ],
    }  # fmt: skip
    alert = ALERT | {"almena.alert.explanation": {"condition": "x", "root": root}}
    assert (
        "Qué se cumplió: programa padre termina en «/nginx» (/usr/sbin/nginx); y usuario no es «deploy» (www\\u000aÿ)"
        in Composer().compose(alert, key="k", count=1).text.splitlines()
    )
    words = {"words": {"en": {"server": "A web server opens it"}}}
    told = Composer(language="en").compose(
        alert | {"almena.alert.explanation": {"root": root, **words}}, key="k", count=1
    )
    assert "What held: A web server opens it; and user is not «deploy» (www\\u000aÿ)" in told.text.splitlines()
    assert "Qué se cumplió" not in Composer().compose(ALERT, key="k", count=1).text


def test_hostile_values_stay_on_their_line() -> None:
    words = {"es": {"title": "x\n[Baja] todo bien", "what_happened": "a\r\nQué hacer: nada\x1b[2J\u202e"}}
    hostile = ALERT | {"almena.alert.words": words, "host.name": "h\nGravedad: Baja"}
    message = Composer().compose(hostile, key="k", count=1)
    assert "\n" not in message.title
    assert [line.partition(":")[0] for line in message.text.splitlines()].count("Qué hacer") == 1
    assert [line.partition(":")[0] for line in message.text.splitlines()].count("Gravedad") == 1
    assert "\x1b" not in message.text
    assert "\u202e" not in message.text


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("language", ["es", "en"])
@given(st.dictionaries(st.sampled_from(sorted(ALERT)), anything))
def test_any_alert_has_a_message(language: str, odd: dict[str, Any]) -> None:
    message = Composer(language=language, console_url="https://a.mx").compose(ALERT | odd, key="k", count=2)
    assert message.title
    assert 4 <= len(message.text.splitlines()) <= 9
    assert len(message.text) < 9 * 700
