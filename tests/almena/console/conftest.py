"""A console in memory, and people signed in to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import console_seed as seed
import pytest
from console_client import BASE, PASSWORD, SECRET, Clock, TestClient
from starlette.applications import Starlette

from almena.clock import now
from almena.console import ConsoleSettings, create_app
from almena.console.sessions import Sessions
from almena.console.users import create_user, find_user
from almena.store import Store, open_store


@pytest.fixture
def clock() -> Clock:
    return Clock(now())


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store("memory:")
    yield store
    store.close()


@pytest.fixture
def make_app(store: Store, clock: Clock) -> Callable[..., Starlette]:
    def make(**options: object) -> Starlette:
        return create_app(
            store,
            ConsoleSettings(**options),  # type: ignore[arg-type]
            agencies=seed.AGENCIES,
            rules=seed.rules,
            status=seed.state(store),
            metrics=lambda: b"almena_up 1\n",
            secret=SECRET,
            clock=clock,
        )

    return make


@pytest.fixture
def client(make_app: Callable[..., Starlette]) -> Iterator[TestClient]:
    """Somebody who is not signed in."""
    with TestClient(make_app(), base_url=BASE, client=("127.0.0.1", 50000), follow_redirects=False) as client:
        yield client


@pytest.fixture
def sign_in(client: TestClient, store: Store, clock: Clock) -> Callable[..., TestClient]:
    """Opens a session for a person, who is created when there is none."""

    def enter(name: str = "ana.ruiz", *agencies: str, must_change: bool = False) -> TestClient:
        if find_user(store, name) is None:
            create_user(store, name, PASSWORD, agencies=agencies or ("*",), must_change=must_change)
        clock.time = max(clock.time, now())
        user = find_user(store, name)
        assert user is not None
        client.cookies.clear()
        client.cookies.set("almena_session", Sessions(store, SECRET, 10**12, 10**12, clock).open(user))
        return client

    return enter
