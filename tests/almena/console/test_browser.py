"""The console in a real browser, over a real server and a real store."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import console_seed as seed
import pytest
from console_client import SECRET
from playwright.sync_api import Browser, Page, expect, sync_playwright

from almena.alert import stamp
from almena.clock import HOUR, format_time, now
from almena.console import ConsoleSettings, audit, create_app, ensure_admin
from almena.console.app import server
from almena.paths import rules_dir
from almena.store import ALERTS, ALL, LEDGER, Store, open_store
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.loader import load_rules

pytestmark = pytest.mark.browser

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NEW = "una frase larga y propia"


@dataclass
class Site:
    """A console that listens, and its store."""

    url: str
    store: Store
    once: str


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    store = open_store(f"sqlite:{tmp_path / 'store.sqlite'}")
    seed.shift(store)
    once = ensure_admin(store)
    assert once is not None
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = ConsoleSettings(listen=f"127.0.0.1:{port}", refresh_seconds=1)
    app = create_app(
        store,
        settings,
        agencies=seed.AGENCIES,
        rules=seed.rules,
        status=seed.state(store),
        metrics=lambda: b"",
        secret=SECRET,
    )
    running = server(app, settings)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    yield Site(f"http://127.0.0.1:{port}", store, once)
    running.should_exit = True
    thread.join(20)
    listener.close()
    store.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        assert os.environ.get("CI") != "true", "CI must have Chromium"
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


def open_page(browser: Browser, complaints: list[str], **options: Any) -> Page:
    """A page whose every complaint (script errors, refused styles, failed requests) is kept."""
    page = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options}).new_page()
    loud = ("error", "warning")
    page.on("console", lambda message: complaints.append(message.text) if message.type in loud else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(15_000)
    return page


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    assert found == []


def enter(page: Page, site: Site) -> None:
    """The first sign-in: the one-time password, then one's own."""
    page.goto(site.url)
    page.get_by_label("Usuario").fill("admin")
    page.get_by_label("Contraseña").fill(site.once)
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("heading", name="Elija su contraseña")).to_be_visible()
    page.get_by_label("Contraseña actual").fill(site.once)
    page.get_by_label("Contraseña nueva", exact=True).fill(NEW)
    page.get_by_label("Contraseña nueva, otra vez").fill(NEW)
    page.get_by_role("button", name="Cambiar contraseña").click()
    expect(page.get_by_role("heading", name="Cola de alertas")).to_be_visible()


def test_a_shift_begins(browser: Browser, site: Site, complaints: list[str]) -> None:
    page = open_page(browser, complaints)
    enter(page, site)
    expect(page.get_by_role("status").first).to_contain_text("La contraseña nueva ya vale")
    rows = page.locator("#tabla tbody tr")
    expect(rows.first).to_contain_text("Un servidor web abre una consola")

    page.keyboard.press("j")
    expect(rows.first.locator("a.row-link")).to_be_focused()
    page.keyboard.press("j")
    expect(rows.nth(1).locator("a.row-link")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    panel = page.locator("#panel")
    expect(panel).to_contain_text("/usr/sbin/nginx abrió /usr/bin/dash en portal-03.")
    expect(panel.locator(".tree")).to_contain_text("programa termina en «/sh», «/bash» o «/dash»")
    expect(panel.locator(".tree .held")).to_have_count(5)
    expect(rows.first).to_contain_text("Un servidor web abre una consola")

    page.keyboard.press("a")
    expect(page.get_by_role("status").first).to_contain_text("Acuse dado a 3 de 3 alertas.")
    expect(panel).to_contain_text("a cargo de admin")
    expect(panel.locator(".history")).to_contain_text("dio acuse")
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_have_count(0)
    expect(rows.first).to_contain_text("Con acuse")

    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", name="Alert queue")).to_be_visible()
    expect(rows.first).to_contain_text("A web server opens a shell")
    assert page.locator("html").get_attribute("lang") == "en-US"

    numbers = re.findall(r'data-id="([^"]+)"', page.content())
    found = site.store.get(ALERTS, numbers[0], scope=ALL)
    assert found is not None
    assert found.document["almena.alert.assignee"] == "admin"
    assert audit.verify(site.store) == 3


def test_an_alert_says_in_the_rules_words_why_it_fired(browser: Browser, site: Site, complaints: list[str]) -> None:
    event = {
        "@timestamp": format_time(now()),
        "event.id": "portal:0:1",
        "event.dataset": "nginx.access",
        "organization.id": "finanzas",
        "http.response.status_code": 200,
        "url.path": "/uploads/2026/<b>x</b>/c99.php",
        "source.ip": "203.0.113.9",
    }
    (alert,) = (
        item for item in SigmaDetector(load_rules([rules_dir() / "web"])).select([event]) if isinstance(item, dict)
    )
    seed.put(site.store, stamp(alert, now()) | {"almena.alert.status": "open"})
    page = open_page(browser, complaints)
    enter(page, site)
    page.goto(f"{site.url}/alertas/{alert['almena.alert.id']}")
    tree = page.locator(".tree")
    expect(tree.locator(".said").first).to_have_text("El servidor respondió:")
    expect(tree).to_contain_text("Se llama como un programa de intrusos conocido: ruta pedida termina en «/c99.php»")
    expect(tree).to_contain_text("se vio /uploads/2026/<b>x</b>/c99.php")
    expect(tree).to_contain_text("u otros 4 valores")
    page.get_by_role("link", name="English").click()
    expect(page.locator(".tree")).to_contain_text(
        "It has the name of a known intruders' program: path asked for ends with"
    )


def test_the_queue_is_alive_and_pauses_while_it_is_read(browser: Browser, site: Site, complaints: list[str]) -> None:
    page = open_page(browser, complaints)
    enter(page, site)
    live = page.locator("#vivo")
    expect(live).to_contain_text("Se actualiza sola cada 1 s")
    seed.put(site.store, seed.web_shell(now(), "nuevo-01", "registro"))
    expect(page.locator("#tabla tbody tr", has_text="Registro Público").first).to_be_visible()
    expect(live).to_contain_text("Grupos nuevos: 1")

    page.locator("#tabla tbody tr").nth(3).hover()
    expect(live).to_contain_text("En pausa mientras lee")
    seed.put(site.store, seed.web_shell(now(), "nuevo-02", "educacion"))
    time.sleep(2.5)
    before = page.locator("#tabla tbody tr").count()
    page.mouse.move(5, 5)
    expect(page.locator("#tabla tbody tr")).to_have_count(before + 1)

    page.get_by_role("button", name="Pausar").click()
    expect(live).to_have_text("En pausa")
    seed.put(site.store, seed.web_shell(now(), "nuevo-03", "educacion", **{"almena.alert.group": "otro"}))
    time.sleep(2.5)
    expect(page.locator("#tabla tbody tr")).to_have_count(before + 1)


def test_keys_can_be_turned_off_and_never_steal_typing(browser: Browser, site: Site, complaints: list[str]) -> None:
    page = open_page(browser, complaints)
    enter(page, site)
    page.keyboard.press("/")
    expect(page.get_by_label("Buscar")).to_be_focused()
    page.keyboard.type("ajk?")
    expect(page.get_by_label("Buscar")).to_have_value("ajk?")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Usar estas teclas en este navegador").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("j")
    expect(page.locator("#tabla a:focus")).to_have_count(0)
    page.reload()
    page.keyboard.press("?")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Teclas").click()
    expect(dialog).to_be_visible()


def test_rules_in_shadow_are_seen_and_what_they_found(browser: Browser, site: Site, complaints: list[str]) -> None:
    rule = str(seed.WEB_SHELL["id"])
    ledger = site.store.get(LEDGER, "rules", scope=ALL)
    assert ledger is not None
    told = {"rule": rule, "title": "x", "why": "budget", "detail": "50 µs · 50%", "since": format_time(now() - HOUR)}
    site.store.replace(LEDGER, "rules", ledger.document | {"almena.rules.shadow": [told]}, ledger.version)
    shadow = {"almena.alert.status": "shadow", "almena.alert.shadow": True, "almena.alert.group": "sombra"}
    seed.put(site.store, seed.web_shell(now()) | shadow | {"almena.alert.entity": "host.name=equipo-en-sombra"})
    page = open_page(browser, complaints)
    enter(page, site)
    expect(page.locator("#tabla")).to_contain_text("Un servidor web abre una consola")
    expect(page.locator("#tabla")).not_to_contain_text("equipo-en-sombra")
    page.get_by_role("link", name=re.compile("Reglas")).first.click()
    section = page.get_by_role("region", name="1 regla en sombra")
    expect(section).to_contain_text("Costó más de lo permitido, por evento y del total: 50 µs · 50%.")
    section.get_by_role("link", name="Un servidor web abre una consola").click()
    expect(page.locator("dl.facts")).to_contain_text("En sombra desde")
    expect(page.locator("table.rows .status.shadow")).to_have_text("En sombra")
    page.go_back()
    page.get_by_role("link", name="Ver lo que encontraron").click()
    rows = page.locator("#tabla tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("equipo-en-sombra")
    expect(page.get_by_label("Estado")).to_have_value("shadow")
    rows.locator("a.row-link").click()
    expect(page.locator("#panel")).to_contain_text("a nadie se avisó")
    expect(page.locator("#panel").get_by_role("button", name="Acusar")).to_have_count(0)


def test_history_is_found_under_its_state_and_says_its_run(browser: Browser, site: Site, complaints: list[str]) -> None:
    found = {"almena.alert.status": "history", "almena.alert.backfill": "enero-2026", "almena.alert.group": "historia"}
    seed.put(site.store, seed.web_shell(now()) | found | {"almena.alert.entity": "host.name=equipo-antiguo"})
    page = open_page(browser, complaints)
    enter(page, site)
    expect(page.locator("#tabla")).to_contain_text("Un servidor web abre una consola")
    expect(page.locator("#tabla")).not_to_contain_text("equipo-antiguo")
    page.get_by_label("Estado").select_option("Histórico")
    page.get_by_role("button", name="Filtrar").click()
    rows = page.locator("#tabla tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.locator(".status.history")).to_have_text("Histórico")
    rows.locator("a.row-link").click()
    panel = page.locator("#panel")
    expect(panel).to_contain_text("a nadie se avisó")
    expect(panel.get_by_role("button", name="Acusar")).to_have_count(0)
    panel.get_by_role("link", name="Ver todo lo de enero-2026").click()
    expect(page.get_by_label("Buscar")).to_have_value("enero-2026")
    expect(rows).to_contain_text("equipo-antiguo")


def test_everything_works_without_script(browser: Browser, site: Site, complaints: list[str]) -> None:
    page = open_page(browser, complaints, java_script_enabled=False)
    enter(page, site)
    page.get_by_label("Gravedad", exact=True).select_option("critical")
    page.get_by_role("button", name="Filtrar").click()
    assert "nivel=critical" in page.url
    page.locator("a.row-link").first.click()
    panel = page.locator("#panel")
    expect(panel).to_contain_text("Por qué se disparó")
    panel.get_by_text("Cerrar alerta").first.click()
    panel.get_by_label("Cómo termina").select_option("true_positive")
    panel.get_by_label("Nota para quien siga").fill("Aislado")
    panel.get_by_role("button", name="Cerrar alerta").click()
    expect(page.locator(".notice")).to_contain_text("Cerradas 1 de 1 alertas.")
    expect(panel).to_contain_text("Verdadera, sin daño")


@pytest.mark.parametrize("width", [1440, 1000, 700, 320])
def test_nothing_is_cut_off_at_any_width(browser: Browser, site: Site, complaints: list[str], width: int) -> None:
    """320 pixels are what 1280 are at 400 %."""
    page = open_page(browser, complaints, viewport={"width": width, "height": 800})
    enter(page, site)
    link = page.locator("a.row-link").first.get_attribute("href")
    number = re.search(r"alerta=([\w-]+)", str(link))
    assert number is not None
    alert, rule = f"/alertas/{number[1]}", f"/reglas/{seed.REFUND['id']}"
    for path in ("/cola", str(link), alert, "/fuentes", "/salud", "/reglas", rule):
        page.goto(site.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.goto(site.url + str(link))
    expect(page.locator("main h1")).to_be_visible()
    expect(page.locator("#tabla")).to_be_visible(visible=width > 900)
    expect(page.locator("#panel h2")).to_be_visible()


@pytest.mark.parametrize("width", [1360, 1000, 700])
@pytest.mark.parametrize("panel", [False, True])
def test_titles_are_never_cut_where_a_line_may_break(
    browser: Browser, site: Site, complaints: list[str], width: int, panel: bool
) -> None:
    page = open_page(browser, complaints, viewport={"width": width, "height": 900})
    enter(page, site)
    if panel:
        page.goto(site.url + str(page.locator("a.row-link").first.get_attribute("href")))
    cut = page.evaluate(
        """[...document.querySelectorAll('td.c-title')].filter((cell) => cell.scrollWidth > cell.clientWidth)
             .map((cell) => cell.textContent)"""
    )
    allowed = ["Alguien prueba una contraseña en muchas cuentas de servidores públicos"]
    assert set(cut) <= (set() if panel or width < 1200 else set(allowed))


def test_every_page_is_labelled(browser: Browser, site: Site, complaints: list[str]) -> None:
    page = open_page(browser, complaints)
    enter(page, site)
    link = page.locator("a.row-link").first.get_attribute("href")
    for path in ("/cola", str(link), "/fuentes", "/salud", "/reglas", f"/reglas/{seed.REFUND['id']}", "/clave"):
        page.goto(site.url + path)
        assert page.locator("main h1").count() == 1, path
        unlabelled = page.evaluate(
            """[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
                 .filter((field) => !field.labels.length && !field.ariaLabel).map((field) => field.outerHTML)"""
        )
        assert unlabelled == [], path
        assert page.evaluate("[...document.querySelectorAll('th')].every((cell) => cell.scope)"), path
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
        assert len(set(ids)) == len(ids), path
        small = page.evaluate(
            """[...document.querySelectorAll('button, select, summary, input:not([type=hidden], [type=checkbox])')]
                 .filter((field) => field.offsetParent && field.getBoundingClientRect().height < 24)
                 .map((field) => field.outerHTML)"""
        )
        assert small == [], path


def test_the_way_by_tab_shows_where_it_is(browser: Browser, site: Site, complaints: list[str]) -> None:
    page = open_page(browser, complaints)
    enter(page, site)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Saltar al contenido")
    expect(skip).to_be_focused()
    assert skip.evaluate("(link) => link.getBoundingClientRect().top >= 0")
    for _ in range(25):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            """(() => { const style = getComputedStyle(document.activeElement);
                 return [document.activeElement.tagName, style.outlineStyle, parseFloat(style.outlineWidth)]; })()"""
        )
        assert outline[0] == "BODY" or (outline[1] == "solid" and outline[2] >= 2), outline
