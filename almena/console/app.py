"""The console put together: its pages, its API, what guards them, and the server that runs them."""

from __future__ import annotations

import hashlib
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.types import Scope as AsgiScope

from almena import clock as clocks
from almena.console import alerts, api, auth, health, openapi, queue, sources
from almena.console import rules as rule_pages
from almena.console.i18n import mark
from almena.console.memory import Memory
from almena.console.nearest import Nearest, unknown
from almena.console.rules import RuleInfo
from almena.console.security import Guard
from almena.console.sessions import Attempts, Sessions
from almena.console.settings import ConsoleSettings
from almena.console.visit import HERE, Console, Visit, environments, page
from almena.store import Store

log = logging.getLogger(__name__)

_TROUBLE = {
    404: (mark("Esta página no existe"), mark("Revise la dirección, o empiece por la cola.")),
    405: (mark("Eso no se puede hacer aquí"), mark("No se cambió nada. Vuelva a la página anterior.")),
    500: (
        mark("Algo falló al preparar la página"),
        mark(
            "Lo guardado sigue guardado. Recargue; si vuelve a pasar, avise a quien opera Almena: está en el registro."
        ),
    ),
}


def create_app(
    store: Store,
    settings: ConsoleSettings,
    *,
    agencies: Mapping[str, str],
    rules: Callable[[], Sequence[RuleInfo]],
    status: health.Status,
    metrics: Callable[[], bytes],
    secret: bytes,
    nearest: Nearest = unknown,
    clock: Callable[[], int] = clocks.now,
) -> Starlette:
    """The console as an ASGI application.

    `agencies` gives their names by id; `status` says how the whole is doing within a
    caller's agencies, its problems in a language (`es` or `en`); `nearest` which groups are nearest to an alert;
    `secret` (32 bytes or more) seals forms and must be the same in every console that shares the store.
    """
    if len(secret) < 32:
        raise ValueError("the console's secret needs 32 bytes or more")
    lifetime, idle = settings.lifetimes()
    memory = Memory(metrics, clock)
    status = health.with_memory(status, memory, rules)
    app = Starlette(
        routes=routes(),
        middleware=[Middleware(Guard, hosts=settings.allowed_hosts(), secure=settings.secure(), failed=_failed)],
        exception_handlers={HTTPException: _refused},
    )
    app.state.console = Console(
        store=store,
        settings=settings,
        agencies=agencies,
        rules=rules,
        status=status,
        problems=health.Problems(status, clock),
        metrics=metrics,
        memory=memory,
        nearest=nearest,
        sessions=Sessions(store, secret, lifetime, idle, clock),
        attempts=Attempts(clock),
        clock=clock,
        environments=environments(static_address),
    )
    return app


def routes() -> list[Route | Mount]:
    """Every address there is."""
    get, post = ["GET"], ["POST"]
    return [
        Route("/", page(queue.queue_page), methods=get),
        Route("/cola", page(queue.queue_page), methods=get),
        Route("/alertas/{alert_id}", page(alerts.alert_page), methods=get),
        Route("/alertas/{alert_id}", page(alerts.decide_page), methods=post),
        Route("/fuentes", page(sources.sources_page), methods=get),
        Route("/salud", page(health.health_page), methods=get),
        Route("/reglas", page(rule_pages.list_page), methods=get),
        Route("/reglas/{rule_id:path}", page(rule_pages.one_page), methods=get),
        Route("/entrar", auth.sign_in, methods=["GET", "POST"]),
        Route("/salir", page(auth.sign_out), methods=post),
        Route("/clave", page(auth.password_page), methods=get),
        Route("/clave", auth.change_password, methods=post),
        Route("/api/v1/alerts", api.endpoint(api.list_alerts), methods=get),
        Route("/api/v1/alerts/{alert_id}", api.endpoint(api.one_alert), methods=get),
        Route("/api/v1/status", api.endpoint(api.status), methods=get),
        Route("/api/v1/openapi.json", _openapi, methods=get),
        Route("/metrics", health.metrics, methods=get),
        Route("/healthz", health.alive, methods=get),
        Mount("/static", _Static(directory=HERE / "static")),
    ]


def server(app: ASGIApp, settings: ConsoleSettings) -> uvicorn.Server:
    """The server for the console, not yet running; headers of proxies are not believed."""
    host, port = settings.address()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        http="h11",
        ws="none",
        h11_max_incomplete_event_size=16 * 1024,
        limit_concurrency=200,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
        lifespan="off",
    )
    return uvicorn.Server(config)


def serve(app: ASGIApp, settings: ConsoleSettings) -> None:
    """Serve the console until SIGTERM or SIGINT, then return; answers under way are finished first."""
    running = server(app, settings)

    def told(number: int, frame: FrameType | None) -> None:
        running.should_exit = True  # before the server listens to signals, and when it hands them on at its end

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        running.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Static(StaticFiles):
    """Our own files; their address changes with their content, so that browsers may keep them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        scope: AsgiScope = kwargs.get("scope") or args[2]
        versioned = scope["query_string"].startswith(b"v=")
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return response


@cache
def static_address(name: str) -> str:
    """The address of one of our own files with a hash of its content."""
    content = (HERE / "static" / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


async def _openapi(request: Request) -> Response:
    return Response(openapi.document(), media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    """A page, or a problem of the API, for what Starlette itself refuses."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _trouble(request, status)


async def _failed(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _trouble(request, 500)


def _trouble(request: Request, status: int) -> Response:
    if request.url.path.startswith("/api/"):
        return api.problem(status, {404: "Not found", 405: "Method not allowed"}.get(status, "Internal error"))
    visit = Visit(request.app.state.console, request)
    title, advice = _TROUBLE.get(status, _TROUBLE[500])
    return visit.problem(status, visit.say(title), visit.say(advice))
