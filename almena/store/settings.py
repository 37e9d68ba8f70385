"""How Almena reaches Elasticsearch: names, rights, keys, and what is kept there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from almena.clock import DAY, Span
from almena.errors import ConfigError
from almena.secretfile import secret_in


@dataclass(kw_only=True)
class ElasticsearchSettings:
    """How a store `https://HOST:9200,HOST:9200` is reached; nothing of it counts for other stores."""

    prefix: str = "almena"
    """What the names of indices and templates begin with."""
    user: str = ""
    """The user of basic authentication."""
    password: str = field(default="", repr=False)
    """The user's password; better kept in a file."""
    password_file: str = ""
    """The file that holds the password."""
    api_key: str = field(default="", repr=False)
    """An API key (as Elasticsearch encodes it) instead of user and password; better kept in a file."""
    api_key_file: str = ""
    """The file that holds the API key."""
    ca: str = ""
    """File of the authority that signed the servers' certificates; the system's authorities when empty."""
    fingerprint: str = ""
    """SHA-256 of the authority's or server's certificate in hexadecimal: nobody else is talked to."""
    replicas: int = 1
    """Copies of each index beside itself; one server alone can hold none."""
    shards: int = 1
    """Shards of each new index."""

    def __post_init__(self) -> None:
        given = [bool(self.password), bool(self.password_file), bool(self.api_key), bool(self.api_key_file)]
        if sum(given) > 1:
            raise ConfigError("give one of password, password_file, api_key and api_key_file")
        if (self.password or self.password_file) and not self.user:
            raise ConfigError("a password needs a user")
        if self.replicas < 0 or self.shards < 1:
            raise ConfigError("replicas are 0 or more, shards 1 or more")
        if self.fingerprint and not re.fullmatch(r"[0-9a-fA-F:]{64,95}", self.fingerprint):
            raise ConfigError("fingerprint: expected 64 hexadecimal digits")
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,100}", self.prefix):
            raise ConfigError(f"prefix: {self.prefix!r}; small letters, digits, - and _ make a name of indices")

    def secret(self) -> tuple[str, str]:
        """The user and the password, or an empty user and the API key; raises ConfigError for files."""
        if self.api_key or self.api_key_file:
            return "", secret_in(self.api_key, self.api_key_file, "api_key_file")
        return self.user, secret_in(self.password, self.password_file, "password_file")


@dataclass(kw_only=True)
class EventSettings:
    """`[events]`: whether events themselves are kept in the store, to be searched beside the alerts."""

    keep: Span = field(default_factory=lambda: Span(0))
    """How long events are kept in the store, in whole days; `0s` keeps none. Elasticsearch only."""

    def __post_init__(self) -> None:
        if 0 < self.keep < DAY:
            raise ConfigError(f"keep: {self.keep} is shorter than a day")
