"""One visit to the console: who asks, in which language, with which form, and how the answer is put together."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio
import anyio.to_thread
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from almena.console import show
from almena.console.health import Problems, Status
from almena.console.i18n import LANGUAGES, Speak, language_of, mark, speaker, translations
from almena.console.memory import Memory
from almena.console.nearest import Nearest
from almena.console.rules import RuleInfo
from almena.console.security import LONGEST_BODY, same_origin
from almena.console.sessions import Attempts, Sessions
from almena.console.settings import ConsoleSettings
from almena.console.triage import sight
from almena.console.users import User
from almena.labels import LOCALES
from almena.store import Scope, Store

HERE = Path(__file__).parent

NOTICES = {
    "acknowledge": mark("Acuse dado a {done} de {meant} alertas."),
    "close": mark("Cerradas {done} de {meant} alertas."),
    "reopen": mark("Reabiertas {done} de {meant} alertas."),
    "password": mark("La contraseña nueva ya vale; las demás sesiones se cerraron."),
    "out": mark("La sesión se cerró."),
}
"""What a page says once about what was just done."""

_NOTICE = re.compile(r"([a-z]+)\.(\d{1,6})\.(\d{1,6})")


@dataclass(frozen=True)
class Console:
    """What every page works with."""

    store: Store
    settings: ConsoleSettings
    agencies: Mapping[str, str]
    rules: Callable[[], Sequence[RuleInfo]]
    status: Status
    problems: Problems
    metrics: Callable[[], bytes]
    memory: Memory
    nearest: Nearest
    sessions: Sessions
    attempts: Attempts
    clock: Callable[[], int]
    environments: Mapping[str, Environment]
    hashing: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(2))
    """Passwords that are checked at the same time; each takes 32 MB."""

    def cookie(self, name: str) -> str:
        """A cookie's full name: over HTTPS, one that no other host can set."""
        return f"__Host-almena_{name}" if self.settings.secure() else f"almena_{name}"


@dataclass
class Visit:
    """One request, and what is known about who sent it."""

    console: Console
    request: Request
    form: Mapping[str, str] = field(default_factory=dict)
    user: User | None = None
    cookies: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Cookies to set: value and seconds to live; 0 seconds removes."""

    @cached_property
    def language(self) -> str:
        """The language asked for in the address, or chosen before, or Spanish."""
        return language_of(self.request.query_params.get("lang"), self.cookie("lang"))

    @cached_property
    def look(self) -> show.Look:
        """Language, zone and moment of the page."""
        return show.Look(self.language, self.console.settings.time_zone(), self.console.clock())

    @property
    def say(self) -> Speak:
        """Translates into the page's language."""
        return speaker(self.language)

    @property
    def person(self) -> User:
        """Who is signed in; pages that are not open have somebody."""
        assert self.user is not None
        return self.user

    @property
    def scope(self) -> Scope:
        """The agencies this visit may see; none when nobody is signed in."""
        return self.user.scope if self.user else frozenset()

    @property
    def fragment(self) -> bool:
        """Whether the page's own script asks for the part that changes; no person did anything."""
        return self.request.query_params.get("fragmento") == "1"

    def cookie(self, name: str) -> str:
        """A cookie's value, or nothing."""
        return self.request.cookies.get(self.console.cookie(name), "")

    def form_token(self) -> str:
        """The token for this page's forms; a visitor without a session gets a cookie to tie it to."""
        tie = self.cookie("session") or self.cookie("visit")
        if not tie:
            tie = secrets.token_urlsafe(24)
            self.cookies["visit"] = (tie, 3600)
        return self.console.sessions.form_token(tie)

    def form_fits(self) -> bool:
        """Whether the form came from a page of ours that this visitor saw."""
        tie = self.cookie("session") or self.cookie("visit")
        return same_origin(self.request) and self.console.sessions.form_token_fits(tie, self.form.get("sello", ""))

    def problems(self) -> int:
        """How many problems the rail announces."""
        return self.console.problems.count(self.scope, self.language)

    def agencies(self) -> dict[str, str]:
        """The agencies this person may see, by id."""
        known = self.console.agencies
        return dict(known) if self.scope is None else {name: known.get(name, name) for name in sorted(self.scope)}

    def here(self, **changes: str | None) -> str:
        """This page's address with other parameters; None leaves one out."""
        left_out = {"lang", "fragmento", *changes}
        pairs = [(name, value) for name, value in self.request.query_params.multi_items() if name not in left_out]
        pairs += [(name, value) for name, value in changes.items() if value is not None]
        return f"{self.request.url.path}?{urlencode(pairs)}" if pairs else self.request.url.path

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page of ours."""
        environment = self.console.environments[self.language]
        notice = self._notice()
        text = environment.get_template(template).render(
            visit=self, look=self.look, user=self.user, notice=notice, languages=LANGUAGES, show=show, **values
        )
        return self.finish(HTMLResponse(text, status))

    def problem(self, status: int, title: str, advice: str) -> Response:
        """A page that says what happened and what to do."""
        return self.render("problem.html", status, title=title, advice=advice)

    def go(self, path: str, notice: str = "") -> Response:
        """Send the browser on, after something was done."""
        if notice:
            self.cookies["notice"] = (notice, 30)
        return self.finish(RedirectResponse(path, 303))

    def finish(self, response: Response) -> Response:
        """Put the cookies of this visit on its answer."""
        if self.request.query_params.get("lang") in LANGUAGES:
            self.cookies["lang"] = (self.language, 365 * 86_400)
        secure = self.console.settings.secure()
        for name, (value, seconds) in self.cookies.items():
            response.set_cookie(
                self.console.cookie(name),
                value,
                max_age=seconds,
                path="/",
                httponly=True,
                samesite="lax",
                secure=secure,
            )
        return response

    def _notice(self) -> str:
        found = _NOTICE.fullmatch(self.cookie("notice"))
        if found is None or self.fragment:
            return ""
        self.cookies["notice"] = ("", 0)
        said = NOTICES.get(found[1])
        return self.say(said).format(done=found[2], meant=found[3]) if said else ""


Handler = Callable[[Visit], Response | Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def page(handler: Callable[[Visit], Response], *, open_to_all: bool = False) -> Endpoint:
    """An endpoint that knows who asks, refuses forged forms, and does its work beside the event loop."""

    async def endpoint(request: Request) -> Response:
        visit = Visit(request.app.state.console, request)
        if request.method == "POST":
            visit.form = await read_form(request)
        return await anyio.to_thread.run_sync(_answer, handler, visit, open_to_all)

    return endpoint


def _answer(handler: Callable[[Visit], Response], visit: Visit, open_to_all: bool) -> Response:
    token = visit.cookie("session")
    visit.user = visit.console.sessions.find(token, touch=not visit.fragment) if token else None
    refusal = refuse(visit, open_to_all=open_to_all)
    return handler(visit) if refusal is None else refusal


def refuse(visit: Visit, *, open_to_all: bool) -> Response | None:
    """The answer to a visit that may not go on; None when it may."""
    path = visit.request.url.path
    if visit.user is None and not open_to_all:
        if visit.fragment:
            return visit.finish(Response(status_code=401))
        back = {"volver": visit.here()} if visit.request.method == "GET" and path != "/" else {}
        return visit.go(f"/entrar?{urlencode(back)}" if back else "/entrar")
    if visit.user is not None and visit.user.must_change and path not in ("/clave", "/salir", "/entrar"):
        return visit.go("/clave")
    if visit.request.method == "POST" and not visit.form_fits():
        return visit.problem(
            403,
            visit.say("El formulario ya no vale"),
            visit.say("No se cambió nada. Vuelva a la página, recárguela y repita lo que hizo."),
        )
    return None


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, each once; anything that is no plain form is empty."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind != "application/x-www-form-urlencoded" or len(body) > LONGEST_BODY:
        return {}
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        return {}


def local_path(text: str) -> str:
    """Where to go back to: a path of this console, or the queue."""
    plain = len(text) <= 2_000 and text.startswith("/") and not text.startswith("//") and "\\" not in text
    return text if plain and text.isprintable() else "/cola"


def environments(static: Callable[[str], str]) -> dict[str, Environment]:
    """The templates in each language; whatever they print is escaped twice: for HTML, and made visible."""
    found: dict[str, Environment] = {}
    for language in LANGUAGES:
        environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=show.visible,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
        environment.globals |= {
            "static": static,
            "sight": sight,
            "word": _words(language),
            "html_language": LOCALES[language].replace("_", "-"),
        }
        environment.filters["values"] = show.values
        found[language] = environment
    return found


def _words(language: str) -> Callable[[Mapping[str, str], object], str]:
    """Looks a name up in one of our tables and translates it; a name that is not there is shown as it is."""
    say = speaker(language)
    return lambda table, name: say(table[name]) if isinstance(name, str) and name in table else show.values(name, 60)
