from __future__ import annotations

import pytest

from almena.console.users import (
    check_password,
    create_token,
    create_user,
    ensure_admin,
    find_user,
    set_password,
    user_of_token,
    weakness,
)
from almena.errors import UsageError
from almena.store import ALL, USERS, Store

GOOD = "correcta bateria grapa"


def test_the_first_admin_gets_a_password_once(store: Store) -> None:
    password = ensure_admin(store)
    assert password is not None
    assert len(password) >= 20
    assert ensure_admin(store) is None
    admin = find_user(store, "admin")
    assert admin is not None
    assert admin.must_change
    assert admin.scope is ALL
    assert "admin" in admin.roles
    assert check_password(admin, password)


def test_no_admin_appears_where_there_is_somebody(store: Store) -> None:
    create_user(store, "ana", GOOD)
    assert ensure_admin(store) is None
    assert find_user(store, "admin") is None


def test_a_password_is_kept_salted_and_never_as_it_is(store: Store) -> None:
    create_user(store, "ana", GOOD)
    create_user(store, "eva", GOOD)
    kept = [str(store.get(USERS, name, scope=ALL).document) for name in ("ana", "eva")]  # type: ignore[union-attr]
    assert not any(GOOD in text for text in kept)
    ana, eva = find_user(store, "ana"), find_user(store, "eva")
    assert ana is not None
    assert eva is not None
    assert ana.password != eva.password
    assert check_password(ana, GOOD)
    assert not check_password(ana, GOOD + "s")
    assert not check_password(None, GOOD)


def test_somebody_without_agencies_sees_none(store: Store) -> None:
    create_user(store, "ana", GOOD)
    create_user(store, "eva", GOOD, agencies=("finanzas",))
    ana, eva = find_user(store, "ana"), find_user(store, "eva")
    assert ana is not None
    assert ana.scope == frozenset()
    assert eva is not None
    assert eva.scope == frozenset({"finanzas"})


@pytest.mark.parametrize("name", ["", "Ana", "a b", "../x", "a" * 65, "ñ", "a\x00"])
def test_names_that_cannot_be_are_refused(store: Store, name: str) -> None:
    with pytest.raises(UsageError, match="no user name"):
        create_user(store, name, GOOD)
    assert find_user(store, name) is None


def test_a_name_is_taken_once(store: Store) -> None:
    create_user(store, "ana", GOOD)
    with pytest.raises(UsageError, match="already a user 'ana'"):
        create_user(store, "ana", GOOD)
    with pytest.raises(UsageError, match="use admin, analyst"):
        create_user(store, "eva", GOOD, roles=("root",))


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("corta", "too short"),
        ("x" * 257, "too long"),
        ("abababababab", "too easy to guess"),
        ("mi clave es Ana.Ruiz", "too easy to guess"),
        (GOOD, ""),
    ],
)
def test_weak_passwords_are_named(password: str, why: str) -> None:
    assert weakness("ana.ruiz", password) == why


def test_a_new_password_replaces_the_old(store: Store) -> None:
    create_user(store, "ana", GOOD)
    with pytest.raises(UsageError, match="too short"):
        set_password(store, "ana", "corta")
    set_password(store, "ana", "otra frase bien larga")
    ana = find_user(store, "ana")
    assert ana is not None
    assert not ana.must_change
    assert check_password(ana, "otra frase bien larga")
    assert not check_password(ana, GOOD)
    with pytest.raises(UsageError, match="no user 'nadie'"):
        set_password(store, "nadie", GOOD)


def test_a_token_names_its_person_and_only_its_hash_is_kept(store: Store) -> None:
    create_user(store, "ana.ruiz", GOOD, must_change=False)
    create_user(store, "eva", GOOD, must_change=False)
    token, second = create_token(store, "ana.ruiz"), create_token(store, "ana.ruiz")
    for each in (token, second):
        found = user_of_token(store, each)
        assert found is not None
        assert found.name == "ana.ruiz"
    kept = store.get(USERS, "ana.ruiz", scope=ALL)
    assert kept is not None
    assert token not in str(kept.document)
    for wrong in (token[:-1], token + "x", token.replace("ana.ruiz", "eva"), "almena..", "", "x" * 10_000):
        assert user_of_token(store, wrong) is None


def test_a_disabled_account_is_nobody(store: Store) -> None:
    create_user(store, "ana", GOOD, must_change=False)
    token = create_token(store, "ana")
    found = store.get(USERS, "ana", scope=ALL)
    assert found is not None
    store.replace(USERS, "ana", found.document | {"almena.user.disabled": True}, found.version)
    assert find_user(store, "ana") is None
    assert user_of_token(store, token) is None
