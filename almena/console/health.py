"""What machines ask the console: whether it lives, and its metrics, which only this machine may read."""

from __future__ import annotations

import ipaddress

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from almena.console.security import host_of
from almena.console.visit import Console
from almena.errors import AlmenaError
from almena.store import ALL, LEDGER

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


async def alive(request: Request) -> Response:
    """200 while the store answers, 503 otherwise; says nothing else to strangers."""
    console: Console = request.app.state.console
    try:
        await anyio.to_thread.run_sync(lambda: console.store.get(LEDGER, "rules", scope=ALL))
    except (AlmenaError, OSError):
        return PlainTextResponse("the store does not answer\n", 503)
    return PlainTextResponse("ok\n")


async def metrics(request: Request) -> Response:
    """Prometheus text for a scraper on this machine; for anybody else the page does not exist."""
    if not from_here(request):
        return PlainTextResponse("not found\n", 404)
    console: Console = request.app.state.console
    text = await anyio.to_thread.run_sync(console.metrics)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def from_here(request: Request) -> bool:
    """Whether the peer is this machine itself, not somebody whom a proxy on this machine forwards."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    named = host_of(request.headers.get("host", ""))
    return _loopback(request.client.host) and (named == "localhost" or _loopback(named))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
