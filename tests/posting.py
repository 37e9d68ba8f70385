"""An HTTP collector that runs, and a client that posts to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
from sinks import Kept, until

from collectors.base import Sink
from collectors.http import Http, Token

SECRET = "payments-token-0123456789"
OTHER = "registry-token-0123456789"
HEADERS = {"Authorization": f"Bearer {SECRET}"}


def http(**options: object) -> Http:
    """A collector with two senders."""
    tokens = {
        "payments": Token(agency="finanzas", token=SECRET, parser="words"),
        "registry": Token(agency="registro", token=OTHER, parser="words"),
    }
    return Http(**{"tokens": tokens, "listen": "127.0.0.1:0", **options})  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def listening(collector: Http, sink: Sink) -> AsyncIterator[None]:
    """The collector at work."""
    task = asyncio.ensure_future(collector.run("apps", sink))
    try:
        await until(lambda: collector.address or task.done(), seconds=5)
        if task.done():
            await task
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def running(collector: Http, sink: Sink) -> AsyncIterator[httpx.AsyncClient]:
    """The collector at work, and a client that shows a good token."""
    async with (
        listening(collector, sink),
        httpx.AsyncClient(base_url=f"http://{collector.address}", headers=HEADERS, timeout=20) as client,
    ):
        yield client


def asked(
    question: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]], sink: Kept | None = None, **options: object
) -> httpx.Response:
    """The answer to one question."""

    async def run() -> httpx.Response:
        async with running(http(**options), sink or Kept()) as client:
            return await question(client)

    return asyncio.run(run())
