"""Who may post: one sender's options, and its secret from where it is kept."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path

from almena.errors import ConfigError
from collectors.base import Common, Source

_SHORTEST = 16


@dataclass(kw_only=True)
class Token(Common):
    """One sender that may post, and whose events these are: known by a secret, by a certificate, or by both."""

    parser: str = "ecs"
    """The parser its records go through."""
    token: str = field(default="", repr=False)
    """The secret it shows or signs with; better kept in a variable or a file."""
    token_env: str = ""
    """The environment variable that holds the secret."""
    token_file: str = ""
    """The file that holds the secret, readable by its owner only."""
    names: list[str] = field(default_factory=list)
    """Names of which its certificate must bear one, as common name or alternative name; with no secret, the
    certificate alone suffices. Needs `clients`."""
    anyone: bool = False
    """Whether events without any proof of who sent them are taken as this sender's, and marked so in
    `almena.source.unauthenticated`; then it has neither a secret nor names."""
    rate: int = 0
    """Most records a second, on average over ten seconds; beyond, it is asked to come back. 0 sets no bound."""

    def source(self, name: str) -> Source:
        """The source that its events belong to."""
        return replace(super().source(name), unauthenticated=self.anyone)


def secret_of(token: Token, where: str) -> str:
    """The secret from where it is kept, empty where there is none; raises ConfigError."""
    given = [text for text in (token.token, token.token_env, token.token_file) if text]
    if len(given) > 1 or not (given or token.names or token.anyone):
        raise ConfigError(f"{where}: give one of 'token', 'token_env' and 'token_file', or 'names' of certificates")
    if token.anyone and (given or token.names):
        raise ConfigError(f"{where}: who is 'anyone' has neither a secret nor 'names'")
    if token.rate < 0:
        raise ConfigError(f"{where}: rate: {token.rate} is no number of records; 0 sets no bound")
    if not given:
        return ""
    secret = token.token
    if token.token_env:
        secret = os.environ.get(token.token_env, "")
        where = f"{where}.token_env: {token.token_env}"
    elif token.token_file:
        where = f"{where}.token_file: {token.token_file}"
        secret = _read(token.token_file, where)
    if len(secret) < _SHORTEST:
        raise ConfigError(f"{where}: a token needs {_SHORTEST} characters or more; `openssl rand -hex 32` makes one")
    return secret


def _read(path: str, where: str) -> str:
    try:
        secret = Path(path).read_text("utf-8").strip()
        mode = stat.S_IMODE(Path(path).stat().st_mode)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: cannot be read: {error}") from None
    if mode & 0o077:
        raise ConfigError(f"{where}: others may read it (mode {mode:04o}); run `chmod 600 {path}`")
    return secret
