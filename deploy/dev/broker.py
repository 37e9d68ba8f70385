"""Real Kafka brokers for development: one alone, or three that are a cluster; loopback only.

A broker on port P takes P (plaintext, everything allowed), P + 1 (TLS and SCRAM-SHA-512, what its ACLs allow) and P + 2
(controllers among themselves).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any

from deploy.dev.jars import HERE, StackError, program
from deploy.dev.server import Server
from deploy.dev.tls import Authority

CLUSTER = "YWxtZW5hLWRldi1jbHVzdA"
"""The identity that all brokers of a cluster are formatted with."""
PASSWORDS = {"admin": "admin-secret", "almena": "almena-secret", "stranger": "stranger-secret"}
"""Who may sign in: `admin` may do everything, the others what ACLs say; `admin` makes ACLs and further users."""
STEP = 3
"""Ports that one broker takes."""


class Broker(Server):
    """One broker, which is a controller too."""

    heap = "512m"

    @classmethod
    def make(cls, folder: Path, port: int, jvm: list[str] | None = None, tie: Path | None = None) -> Broker:
        """A new broker alone, not started yet."""
        _write(folder, 1, [port], Authority.make())
        return cls(folder, jvm, tie)

    @property
    def number(self) -> int:
        """Its `node.id`, as metadata name it."""
        return int((self.folder / "number").read_text("utf-8"))

    @property
    def address(self) -> str:
        """HOST:PORT of plaintext."""
        return f"127.0.0.1:{self.port}"

    @property
    def secure(self) -> str:
        """HOST:PORT of TLS and SCRAM-SHA-512; see `ca` and PASSWORDS."""
        return f"127.0.0.1:{self.port + 1}"

    @property
    def ca(self) -> Path:
        """The authority that signed the broker's certificate, as PEM."""
        return self.folder / "ca.pem"

    def command(self) -> list[str]:  # noqa: D102
        place = program("kafka")
        return ["-cp", f"{place}/classes:{place}/lib/*", "DevBroker", str(self.folder), CLUSTER]

    def answers(self) -> bool:
        """Whether it knows of itself as a registered broker and of a controller."""
        return self.number in self.registered()

    def registered(self) -> set[int]:
        """The numbers of the brokers that this one says may serve; none when it does not answer."""
        try:
            with admin(self.address) as client:
                found = client.describe_cluster()
        except StackError:
            return set()
        if found["controller_id"] < 0:
            return set()
        return {int(broker["broker_id"]) for broker in found["brokers"] if not broker["is_fenced"]}


class Cluster:
    """Three brokers: three copies of everything, two of which must be there for a write."""

    def __init__(self, brokers: list[Broker]) -> None:
        self.brokers = brokers

    @classmethod
    def make(
        cls, folder: Path, port: int, count: int = 3, jvm: list[str] | None = None, tie: Path | None = None
    ) -> Cluster:
        """New brokers `kafka-1`, `kafka-2`... under `folder`, STEP ports each from `port` on, not started yet."""
        authority = Authority.make()
        ports = [port + STEP * index for index in range(count)]
        folders = [folder / f"kafka-{number}" for number in range(1, count + 1)]
        for number, place in enumerate(folders, 1):
            _write(place, number, ports, authority)
        return cls([Broker(place, jvm, tie) for place in folders])

    @property
    def address(self) -> str:
        """HOST:PORT of every broker, with commas."""
        return ",".join(broker.address for broker in self.brokers)

    def broker(self, number: int) -> Broker:
        """The broker with that `node.id`, as metadata names leaders."""
        return self.brokers[number - 1]

    def start(self) -> None:
        """Start those that do not run, together, and wait until each knows all; raises StackError."""
        for broker in self.brokers:
            if not broker.alive():
                broker.launch()
        for broker in self.brokers:
            broker.wait()
        deadline = time.monotonic() + Broker.patience
        while any(len(broker.registered()) < len(self.brokers) for broker in self.brokers):
            if time.monotonic() > deadline:
                raise StackError(f"{self.address}: the brokers do not find each other; see their logs")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop all, one after the other, as one would with people connected."""
        for broker in self.brokers:
            # The last ones have no majority any more to say goodbye to.
            broker.stop(seconds=10)

    def kill(self) -> None:
        """End all as a power failure of the site would."""
        for broker in self.brokers:
            broker.kill()


@contextmanager
def admin(address: str, **options: Any) -> Iterator[Any]:
    """kafka-python's admin client for a short moment; raises StackError where no broker answers."""
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    options = {"bootstrap_timeout_ms": 1000, "request_timeout_ms": 5000, **options}
    try:
        client = KafkaAdminClient(bootstrap_servers=address.split(","), **options)
        try:
            yield client
        finally:
            client.close()
    except KafkaError as error:
        raise StackError(f"{address}: {error}") from error


def _write(folder: Path, number: int, ports: list[int], authority: Authority) -> None:
    """All that the start of broker `number` of a cluster on `ports` needs."""
    folder.mkdir(parents=True)
    port = ports[number - 1]
    template = Template((HERE / "kafka" / "server.properties").read_text("utf-8").partition("\n")[2])
    text = template.substitute(
        number=number,
        voters=",".join(f"{index}@127.0.0.1:{each + 2}" for index, each in enumerate(ports, 1)),
        plain=port,
        secure=port + 1,
        controller=port + 2,
        folder=folder,
        copies=len(ports),
        insync=max(1, len(ports) - 1),
    )
    users = [f"SCRAM-SHA-512=[name={user},password={password}]" for user, password in PASSWORDS.items()]
    (folder / "server.properties").write_text(text, "utf-8")
    (folder / "users").write_text("\n".join(users), "utf-8")
    (folder / "number").write_text(str(number), "utf-8")
    (folder / "port").write_text(str(port), "utf-8")
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "server.pem").write_bytes(authority.issue())
