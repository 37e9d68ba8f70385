"""A console in memory, and people signed in to it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from starlette.applications import Starlette

from almena.clock import now
from almena.console import ConsoleSettings, create_app
from almena.console.sessions import Sessions
from almena.console.users import create_user, find_user
from almena.store import Store, open_store
from tests.almena.console import seed  # noqa: TID251 (this is test code)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette advises another client than the one it was made with
    from starlette.testclient import TestClient as TestClient

PASSWORD = "correcta bateria grapa"
SECRET = b"secret of the tests, 32 bytes ok"
BASE = "http://127.0.0.1:8080"


@dataclass
class Clock:
    """A clock that tests move."""

    time: int

    def __call__(self) -> int:
        return self.time


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


def form_token(page: str) -> str:
    """The token in a page's forms."""
    found = re.search(r'name="sello" value="([0-9a-f]{64})"', page)
    assert found is not None, page[:500]
    return found[1]


@pytest.fixture
def post() -> Callable[..., object]:
    """Sends a form with the token of the page it stands on."""

    def send(client: TestClient, path: str, page: str | None = None, **fields: str) -> object:
        token = form_token(client.get(page or path).text)
        return client.post(path, data={"sello": token, **fields})

    return send
