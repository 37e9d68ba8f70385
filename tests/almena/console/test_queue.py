from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import console_seed as seed
import pytest
from console_client import Clock, TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almena.clock import MINUTE
from almena.store import ALERTS, Query, Store

SignIn = Callable[..., TestClient]


def titles(page: str) -> list[str]:
    return re.findall(r'class="row-link" href="[^"]*">([^<]*)</a>', page)


def test_an_empty_queue_says_what_would_appear_and_how(sign_in: SignIn) -> None:
    page = sign_in().get("/cola").text
    assert "Aquí aparecen las alertas" in page
    assert "<code>almena demo</code>" in page


def test_alerts_are_grouped_the_worst_first(sign_in: SignIn, store: Store, clock: Clock) -> None:
    seed.shift(store, clock.time)
    page = sign_in().get("/cola").text
    found = titles(page)
    assert found[0] == "Un servidor web abre una consola"
    assert found.count("Un servidor web abre una consola") == 1, "three alerts are one row"
    assert found[1:6] == ["Alguien prueba una contraseña en muchas cuentas de servidores públicos"] * 5
    assert "◆</span> Crítica</span>" in page
    assert page.count("<h1") == 1


def test_the_filters_stand_in_the_address(sign_in: SignIn, store: Store, clock: Clock) -> None:
    seed.shift(store, clock.time)
    ana = sign_in()
    assert titles(ana.get("/cola?nivel=critical").text) == ["Un servidor web abre una consola"]
    assert len(titles(ana.get("/cola?q=198.51.100.25").text)) == 1
    assert len(titles(ana.get("/cola?estado=closed").text)) == 1
    assert len(titles(ana.get("/cola?estado=all&nivel=critical").text)) == 2
    assert titles(ana.get("/cola?dependencia=educacion&nivel=high").text)
    assert "Ninguna alerta cumple estos filtros" in ana.get("/cola?q=inexistente").text
    assert len(titles(ana.get("/cola?rango=1h").text)) < len(titles(ana.get("/cola").text))
    assert titles(ana.get(f"/cola?regla={seed.WEB_SHELL['id']}").text) == ["Un servidor web abre una consola"]
    page = ana.get("/cola?nivel=high&q=nginx&orden=recent").text
    assert '<option value="high" selected>' in page
    assert 'value="nginx"' in page
    assert '<details class="more" open>' in page


def test_shadows_stand_apart(sign_in: SignIn, store: Store, clock: Clock) -> None:
    shadow = {"almena.alert.status": "shadow", "almena.alert.entity": "host.name=equipo-en-sombra"}
    (identity,) = seed.put(store, seed.web_shell(clock.time, **shadow))
    ana = sign_in()
    assert "equipo-en-sombra" not in ana.get("/cola").text
    assert "equipo-en-sombra" in ana.get("/cola?estado=shadow").text
    page = ana.get(f"/alertas/{identity}").text
    assert "La regla estaba en sombra cuando encontró esto: a nadie se avisó." in page
    assert 'name="accion"' not in page, "there is nothing to decide about it"


def test_history_stands_apart_under_the_name_of_its_run(sign_in: SignIn, store: Store, clock: Clock) -> None:
    found = {"almena.alert.status": "history", "almena.alert.backfill": "enero-2026"}
    about: dict[str, Any] = {"almena.alert.entity": "host.name=equipo-antiguo", "almena.alert.shadow": True}
    (identity,) = seed.put(store, seed.web_shell(clock.time, **found, **about))
    ana = sign_in()
    assert "equipo-antiguo" not in ana.get("/cola").text
    assert "equipo-antiguo" not in ana.get("/cola?estado=shadow").text
    assert "equipo-antiguo" in ana.get("/cola?estado=history&q=enero-2026").text
    assert "equipo-antiguo" not in ana.get("/cola?estado=history&q=febrero-2026").text
    page = ana.get(f"/alertas/{identity}").text
    assert "Hallada en registros históricos, con «almena backfill»: a nadie se avisó." in page
    assert '<a href="/cola?estado=history&amp;q=enero-2026">Ver todo lo de enero-2026</a>' in page
    assert "La regla estaba en sombra" in page
    assert 'name="accion"' not in page, "there is nothing to decide about it"
    assert "nobody was told" in ana.get(f"/alertas/{identity}?lang=en").text


def test_newest_first_when_asked(sign_in: SignIn, store: Store, clock: Clock) -> None:
    seed.shift(store, clock.time)
    page = sign_in().get("/cola?orden=recent").text
    times = re.findall(r'class="c-last"><time datetime="([^"]+)"', page)
    assert times == sorted(times, reverse=True)


def test_the_pages_hold_every_group_once(sign_in: SignIn, store: Store, clock: Clock) -> None:
    ana = sign_in()
    for number in range(120):
        seed.put(store, seed.refund(clock.time - number * MINUTE, user=f"persona{number:03d}"))
    seen: list[str] = []
    address: str | None = "/cola"
    while address:
        page = ana.get(address).text
        seen += re.findall(r'class="mono">(persona\d+)</span>', page)
        found = re.search(r'<a href="([^"]+)" rel="next">', page)
        address = found[1].replace("&amp;", "&") if found else None
    assert sorted(seen) == [f"persona{number:03d}" for number in range(120)]


@pytest.mark.parametrize("place", ["x", "high~1~../..", "%00", "high~99999999999999999999~a"])
def test_a_page_that_is_none_is_said(sign_in: SignIn, place: str) -> None:
    answer = sign_in().get(f"/cola?despues={place}")
    assert answer.status_code == 400
    assert "Esa página de la cola no existe" in answer.text


def test_a_person_sees_only_their_agencies(sign_in: SignIn, store: Store, clock: Clock) -> None:
    seed.shift(store, clock.time)
    (foreign,) = seed.put(store, seed.web_shell(clock.time, "secreto-01", "registro"))
    eva = sign_in("eva", "educacion")
    for path in ("/cola", "/cola?estado=all", "/cola?dependencia=registro&estado=all", "/fuentes", "/salud", "/reglas"):
        page = eva.get(path).text
        assert "secreto-01" not in page
        assert "Registro Público" not in page
        assert "rpp-folios" not in page
    assert not titles(eva.get("/cola?dependencia=registro&estado=all").text)
    assert "no existe o no es de sus dependencias" in eva.get(f"/cola?alerta={foreign}").text
    assert eva.get(f"/alertas/{foreign}").status_code == 404
    assert eva.get(f"/api/v1/alerts/{foreign}").status_code == 404


def test_the_panel_shows_the_alert_beside_the_queue(sign_in: SignIn, store: Store, clock: Clock) -> None:
    seed.shift(store, clock.time)
    ana = sign_in()
    page = ana.get("/cola?nivel=critical").text
    link = re.search(r'class="row-link" href="([^"]+)"', page)
    assert link is not None
    shown = ana.get(link[1].replace("&amp;", "&")).text
    assert '<aside class="panel"' in shown
    assert "/usr/sbin/nginx abrió /usr/bin/dash en portal-03." in shown
    assert 'aria-current="true"' in shown
    assert 'href="/cola?nivel=critical" id="cerrar-panel"' in shown


def test_the_fragment_is_the_table_alone_and_keeps_no_session_alive(
    sign_in: SignIn, store: Store, clock: Clock
) -> None:
    seed.shift(store, clock.time)
    ana = sign_in()
    fragment = ana.get("/cola?fragmento=1").text
    assert fragment.lstrip().startswith("<table")
    assert "<html" not in fragment
    assert "fragmento=1" not in fragment
    ana.cookies.clear()
    assert ana.get("/cola?fragmento=1").status_code == 401


def test_nothing_pending_is_said_apart_from_nothing_at_all(sign_in: SignIn, store: Store, clock: Clock) -> None:
    seed.put(store, seed.refund(clock.time, **{"almena.alert.status": "closed"}))
    page = sign_in().get("/cola").text
    assert "Nada pendiente" in page
    assert "Nada pendiente" in sign_in().get("/cola?fragmento=1").text


def test_the_language_is_chosen_and_kept(sign_in: SignIn, store: Store, clock: Clock) -> None:
    seed.shift(store, clock.time)
    ana = sign_in()
    assert '<html lang="es-MX">' in ana.get("/cola").text
    english = ana.get("/cola?lang=en&nivel=critical")
    assert '<html lang="en-US">' in english.text
    assert titles(english.text) == ["A web server opens a shell"]
    assert "Alert queue" in ana.get("/cola").text
    assert "Cola de alertas" in ana.get("/cola?lang=es").text
    assert '<html lang="es-MX">' in ana.get("/cola?lang=xx").text


def test_a_hostile_alert_is_text_everywhere(sign_in: SignIn, store: Store, clock: Clock) -> None:
    bad = "<script>alert(1)</script>\"'&{{7*7}}%s%(x)s\u202e\x1b[31m\x00"
    event = {"user.name": bad, "host.name": bad, "source.ip": "10.0.0.1", "process.command_line": bad, bad: bad}
    root = {"kind": bad, "field": bad, "op": bad, "expected": [bad], "seen": bad, "selection": bad, "children": [1]}
    fields: dict[str, Any] = {
        "almena.alert.assignee": bad,
        "almena.alert.resolution": bad,
        "almena.alert.history": [{"user": bad, "note": bad, "action": bad, "resolution": bad, "time": bad}],
    }
    document = seed.alert(
        {"id": bad, "name": bad, "title": bad, "es": {"titulo": bad, "que_paso": "{user.name}"}},
        "high",
        event,
        at=clock.time,
        agency="finanzas",
        explanation={"root": {"kind": "and", "children": [root, {"kind": "model", "contributions": [root]}]}},
        **fields,
    )
    (number,) = seed.put(store, document)
    ana = sign_in()
    for path in ("/cola", f"/cola?alerta={number}", f"/alertas/{number}", "/reglas", f"/cola?{urlencode({'q': bad})}"):
        answer = ana.get(path)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text
        assert "\u202e" not in answer.text
        assert "\x1b" not in answer.text
        assert "\x00" not in answer.text
    assert "&lt;script&gt;alert(1)" in ana.get(f"/alertas/{number}").text
    assert "{{7*7}}%s%(x)s" in ana.get(f"/alertas/{number}").text
    assert "\\u202e" in ana.get(f"/alertas/{number}").text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["q", "nivel", "estado", "regla", "rango", "desde", "orden", "alerta", "despues", "lang"]),
        st.text(max_size=60),
    )
)
def test_any_address_gives_a_page(sign_in: SignIn, store: Store, clock: Clock, params: dict[str, str]) -> None:
    if not store.count(_all()):
        seed.shift(store, clock.time)
    assert sign_in().get("/cola", params=params).status_code in (200, 400, 414)


def _all() -> Query:
    return Query(kind=ALERTS, scope=None)
