"""Who is signed in: sessions in the store under the hash of their token, form tokens, and a limit on guessing."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from almena.clock import MINUTE, format_time, parse_time
from almena.console.users import User, digest, find_user
from almena.errors import Conflict
from almena.store import ALL, SESSIONS, Document, Store, Versioned

_TOUCH = MINUTE
"""How stale the time of last use may be: one write a minute, not one a page."""


@dataclass(frozen=True)
class Sessions:
    """Opens, finds and closes sessions; a stolen store gives no session away, it holds hashes only."""

    store: Store
    secret: bytes
    lifetime: int
    """Microseconds a session lasts at most."""
    idle: int
    """Microseconds it lasts without use."""
    clock: Callable[[], int]

    def open(self, user: User) -> str:
        """A new session, and the token for the cookie; sessions that are over are swept away."""
        token = secrets.token_urlsafe(32)
        now = self.clock()
        self.store.expire(SESSIONS, now)
        document: Document = {
            "@timestamp": format_time(now + self.lifetime),
            "user.name": user.name,
            "almena.session.created": format_time(now),
            "almena.session.seen": format_time(now),
            "almena.session.password": digest(user.password),
        }
        self.store.create_many(SESSIONS, {digest(token): document})
        return token

    def find(self, token: str, *, touch: bool) -> User | None:
        """Whose session it is, or None; `touch` when a person did something, not their screen by itself."""
        if not 20 <= len(token) <= 100:
            return None
        found = self.store.get(SESSIONS, digest(token), scope=ALL)
        if found is None:
            return None
        now = self.clock()
        created = parse_time(found.document["almena.session.created"])
        seen = parse_time(found.document["almena.session.seen"])
        user = find_user(self.store, str(found.document["user.name"]))
        over = now >= min(created + self.lifetime, seen + self.idle)
        if user is None or over or found.document["almena.session.password"] != digest(user.password):
            self.store.delete(SESSIONS, found.id)
            return None
        if touch and now - seen > _TOUCH:
            self._touch(found, now)
        return user

    def close(self, token: str) -> None:
        """End a session."""
        self.store.delete(SESSIONS, digest(token))

    def form_token(self, cookie: str) -> str:
        """What every form of this visitor carries: nobody can make it without the cookie and the secret."""
        return hmac.new(self.secret, b"form:" + cookie.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def form_token_fits(self, cookie: str, presented: str) -> bool:
        """Whether a form came from a page this visitor was shown."""
        expected = self.form_token(cookie)
        return bool(cookie) and hmac.compare_digest(expected.encode(), presented.encode("utf-8", "replace"))

    def _touch(self, found: Versioned, now: int) -> None:
        try:
            seen = {"almena.session.seen": format_time(now)}
            self.store.replace(SESSIONS, found.id, found.document | seen, found.version)
        except Conflict:
            return  # another page of the same person was faster


class Attempts:
    """Failed sign-ins, by address and by name, in a table of bounded size.

    A name is held back per address first, so that strangers cannot lock a person out from where that person works.
    """

    window = 15 * MINUTE
    limits = {"pair": 6, "address": 30, "name": 100}  # noqa: RUF012 (constant)
    size = 10_000

    def __init__(self, clock: Callable[[], int]) -> None:
        """Begin with nobody held back."""
        self._clock = clock
        self._failed: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()
        self._lock = Lock()

    def wait(self, address: str, name: str) -> int:
        """Seconds until this visitor may try again; 0 when now."""
        now = self._clock()
        longest = 0
        with self._lock:
            for key in self._keys(address, name):
                count, until = self._failed.get(key, (0, 0))
                if count >= self.limits[key[0]] and until > now:
                    longest = max(longest, until - now)
        return -(-longest // 1_000_000)

    def failed(self, address: str, name: str) -> None:
        """Count one failure."""
        now = self._clock()
        with self._lock:
            for key in self._keys(address, name):
                count, until = self._failed.pop(key, (0, 0))
                self._failed[key] = (count + 1 if until > now else 1, now + self.window)
            while len(self._failed) > self.size:
                self._failed.popitem(last=False)

    def succeeded(self, address: str, name: str) -> None:
        """Take back the attempt that was counted, and forget the failures of this name from this address."""
        pair, *others = self._keys(address, name)
        with self._lock:
            self._failed.pop(pair, None)
            for key in others:
                count, until = self._failed.get(key, (0, 0))
                if count:
                    self._failed[key] = (count - 1, until)

    def _keys(self, address: str, name: str) -> list[tuple[str, str]]:
        return [("pair", f"{address}\n{name[:64]}"), ("address", address), ("name", name[:64])]
