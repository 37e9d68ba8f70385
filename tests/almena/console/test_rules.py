from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import console_seed as seed
from console_client import BASE, SECRET, Clock, TestClient
from starlette.applications import Starlette

from almena.clock import DAY, MINUTE, format_time
from almena.console import ConsoleSettings, RuleInfo, create_app
from almena.console.nearest import Nearby, Nearest, NearGroup
from almena.console.rules import recent_alerts, techniques
from almena.status import HEARD
from almena.store import ALL, LEDGER, Scope, Store


def test_the_list_has_the_worst_first_with_their_alerts(
    sign_in: Callable[..., TestClient], store: Store, clock: Clock
) -> None:
    seed.shift(store, clock.time)
    page = sign_in().get("/reglas").text
    titles = re.findall(r'class="row-link" href="/reglas/[^"]+">([^<]+)<', page)
    assert titles == [
        "Un servidor web abre una consola",
        "Alguien prueba una contraseña en muchas cuentas de servidores públicos",
        "Devolución fuera de lo acostumbrado",
    ]
    assert "T1505.003" in page
    assert f'href="/cola?regla={seed.WEB_SHELL["id"]}&amp;estado=all">4</a>' in page
    assert "1 regla rechazada" in page
    assert "línea 4: falta la condición" in page


def test_the_list_is_searched(sign_in: Callable[..., TestClient], store: Store) -> None:
    ana = sign_in()
    assert "row-link" in ana.get("/reglas?q=t1505").text
    assert ana.get("/reglas?q=consola&nivel=critical").text.count("row-link") == 1
    assert "Ninguna regla cumple estos filtros" in ana.get("/reglas?q=inexistente").text
    assert ana.get("/reglas?nivel=nada").text.count('class="row-link"') == 3


def test_one_rule_says_what_it_says_to_people(sign_in: Callable[..., TestClient], store: Store, clock: Clock) -> None:
    seed.shift(store, clock.time)
    ana = sign_in()
    page = ana.get(f"/reglas/{seed.WEB_SHELL['id']}").text
    assert "<h1>Un servidor web abre una consola</h1>" in page
    assert "‹programa padre› abrió ‹programa› en ‹equipo›." in page
    assert "condition: selection" in page
    assert page.count('<td><a href="/alertas/') == 4
    assert "<h1>A web server opens a shell</h1>" in ana.get(f"/reglas/{seed.WEB_SHELL['id']}?lang=en").text
    missing = ana.get("/reglas/no/existe?lang=es")
    assert missing.status_code == 404
    assert "No hay una regla con ese nombre" in missing.text


def test_alerts_are_counted_within_the_agencies_and_lately(store: Store, clock: Clock) -> None:
    seed.put(store, seed.web_shell(clock.time - DAY), seed.web_shell(clock.time - 40 * DAY))
    assert recent_alerts(store, frozenset({"finanzas"}), clock.time) == {seed.WEB_SHELL["id"]: 1}
    assert recent_alerts(store, frozenset({"registro"}), clock.time) == {}


def in_shadow(store: Store, **entry: str) -> None:
    """Say of a rule that it is in shadow, as detection does."""
    found = store.get(LEDGER, "rules", scope=ALL)
    assert found is not None
    told = {"title": "As told", "why": "listed", "detail": "", "since": ""} | entry
    listed = [*found.document.get("almena.rules.shadow", []), told]
    store.replace(LEDGER, "rules", found.document | {"almena.rules.shadow": listed}, found.version)


def test_rules_in_shadow_are_listed_with_why_and_since(
    sign_in: Callable[..., TestClient], store: Store, clock: Clock
) -> None:
    seed.shift(store, clock.time)
    ana = sign_in()
    assert "en sombra" not in ana.get("/reglas").text
    seed.put(store, *(seed.web_shell(clock.time - n, **{"almena.alert.status": "shadow"}) for n in (1, 2)))
    seed.put(store, seed.web_shell(clock.time, "equipo-antiguo", **{"almena.alert.status": "history"}))
    since = format_time(clock.time - DAY)
    in_shadow(store, rule=str(seed.WEB_SHELL["id"]), why="budget", detail="50 µs · 50%", since=since)
    in_shadow(store, rule=str(seed.SPRAYING["id"]), why="rests", detail=str(seed.WEB_SHELL["id"]))
    in_shadow(store, rule="gone", title="As told", why="rule")
    in_shadow(store, rule="new", title="<b>", why="%(unknown)s")
    page = ana.get("/reglas").text
    assert "4 reglas en sombra" in page
    assert "Costó más de lo permitido, por evento y del total: 50 µs · 50%." in page
    assert "Se apoya en otra regla en sombra: Un servidor web abre una consola." in page
    assert "La regla misma pide quedar en sombra." in page
    assert "&lt;b&gt;" in page
    assert page.count('<span class="status shadow">en sombra</span>') == 2
    assert re.search(r'estado=all">4</a> <a class="muted" href="[^"]+estado=shadow">\+2 en sombra</a>', page)
    one = ana.get(f"/reglas/{seed.WEB_SHELL['id']}").text
    assert re.search(r"<strong>En sombra desde <time [^>]+>[^<]+</time></strong>\. Costó más de lo permitido", one)
    assert "equipo-antiguo" not in one, "what it found in history stands in the queue, under its state"
    assert "<dd>En uso</dd>" in ana.get(f"/reglas/{seed.REFUND['id']}").text
    assert "It rests on another rule in shadow: A web server opens a shell." in ana.get("/reglas?lang=en").text


def test_changes_that_were_not_taken_say_why(sign_in: Callable[..., TestClient], store: Store, clock: Clock) -> None:
    seed.shift(store, clock.time)
    ana = sign_in()
    assert "no se aplicaron" not in ana.get("/reglas").text

    def tell(name: str, heard: int, *refused: object) -> None:
        document = {
            "@timestamp": format_time(clock.time - heard),
            "almena.rules.member": name,
            "almena.rules.refused": list(refused),
        }
        store.create_many(LEDGER, {f"rules/{name}": document})

    item = {"rule": "r-1", "file": "rota.yml", "reason": "<b>sin condición"}
    tell("detect@a", 0, item, "nonsense")
    tell("correlate@a", 0, item)
    tell("gone", HEARD + 1, {"rule": "r-2", "file": "otra.yml", "reason": "x"})
    page = ana.get("/reglas").text
    assert "Los cambios no se aplicaron; siguen las reglas de antes" in page
    assert page.count('<td class="mono">rota.yml</td>') == 1
    assert "&lt;b&gt;sin condición" in page
    assert "otra.yml" not in page
    assert "The changes were not taken; the rules before run on" in ana.get("/reglas?lang=en").text


def test_a_hostile_or_unusual_rule_is_text(store: Store, sign_in: Callable[..., TestClient], clock: Clock) -> None:
    bad = '<script>alert(1)</script>%s"\u202e'
    rule = RuleInfo(
        id=bad, title={"es": bad}, level=bad, status=bad, kind=bad, tags=(bad,), file=bad, logsource=bad,
        description={"es": bad}, words={"es": {"what_happened": bad}}, references=(bad,), source=bad,
    )  # fmt: skip
    other = create_app(
        store, ConsoleSettings(), agencies={}, rules=lambda: [rule], status=lambda scope, language: {},
        metrics=lambda: b"", secret=SECRET, clock=clock,
    )  # fmt: skip
    ana = sign_in()
    with TestClient(other, base_url=BASE, cookies=dict(ana.cookies)) as client:
        listed = client.get("/reglas")
        address = re.search(r'class="row-link" href="([^"]+)"', listed.text)
        assert address is not None
        for page in (listed, client.get(address[1])):
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert "\u202e" not in page.text


def test_techniques_are_taken_from_tags() -> None:
    assert techniques(("attack.t1505.003", "attack.persistence", "attack.T1110", "attack.t15", "cve.2021")) == [
        "T1505.003",
        "T1110",
    ]


def test_no_rules_says_how_to_have_one(
    make_app: Callable[..., Starlette], sign_in: Callable[..., TestClient], store: Store, clock: Clock
) -> None:
    app = create_app(
        store, ConsoleSettings(), agencies={}, rules=list, status=lambda scope, language: {}, metrics=lambda: b"",
        secret=SECRET, clock=clock,
    )  # fmt: skip
    with TestClient(app, base_url=BASE, cookies=dict(sign_in().cookies)) as client:
        assert "<code>almena rules check</code>" in client.get("/reglas").text


def test_a_correlation_shows_what_is_nearest_to_an_alert_to_whom_may_see_it(
    sign_in: Callable[..., TestClient], store: Store, clock: Clock
) -> None:
    asked: list[tuple[str, Scope, str]] = []
    rule = RuleInfo(id="r1", title={"es": "Muchas"}, level="high", kind="correlation")
    now = clock.time

    def nearest(rule: str, scope: Scope, language: str) -> Nearby | None:
        asked.append((rule, scope, language))
        shared: dict[str, Any] = {"agency": "registro", "first": now - MINUTE, "last": now, "closes": now + MINUTE}
        groups = (
            NearGroup(name="usuario <b>ana\u202e", reached="7 de 8 eventos", missing=("Otra",), **shared),
            NearGroup(name="", reached="2 de 8 eventos", past=True, **shared),
            NearGroup(name="usuario eva", reached="8 de 8 eventos", alert="202611-ab", **shared),
        )
        return Nearby(groups=groups, more=1_500, watermark=now - MINUTE, waiting=3)

    def page_of(nearest: Nearest, *agencies: str) -> str:
        app = create_app(
            store, ConsoleSettings(), agencies=seed.AGENCIES, rules=lambda: [rule], nearest=nearest, secret=SECRET,
            status=lambda scope, language: {}, metrics=lambda: b"", clock=clock,
        )  # fmt: skip
        cookies = dict(sign_in(f"eva.{len(asked)}", *agencies).cookies)
        with TestClient(app, base_url=BASE, cookies=cookies) as client:
            return str(client.get("/reglas/r1").text)

    page = page_of(nearest, "registro")
    assert asked == [("r1", frozenset({"registro"}), "es")]
    assert "Lo más cerca de avisar" in page
    assert "usuario &lt;b&gt;ana" in page
    assert "\u202e" not in page
    assert "7 de 8 eventos<br>" in page
    assert "todo junto" in page
    assert "(ya pasó)" in page
    assert '<a href="/alertas/202611-ab">ya avisó</a>' in page
    assert "Y más grupos: 1,500." in page
    assert "Hechos que la esperan: 3." in page
    assert "Ningún hecho de sus reglas cuenta" in page_of(lambda *_: Nearby(), "registro")
    assert "Lo más cerca de avisar" not in page_of(lambda *_: None, "registro"), "it is not known here"
