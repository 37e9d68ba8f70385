from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from almena.console import ConsoleSettings, create_app
from almena.store import Store

ROLE = """
import sys
from almena.console import ConsoleSettings, create_app, serve
from almena.store import open_store

store = open_store("memory:")
settings = ConsoleSettings(listen=f"127.0.0.1:{sys.argv[1]}")
serve(create_app(store, settings, agencies={}, rules=list, status=lambda scope, language: {},
                 metrics=lambda: b"", secret=b"s" * 32), settings)
print("closed in order")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_told_and_then_goes_on(number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    role = subprocess.Popen([sys.executable, "-c", ROLE, str(port)], stdout=subprocess.PIPE, env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        role.send_signal(number)
        said, _ = role.communicate(timeout=20)
    finally:
        role.kill()
    assert role.returncode == 0
    assert said == b"closed in order\n"


def wait_for(address: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            answer = httpx.get(address)
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            assert answer.text == "ok\n"
            assert "server" not in answer.headers
            return


def test_a_short_secret_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        create_app(
            store,
            ConsoleSettings(),
            agencies={},
            rules=list,
            status=lambda scope, language: {},
            metrics=lambda: b"",
            secret=b"short",
        )


def test_every_page_has_one_address(make_app: Callable[..., Starlette]) -> None:
    app = make_app()
    seen = [(route.path, method) for route in app.routes for method in getattr(route, "methods", ())]  # type: ignore[attr-defined]
    assert len(seen) == len(set(seen))
