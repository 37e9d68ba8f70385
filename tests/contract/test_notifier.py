"""What every channel promises: one message delivered whole, or an error that can be shown and tried again."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webhooks import Server, status

from almena.alert import SEVERITY
from almena.clock import MINUTE, Span
from almena.config import build
from almena.desk.notify import NOTIFIERS, Common, Message
from almena.desk.notify.base import NotifyError
from almena.errors import ConfigError

SECRET = "T0KEN-in-the-path"


def message(**changed: Any) -> Message:
    usual: dict[str, Any] = {
        "key": "202605-a/log/1",
        "title": "[Alta] Entraron después de probar contraseñas",
        "text": "Qué pasó: ana entró\nQué hacer: llame",
        "level": "high",
        "agency": "finanzas",
        "alert": "202605-a",
        "group": "g",
        "rule": "r",
        "time": "2026-05-28T20:26:40.000000Z",
        "count": 3,
    }
    return Message(**(usual | changed))


class LogChannel:
    """Standard error, caught."""

    def __init__(self) -> None:
        self._patch = pytest.MonkeyPatch()
        self._stream = io.StringIO()

    def options(self) -> dict[str, Any]:
        self._patch.setattr(sys, "stderr", self._stream)  # within the test: pytest puts its own there before
        return {}

    def told(self) -> list[dict[str, Any]]:
        lines = self._stream.getvalue().splitlines()
        found = [msgspec.json.decode(line)["notification"] for line in lines]
        return [each | {"text": "\n".join(each["text"])} for each in found]

    def break_down(self) -> None:
        self._stream.close()

    def close(self) -> None:
        self._patch.undo()


class WebhookChannel:
    """A real server."""

    def __init__(self) -> None:
        self._server = Server()

    def options(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._server.port}/{SECRET}"
        return {"url": url, "allow_http": True, "allow_private": True, "timeout": "2s"}

    def told(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(body) for _, _, body in self._server.requests]

    def break_down(self) -> None:
        self._server.answers = [status(503)] * 10

    def close(self) -> None:
        self._server.close()


CHANNELS: dict[str, Callable[[], Any]] = {"log": LogChannel, "webhook": WebhookChannel}


@pytest.fixture(params=sorted(NOTIFIERS))
def channel(request: pytest.FixtureRequest) -> Iterator[Any]:
    opened = CHANNELS[request.param]()
    opened.kind = request.param
    yield opened
    opened.close()


def make(channel: Any, **more: Any) -> Common:
    made: Common = build(NOTIFIERS[channel.kind], channel.options() | more, "almena.toml: notify.x")
    return made


def test_every_channel_is_held_to_the_contract() -> None:
    assert set(CHANNELS) == set(NOTIFIERS)
    assert all(issubclass(kind, Common) for kind in NOTIFIERS.values())


def test_a_message_is_delivered_whole_and_once(channel: Any) -> None:
    make(channel).send(message())
    (told,) = channel.told()
    assert told == msgspec.structs.asdict(message())


def test_a_second_attempt_says_it_is_the_same_message(channel: Any) -> None:
    notifier = make(channel)
    notifier.send(message())
    notifier.send(message())
    notifier.send(message(key="another"))
    assert [told["key"] for told in channel.told()] == [message().key, message().key, "another"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=st.text(max_size=80), text=st.text(max_size=200), agency=st.text(max_size=20))
def test_whatever_strangers_put_into_it_a_message_arrives(channel: Any, title: str, text: str, agency: str) -> None:
    before = len(channel.told())
    make(channel).send(message(title=title, text=text, agency=agency))
    told = channel.told()
    assert len(told) == before + 1
    assert told[-1]["key"] == message().key


def test_what_cannot_be_delivered_is_a_notify_error_without_secrets(channel: Any) -> None:
    notifier = make(channel)
    channel.break_down()
    for _ in range(2):
        with pytest.raises(NotifyError) as caught:
            notifier.send(message())
        said = str(caught.value)
        assert said
        assert len(said) < 400
        assert SECRET not in said
        assert message().text not in said


def test_nothing_of_a_channel_shows_its_secrets(channel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if "secret_env" not in NOTIFIERS[channel.kind].__dataclass_fields__:
        assert channel.kind == "log", "the one channel without a secret"
        return
    monkeypatch.setenv("CHANNEL_SECRET", "s3cret-of-the-hook")
    assert "s3cret-of-the-hook" not in repr(make(channel, secret_env="CHANNEL_SECRET"))


def test_levels_and_agencies_decide_what_is_told(channel: Any) -> None:
    for least in ("low", "medium", "high", "critical"):
        notifier = make(channel, min_level=least)
        told = {level for level in SEVERITY if notifier.takes(level, "finanzas")}
        assert told == {level for level in SEVERITY if SEVERITY[level] >= SEVERITY[least]}
    assert not make(channel).takes("informational", "finanzas")
    some = make(channel, agencies=["finanzas"])
    assert some.takes("high", "finanzas")
    assert not some.takes("high", "salud")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": "0s"}, "timeout"),
        ({"timeout": str(Span(6 * MINUTE))}, "timeout"),
        ({"per_minute": 0}, "per_minute"),
        ({"min_level": "loud"}, "min_level"),
    ],
)
def test_settings_that_cannot_work_are_refused(channel: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=f"almena.toml: notify.x.*{says}"):
        make(channel, **options)


def test_a_webhook_nobody_answers_is_a_notify_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"url": f"http://127.0.0.1:{port}/{SECRET}", "allow_http": True, "allow_private": True}
    with pytest.raises(NotifyError, match=r"127\.0\.0\.1: ") as caught:
        build(NOTIFIERS["webhook"], options, "x").send(message())
    assert SECRET not in str(caught.value)
