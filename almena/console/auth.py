"""Signing in, choosing a password, signing out."""

from __future__ import annotations

import logging

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from almena.console import audit
from almena.console.i18n import mark
from almena.console.users import User, check_password, find_user, set_password, weakness
from almena.console.visit import Visit, local_path, read_form, refuse
from almena.errors import Conflict

log = logging.getLogger(__name__)

_WEAK = {
    "too short": mark("Escriba al menos 12 caracteres; varias palabras juntas se recuerdan mejor."),
    "too long": mark("Escriba a lo más 256 caracteres."),
    "too easy to guess": mark("No use su nombre de usuario ni repita pocos caracteres: se adivina."),
}
_MOST_WAITING = 16


async def sign_in(request: Request) -> Response:
    """The page for signing in, and what happens when its form comes back."""
    visit = Visit(request.app.state.console, request)
    back = local_path(request.query_params.get("volver", "/cola"))
    if request.method == "GET":
        return await anyio.to_thread.run_sync(_sign_in_page, visit, back)
    visit.form = await read_form(request)
    back = local_path(visit.form.get("volver", "/cola"))
    refusal = refuse(visit, open_to_all=True)
    if refusal is not None:
        return refusal
    name, password = visit.form.get("usuario", "").strip().lower(), visit.form.get("clave", "")
    address = request.client.host if request.client else ""
    wait = visit.console.attempts.wait(address, name)
    if wait:
        return _too_many(visit, wait, back)
    if visit.console.hashing.statistics().tasks_waiting >= _MOST_WAITING:
        return _too_many(visit, 5, back)
    visit.console.attempts.failed(address, name)  # counted before the work, so that many at once count too
    user = await anyio.to_thread.run_sync(_check, visit, name, password, limiter=visit.console.hashing)
    if user is None:
        log.warning("sign-in refused for %r from %s", name[:64], address)
        return _form(visit, 401, back, visit.say("El usuario o la contraseña no es correcto."), name)
    visit.console.attempts.succeeded(address, name)
    return await anyio.to_thread.run_sync(_let_in, visit, user, back)


def sign_out(visit: Visit) -> Response:
    """End the session."""
    visit.console.sessions.close(visit.cookie("session"))
    visit.cookies["session"] = ("", 0)
    return visit.go("/entrar", "out.0.0")


def password_page(visit: Visit) -> Response:
    """The page for choosing a password."""
    return visit.render("password.html", error="")


async def change_password(request: Request) -> Response:
    """Check the old password and set the new one; every other session ends."""
    visit = Visit(request.app.state.console, request)
    visit.form = await read_form(request)
    return await anyio.to_thread.run_sync(_change, visit, limiter=visit.console.hashing)


def _change(visit: Visit) -> Response:
    console = visit.console
    visit.user = console.sessions.find(visit.cookie("session"), touch=True)
    refusal = refuse(visit, open_to_all=False)
    if refusal is not None:
        return refusal
    user, new = visit.person, visit.form.get("nueva", "")
    address = visit.request.client.host if visit.request.client else ""
    wait = console.attempts.wait(address, user.name)
    problem = ""
    if wait:
        problem = _wait_text(visit, wait)
    elif not check_password(user, visit.form.get("actual", "")):
        console.attempts.failed(address, user.name)
        problem = visit.say("La contraseña actual no es correcta; sigue valiendo la de antes.")
    elif new != visit.form.get("otra", ""):
        problem = visit.say("Las dos veces la contraseña nueva debe ser la misma.")
    elif check_password(user, new):
        problem = visit.say("La contraseña nueva debe ser otra.")
    elif reason := weakness(user.name, new):
        problem = visit.say(_WEAK[reason])
    if problem:
        return visit.render("password.html", 422, error=problem)
    try:
        set_password(console.store, user.name, new)
    except Conflict:
        problem = visit.say("Otra persona cambió esta cuenta al mismo tiempo; repita el cambio.")
        return visit.render("password.html", 409, error=problem)
    return _changed(visit, user)


def _changed(visit: Visit, user: User) -> Response:
    console = visit.console
    audit.record(console.store, time=console.clock(), action="password-change", user=user.name, facts={})
    console.sessions.close(visit.cookie("session"))
    fresh = find_user(console.store, user.name)
    if fresh is not None:
        _carry(visit, console.sessions.open(fresh))
    return visit.go("/cola", "password.0.0")


def _sign_in_page(visit: Visit, back: str) -> Response:
    if visit.console.sessions.find(visit.cookie("session"), touch=False) is not None:
        return visit.go(back)
    if visit.request.cookies.pop(visit.console.cookie("session"), None):
        visit.cookies["session"] = ("", 0)
    return _form(visit, 200, back, "", "")


def _check(visit: Visit, name: str, password: str) -> User | None:
    user = find_user(visit.console.store, name)
    return user if check_password(user, password) else None


def _let_in(visit: Visit, user: User, back: str) -> Response:
    """A new session under a new token, whatever cookie the browser came with."""
    console = visit.console
    old = visit.cookie("session")
    if old:
        console.sessions.close(old)
    audit.record(console.store, time=console.clock(), action="sign-in", user=user.name, facts={})
    _carry(visit, console.sessions.open(user))
    visit.cookies["visit"] = ("", 0)
    return visit.go("/clave" if user.must_change else back)


def _carry(visit: Visit, token: str) -> None:
    visit.cookies["session"] = (token, visit.console.sessions.lifetime // 1_000_000)


def _too_many(visit: Visit, wait: int, back: str) -> Response:
    response = _form(visit, 429, back, _wait_text(visit, wait), "")
    response.headers["retry-after"] = str(wait)
    return response


def _wait_text(visit: Visit, wait: int) -> str:
    minutes = -(-wait // 60)
    return visit.say("Demasiados intentos. Espere {minutes} min y pruebe otra vez.").format(minutes=minutes)


def _form(visit: Visit, status: int, back: str, error: str, name: str) -> Response:
    return visit.render("sign_in.html", status, back=back, error=error, name=name)
