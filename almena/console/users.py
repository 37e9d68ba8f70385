"""People who may use the console: names, passwords, roles, agencies and API tokens, kept in the store."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from almena import clock
from almena.errors import Conflict, UsageError
from almena.store import ALL, USERS, Document, Query, Scope, Store, Versioned

ROLES = ("admin", "analyst")
"""What a person may be: an administrator, or an analyst who triages alerts."""

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_COST = (2**15, 8, 2)  # n, r, p of scrypt: 32 MB, about a tenth of a second
_TOKEN_PREFIX = "almena"  # noqa: S105 (a name, not a secret)


@dataclass(frozen=True)
class User:
    """A person as the console knows them; `scope` is what the store is asked with."""

    name: str
    roles: frozenset[str]
    scope: Scope
    must_change: bool
    """The password was given by somebody else: choose a new one before anything else."""
    disabled: bool
    password: str
    """The salted hash; a session opened under another one is worth nothing."""
    tokens: tuple[str, ...]


def user_of(document: Document) -> User:
    """The person a document of the kind `users` describes."""
    agencies = document.get("almena.user.agencies") or []
    return User(
        name=str(document["user.name"]),
        roles=frozenset(document.get("user.roles") or ()),
        scope=ALL if "*" in agencies else frozenset(agencies),
        must_change=bool(document.get("almena.user.must_change")),
        disabled=bool(document.get("almena.user.disabled")),
        password=str(document.get("almena.user.password") or ""),
        tokens=tuple(document.get("almena.user.tokens") or ()),
    )


def find_user(store: Store, name: str) -> User | None:
    """The person called `name`, or None when there is none or the account is disabled."""
    found = store.get(USERS, name, scope=ALL) if _NAME.fullmatch(name) else None
    user = user_of(found.document) if found else None
    return None if user is None or user.disabled else user


def create_user(
    store: Store,
    name: str,
    password: str,
    *,
    roles: Sequence[str] = ("analyst",),
    agencies: Sequence[str] = (),
    must_change: bool = True,
) -> None:
    """Create a person; `agencies` are ids, or `*` for all. Raises UsageError when that cannot be."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no user name: up to 64 of a-z, 0-9, '.', '_' and '-'")
    unknown = sorted(set(roles) - set(ROLES))
    if unknown or not roles:
        raise UsageError(f"roles {unknown or 'missing'}: use {', '.join(ROLES)}")
    problem = weakness(name, password)
    if problem:
        raise UsageError(f"the password of {name}: {problem}")
    time = clock.format_time(clock.now())
    document: Document = {
        "@timestamp": time,
        "user.name": name,
        "user.roles": sorted(set(roles)),
        "almena.user.agencies": sorted(set(agencies)),
        "almena.user.password": hash_password(password),
        "almena.user.password_changed": time,
        "almena.user.must_change": must_change,
        "almena.user.disabled": False,
        "almena.user.tokens": [],
    }
    if store.create_many(USERS, {name: document})[name] != "created":
        raise UsageError(f"there is already a user {name!r}")


def ensure_admin(store: Store) -> str | None:
    """Create `admin` when there is nobody at all, and return the one-time password; None when there is somebody."""
    if store.count(Query(kind=USERS, scope=ALL)) or store.get(USERS, "admin", scope=ALL):
        return None
    password = "-".join(secrets.token_hex(2) for _ in range(5))
    try:
        create_user(store, "admin", password, roles=("admin", "analyst"), agencies=("*",))
    except UsageError:
        return None  # another console was faster
    return password


def set_password(store: Store, name: str, password: str, *, must_change: bool = False) -> None:
    """Give `name` a password; every session of theirs ends. Raises UsageError when it is too weak."""
    problem = weakness(name, password)
    if problem:
        raise UsageError(f"the password of {name}: {problem}")
    found = _existing(store, name)
    change = {
        "almena.user.password": hash_password(password),
        "almena.user.password_changed": clock.format_time(clock.now()),
        "almena.user.must_change": must_change,
    }
    store.replace(USERS, name, found.document | change, found.version)


def weakness(name: str, password: str) -> str:
    """What is wrong with a password, in a few English words that the catalogue translates; empty when nothing."""
    if len(password) < SHORTEST_PASSWORD:
        return "too short"
    if len(password) > LONGEST_PASSWORD:
        return "too long"
    if name.lower() in password.lower() or len(set(password)) < 5:
        return "too easy to guess"
    return ""


def create_token(store: Store, name: str) -> str:
    """A new API token of `name`; only its hash is kept, so it is shown once."""
    token = f"{_TOKEN_PREFIX}.{name}.{secrets.token_urlsafe(32)}"
    for _ in range(5):
        found = _existing(store, name)
        tokens = [*(found.document.get("almena.user.tokens") or []), digest(token)]
        try:
            store.replace(USERS, name, found.document | {"almena.user.tokens": tokens}, found.version)
        except Conflict:
            continue
        return token
    raise Conflict(f"the user {name!r} keeps changing; try again")


def user_of_token(store: Store, token: str) -> User | None:
    """The person an API token belongs to."""
    prefix, _, rest = token.partition(".")
    name, _, _ = rest.rpartition(".")
    user = find_user(store, name) if prefix == _TOKEN_PREFIX and len(token) < 256 else None
    if user is None or user.must_change:
        return None
    presented = digest(token)
    return user if any([hmac.compare_digest(presented, kept) for kept in user.tokens]) else None  # noqa: C419 (all)


def digest(token: str) -> str:
    """What is kept of a random token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def hash_password(password: str) -> str:
    """`scrypt$n$r$p$salt$hash`, salted."""
    salt = secrets.token_bytes(16)
    return "$".join(["scrypt", *map(str, _COST), salt.hex(), _scrypt(password, salt, *_COST).hex()])


_NOBODY = "$".join(["scrypt", *map(str, _COST), "00" * 16, "00" * 32])


def check_password(user: User | None, password: str) -> bool:
    """Whether the password is right; takes as long for nobody as for somebody, about a tenth of a second."""
    _, n, r, p, salt, expected = (user.password if user else _NOBODY).split("$")
    found = _scrypt(password[:LONGEST_PASSWORD], bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, bytes.fromhex(expected)) and user is not None


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    data = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(data, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _existing(store: Store, name: str) -> Versioned:
    found = store.get(USERS, name, scope=ALL)
    if found is None:
        raise UsageError(f"there is no user {name!r}")
    return found
