"""What stands before every page: the host a request names, the size of its body, and the headers of the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_BODY = 64 * 1024
"""Bytes of a request's body; the largest form is a note of 2,000 characters."""

LONGEST_URL = 4 * 1024
"""Bytes of path and query; a saved filter with everything in it has a few hundred."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Guard:
    """Refuses what no page of ours would send, and seals every answer with the security headers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: frozenset[str],
        secure: bool,
        failed: Callable[[Request, Exception], Awaitable[Response]],
    ) -> None:
        """Guard `app`, which answers to `hosts`; `secure` when browsers reach it over HTTPS.

        `failed` answers in place of a page that raised, so that this answer too is sealed.
        """
        self._app = app
        self._hosts = hosts
        self._failed = failed
        self._headers = HEADERS | ({"strict-transport-security": "max-age=31536000"} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        started = False

        async def sealed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["cache-control"] = "no-store"
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, sealed)
            return
        capped = _Capped(receive)
        try:
            await self._app(scope, capped, sealed)
        except Exception as error:
            if started:
                raise
            too_long = isinstance(error, ClientDisconnect) and capped.overrun
            answer = _too_long() if too_long else await self._failed(Request(scope), error)
            await answer(scope, receive, sealed)

    def _refusal(self, scope: MutableMapping[str, Any]) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        named = headers.getlist("host")
        if len(named) != 1 or host_of(named[0]) not in self._hosts:
            return PlainTextResponse("This console does not answer to that host name: see console.hosts.\n", 421)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_URL:
            return PlainTextResponse(f"The address is longer than {LONGEST_URL} bytes.\n", 414)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:10]) > LONGEST_BODY:
            return _too_long()
        return None


def _too_long() -> PlainTextResponse:
    return PlainTextResponse(f"The request is longer than {LONGEST_BODY} bytes; nothing was kept.\n", 413)


class _Capped:
    """Hands on a body of bounded size, however it is sent; the rest looks like a client that went away."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = LONGEST_BODY
        self.overrun = False

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.overrun = True
                return {"type": "http.disconnect"}
        return message


def host_of(header: str) -> str:
    """The host name of a `Host` header, without its port.

    >>> host_of("[::1]:8080"), host_of("Almena.example:443")
    ('::1', 'almena.example')
    """
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def same_origin(request: Request) -> bool:
    """Whether the browser says that the request comes from a page of ours; old browsers say nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    return origin.partition("://")[2].lower() == request.headers.get("host", "").lower()
