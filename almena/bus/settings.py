"""How Almena reaches a Kafka cluster: names, rights and keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from almena.errors import ConfigError
from almena.secretfile import secret_in


@dataclass(kw_only=True)
class KafkaSettings:
    """How a bus `kafka://HOST:PORT,HOST:PORT` is reached; nothing of it counts for other buses."""

    prefix: str = "almena"
    """What the names of topics, groups and transactions begin with, so that installations can share a cluster."""
    replicas: int = 0
    """Copies of each partition of new topics; 0 means three, or as many as there are brokers."""
    user: str = ""
    """The user of SASL; none signs in where this is empty."""
    password: str = field(default="", repr=False)
    """The user's password; better kept in a file."""
    password_file: str = ""
    """The file that holds the password."""
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256"] = "SCRAM-SHA-512"
    """How the password is proved."""
    tls: bool = False
    """Whether connections are encrypted; the brokers' certificates and names are always checked."""
    ca: str = ""
    """File of the authority that signed the brokers' certificates; the system's authorities when empty."""
    certificate: str = ""
    """File of this process's own certificate, where brokers ask for one."""
    key: str = ""
    """File of the certificate's key."""

    def __post_init__(self) -> None:
        if self.password and self.password_file:
            raise ConfigError("give password or password_file, not both")
        if self.replicas < 0:
            raise ConfigError(f"replicas: {self.replicas} is less than 0")
        if not self.tls and (self.ca or self.certificate):
            raise ConfigError("ca and certificate say nothing without tls = true")

    def secret(self) -> str:
        """The password; raises ConfigError when its file cannot be read."""
        return secret_in(self.password, self.password_file, "password_file")


@dataclass(kw_only=True)
class SpoolSettings:
    """Where collectors keep what a bus on Kafka refuses: `<data>/spool.sqlite`, until it accepts again.

    When that is full, senders that wait for an answer are told to come back, files are read no further, and what
    datagrams then lose is counted.
    """

    megabytes: int = 1024
    """The most that waits there, compressed, 0 to 1000000; with 0 nothing is kept."""

    def __post_init__(self) -> None:
        if not 0 <= self.megabytes <= 1_000_000:
            raise ConfigError(f"megabytes: {self.megabytes} is not between 0 and 1000000")
