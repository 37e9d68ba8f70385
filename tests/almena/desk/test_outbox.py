"""What is in the outbox is told, once where all goes well, at least once where it does not, and never forgotten."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena import metrics
from almena.clock import DAY, MINUTE, SECOND, Span, format_time, now, parse_time
from almena.desk.message import Composer
from almena.desk.notify import Common, Message
from almena.desk.notify.base import NotifyError
from almena.desk.outbox import LEASE, Outbox, backoff, entry
from almena.desk.settings import DeskSettings
from almena.store import ALERTS, ALL, OUTBOX, Document, Store, open_store

NOW = 1_780_000_000 * SECOND


@dataclass(kw_only=True)
class Told(Common):
    failures: int = 0
    messages: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.messages.append(message)
        if self.failures:
            self.failures -= 1
            raise NotifyError("answered 500\x1b[2J")


@pytest.fixture(params=["memory:", "sqlite:{path}/store.sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(request.param.format(path=tmp_path))
    yield opened
    opened.close()


def alert(number: int, level: str = "high", status: str = "open") -> Document:
    return {
        "@timestamp": format_time(NOW),
        "organization.id": "fin",
        "rule.id": "r1",
        "message": "Rule one",
        "almena.alert.id": f"a{number}",
        "almena.alert.group": f"g{number}",
        "almena.alert.level": level,
        "almena.alert.status": status,
        "almena.alert.first_seen": format_time(NOW),
        "almena.alert.last_seen": format_time(NOW),
    }


def put(store: Store, *alerts: Document, channel: str = "phone") -> None:
    store.create_many(ALERTS, {each["almena.alert.id"]: each for each in alerts})
    store.create_many(OUTBOX, dict(entry(each, channel, NOW) for each in alerts))


def outbox(store: Store, settings: DeskSettings | None = None, **channels: Common) -> Outbox:
    return Outbox(store, settings or DeskSettings(), channels, Composer())


def state(store: Store, identity: str) -> Document:
    found = store.get(OUTBOX, identity, scope=ALL)
    assert found is not None
    return {name.rpartition(".")[2]: value for name, value in found.document.items()}


def test_what_is_due_is_told_once(store: Store) -> None:
    put(store, alert(1))
    phone = Told()
    box = outbox(store, phone=phone)
    assert box.deliver("phone", NOW) == 1
    assert box.deliver("phone", NOW + DAY) == 0
    assert len(phone.messages) == 1
    found = state(store, "g1/high/phone")
    assert (found["status"], found["attempts"]) == ("delivered", 1)
    assert phone.messages[0].key == found["key"]


def test_the_worst_comes_first(store: Store) -> None:
    put(store, alert(1, "low"), alert(2, "critical"), alert(3, "high"), alert(4, "critical"))
    phone = Told()
    outbox(store, phone=phone).deliver("phone", NOW, limit=3)
    assert [message.level for message in phone.messages] == ["critical", "critical", "high"]


def test_failures_are_tried_again_later_with_the_same_key(store: Store) -> None:
    put(store, alert(1))
    phone = Told(failures=2)
    box = outbox(store, phone=phone)
    before = metrics.NOTIFICATIONS.labels("phone", "retry")._value.get()
    moment = now()
    box.deliver("phone", moment)
    first = state(store, "g1/high/phone")
    assert (first["status"], first["attempts"]) == ("pending", 1)
    assert first["error"] == "answered 500\\u001b[2J"
    assert 2 * SECOND < parse_time(first["next_attempt"]) - moment < 20 * SECOND
    assert box.deliver("phone", moment) == 0
    box.deliver("phone", moment + MINUTE)
    second = state(store, "g1/high/phone")
    assert parse_time(second["next_attempt"]) > parse_time(first["next_attempt"])
    box.deliver("phone", moment + 10 * MINUTE)
    assert state(store, "g1/high/phone")["status"] == "delivered"
    assert len({message.key for message in phone.messages}) == 1
    assert metrics.NOTIFICATIONS.labels("phone", "retry")._value.get() == before + 2


def test_after_the_last_attempt_it_stands_as_failed(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    put(store, alert(1))
    box = outbox(store, DeskSettings(attempts=3), phone=Told(failures=99))
    for number in range(5):
        box.deliver("phone", now() + number * DAY)
    found = state(store, "g1/high/phone")
    assert (found["status"], found["attempts"]) == ("failed", 3)
    assert "was not delivered" in caplog.text


def test_a_channel_that_breaks_is_a_failed_attempt(store: Store) -> None:
    class Broken(Common):
        def send(self, message: Message) -> None:
            raise ZeroDivisionError("bug")

    put(store, alert(1))
    outbox(store, phone=Broken()).deliver("phone", NOW)
    assert state(store, "g1/high/phone")["status"] == "pending"


def test_what_somebody_took_meanwhile_is_not_told(store: Store) -> None:
    put(store, alert(1, status="acknowledged"), alert(2, status="suppressed"), alert(3, status="closed"))
    phone = Told()
    outbox(store, phone=phone).deliver("phone", NOW)
    assert phone.messages == []
    assert state(store, "g1/high/phone")["status"] == "unneeded"


def test_a_message_says_how_many_alerts_it_stands_for(store: Store) -> None:
    put(store, alert(1))
    store.create_many(ALERTS, {f"more{n}": alert(1) | {"almena.alert.id": f"more{n}"} for n in range(4)})
    phone = Told()
    outbox(store, phone=phone).deliver("phone", NOW)
    assert phone.messages[0].count == 5
    assert "Alertas del grupo: 5" in phone.messages[0].text


def test_a_claim_that_died_is_taken_over(store: Store) -> None:
    put(store, alert(1))

    class Killed(Common):
        def send(self, message: Message) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outbox(store, phone=Killed()).deliver("phone", NOW)
    phone = Told()
    box = outbox(store, phone=phone)
    assert box.deliver("phone", NOW + SECOND) == 0
    assert box.deliver("phone", NOW + LEASE + int(phone.timeout)) == 1
    assert state(store, "g1/high/phone")["attempts"] == 2


def test_many_desks_tell_each_message_once(store: Store) -> None:
    put(store, *(alert(number) for number in range(40)))
    phone = Told()
    boxes = [outbox(store, phone=phone) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(lambda box: box.deliver("phone", NOW), boxes)) == 40
    assert sorted(message.alert for message in phone.messages) == sorted(f"a{number}" for number in range(40))


def test_what_waits_is_counted_and_orphans_fail_loudly(store: Store) -> None:
    put(store, alert(1), alert(2))
    put(store, alert(3), channel="gone")
    outbox(store, phone=Told()).tidy()
    assert metrics.OUTBOX_DEPTH._value.get() == 3
    found = state(store, "g3/high/gone")
    assert (found["status"], found["error"]) == ("failed", "the channel is no longer configured")
    assert state(store, "g1/high/phone")["status"] == "pending"


def test_an_alert_that_expired_fails_its_message(store: Store) -> None:
    put(store, alert(1))
    store.delete(ALERTS, "a1")
    outbox(store, phone=Told()).deliver("phone", NOW)
    assert state(store, "g1/high/phone")["status"] == "failed"


def test_channels_run_side_by_side_and_keep_their_pace(store: Store) -> None:
    put(store, *(alert(number) for number in range(5)))
    put(store, *(alert(number) for number in range(5)), channel="slow")
    stuck = threading.Event()

    class Stuck(Common):
        def send(self, message: Message) -> None:
            stuck.wait(20)

    phone = Told(per_minute=3)
    stop = threading.Event()
    thread = threading.Thread(target=outbox(store, phone=phone, slow=Stuck()).run, args=(stop,))
    thread.start()
    for _ in range(100):
        if len(phone.messages) >= 3:
            break
        stop.wait(0.1)
    stop.wait(1.5)
    assert len(phone.messages) == 3
    stop.set()
    stuck.set()
    thread.join(15)
    assert not thread.is_alive()


@given(st.integers(1, 200), st.integers(1, 10**9), st.integers(0, 10**12))
def test_pauses_grow_and_are_bounded(attempts: int, first: int, more: int) -> None:
    longest = first + more
    pause = backoff(attempts, Span(first), Span(longest))
    ideal = min(longest, first * 2 ** (attempts - 1))
    assert ideal // 2 - 1 <= pause <= ideal


def test_an_entry_is_the_same_whoever_makes_it() -> None:
    first: tuple[str, dict[str, Any]] = entry(alert(1), "phone", NOW)
    assert first == entry(alert(1), "phone", NOW)
    assert first[0] == "g1/high/phone"
    assert first[1]["almena.outbox.key"] != entry(alert(1), "mail", NOW)[1]["almena.outbox.key"]
