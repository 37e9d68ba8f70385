from __future__ import annotations

import pytest

from almena.clock import HOUR, MINUTE, SECOND, now
from almena.console.sessions import Attempts, Sessions
from almena.console.users import User, create_user, digest, find_user, set_password
from almena.store import ALL, SESSIONS, Query, Store

GOOD = "correcta bateria grapa"


@pytest.fixture
def ana(store: Store) -> User:
    create_user(store, "ana", GOOD)
    user = find_user(store, "ana")
    assert user is not None
    return user


class Clock:
    def __init__(self) -> None:
        self.time = now() + SECOND

    def __call__(self) -> int:
        return self.time


def sessions(store: Store, clock: Clock) -> Sessions:
    return Sessions(store, b"k" * 32, 12 * HOUR, 60 * MINUTE, clock)


def test_a_session_is_found_by_its_token_and_kept_as_a_hash(store: Store, ana: User) -> None:
    kept = sessions(store, Clock())
    token = kept.open(ana)
    found = kept.find(token, touch=True)
    assert found is not None
    assert found.name == "ana"
    assert store.get(SESSIONS, token, scope=ALL) is None
    document = store.get(SESSIONS, digest(token), scope=ALL)
    assert document is not None
    assert token not in str(document.document)
    for wrong in ("", "x", token[:-1] + "_", token + "a", "x" * 5_000):
        assert kept.find(wrong, touch=True) is None


def test_a_session_ends_after_a_shift_however_busy(store: Store, ana: User) -> None:
    clock = Clock()
    kept = sessions(store, clock)
    token = kept.open(ana)
    for _ in range(23):
        clock.time += 30 * MINUTE
        assert kept.find(token, touch=True) is not None
    clock.time += 30 * MINUTE
    assert kept.find(token, touch=True) is None
    assert store.get(SESSIONS, digest(token), scope=ALL) is None


def test_sessions_that_are_over_are_swept_away(store: Store, ana: User) -> None:
    clock = Clock()
    kept = sessions(store, clock)
    for _ in range(3):
        kept.open(ana)
    clock.time += 13 * HOUR
    kept.open(ana)
    assert store.count(Query(kind=SESSIONS, scope=ALL)) == 1


def test_an_idle_session_ends_and_a_live_screen_does_not_keep_it(store: Store, ana: User) -> None:
    clock = Clock()
    kept = sessions(store, clock)
    token = kept.open(ana)
    for _ in range(11):
        clock.time += 5 * MINUTE
        assert kept.find(token, touch=False) is not None
    clock.time += 6 * MINUTE
    assert kept.find(token, touch=False) is None


def test_a_new_password_ends_every_session(store: Store, ana: User) -> None:
    clock = Clock()
    clock.time = now()
    kept = sessions(store, clock)
    token = kept.open(ana)
    set_password(store, "ana", "otra frase bien larga")
    assert kept.find(token, touch=True) is None


def test_signing_out_ends_this_session_alone(store: Store, ana: User) -> None:
    kept = sessions(store, Clock())
    first, second = kept.open(ana), kept.open(ana)
    kept.close(first)
    assert kept.find(first, touch=True) is None
    assert kept.find(second, touch=True) is not None


def test_form_tokens_belong_to_one_cookie_and_one_secret(store: Store) -> None:
    kept = sessions(store, Clock())
    token = kept.form_token("galleta")
    assert kept.form_token_fits("galleta", token)
    assert not kept.form_token_fits("otra", token)
    assert not kept.form_token_fits("galleta", token[:-1] + "é")
    assert not kept.form_token_fits("", kept.form_token(""))
    assert Sessions(store, b"z" * 32, 1, 1, now).form_token("galleta") != token


def test_guessing_is_held_back_and_then_allowed_again() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(6):
        assert attempts.wait("10.0.0.1", "ana") == 0
        attempts.failed("10.0.0.1", "ana")
    assert 0 < attempts.wait("10.0.0.1", "ana") <= 900
    assert attempts.wait("10.0.0.2", "ana") == 0, "strangers must not lock a person out from elsewhere"
    assert attempts.wait("10.0.0.1", "eva") == 0
    clock.time += 15 * MINUTE
    assert attempts.wait("10.0.0.1", "ana") == 0


def test_one_address_cannot_try_many_names() -> None:
    attempts = Attempts(Clock())
    for number in range(30):
        attempts.failed("10.0.0.1", f"u{number}")
    assert attempts.wait("10.0.0.1", "somebody else") > 0


def test_many_addresses_cannot_try_one_name_for_ever() -> None:
    attempts = Attempts(Clock())
    for number in range(100):
        attempts.failed(f"10.0.{number}.1", "ana")
    assert attempts.wait("192.0.2.1", "ana") > 0


def test_people_who_sign_in_hold_nobody_back() -> None:
    attempts = Attempts(Clock())
    for number in range(200):
        attempts.failed("10.0.0.1", f"u{number}")
        attempts.succeeded("10.0.0.1", f"u{number}")
    assert attempts.wait("10.0.0.1", "ana") == 0


def test_the_table_of_failures_is_bounded() -> None:
    attempts = Attempts(Clock())
    attempts.size = 50
    for number in range(1_000):
        attempts.failed(f"10.{number // 250}.{number % 250}.1", "n" * number)
    assert len(attempts._failed) <= 50
