from __future__ import annotations

import dataclasses
import inspect

import pytest

from almena.clock import HOUR, MINUTE
from almena.console import ConsoleSettings
from almena.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"listen": "8080"}, "listen: '8080' is no address; write '127.0.0.1:8080'"),
        ({"listen": "localhost:http"}, "listen:"),
        ({"listen": "localhost:70000"}, "listen:"),
        ({"public_url": "almena.example"}, "public_url: 'almena.example' is no address"),
        ({"public_url": "https://[x"}, "public_url:"),
        ({"zone": "America/Morelia"}, "zone: 'America/Morelia' is not known here"),
        ({"zone": "../../etc/passwd"}, "zone:"),
        ({"idle_minutes": 0}, "idle_minutes: 0 is not above zero"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        ConsoleSettings(**options)  # type: ignore[arg-type]
    assert str(error.value).startswith(said)


def test_hosts_follow_from_where_it_listens_and_how_people_reach_it() -> None:
    settings = ConsoleSettings(listen="0.0.0.0:80", public_url="https://Almena.example:8443/", hosts=("SOC.example",))
    assert settings.allowed_hosts() == {"almena.example", "soc.example", "localhost", "127.0.0.1", "::1"}
    assert ConsoleSettings(listen="[::1]:8080").address() == ("::1", 8080)


def test_cookies_are_secure_where_people_use_https() -> None:
    assert ConsoleSettings(public_url="https://almena.example").secure()
    assert not ConsoleSettings().secure()
    assert ConsoleSettings(secure_cookies="yes").secure()


def test_lifetimes_are_microseconds() -> None:
    assert ConsoleSettings(session_hours=1, idle_minutes=0.5).lifetimes() == (HOUR, MINUTE // 2)


def test_every_option_is_documented() -> None:
    source = inspect.getsource(ConsoleSettings)
    for field in dataclasses.fields(ConsoleSettings):
        after = source.split(f"    {field.name}: ", 1)[1].splitlines()[1]
        assert after.strip().startswith('"""'), field.name
