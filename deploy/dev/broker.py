"""Real Kafka brokers for development: one alone, or three that are a cluster; loopback only.

A broker on port P takes P (plaintext, everything allowed), P + 1 (TLS and SCRAM-SHA-512, what its ACLs allow) and P + 2
(controllers among themselves).
"""

from __future__ import annotations

import time
from pathlib import Path
from string import Template

from deploy.dev.jars import HERE, StackError, program
from deploy.dev.metadata import Metadata, ask
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
        """Whether it knows itself as a broker that may serve, and of a controller."""
        known = self.metadata()
        return known is not None and self.number in known.brokers and known.controller >= 0

    def metadata(self, topics: bool = False) -> Metadata | None:
        """What it knows of its cluster, with partitions if asked for; None when it does not answer."""
        return ask(self.port, topics) if self.alive() else None


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
        """Start those that do not run, together, and wait until the cluster is whole; raises StackError."""
        for broker in self.brokers:
            if not broker.alive():
                broker.launch()
        for broker in self.brokers:
            broker.wait()
        deadline = time.monotonic() + Broker.patience
        while not self.whole():
            if time.monotonic() > deadline:
                raise StackError(f"{self.address}: the brokers do not find each other; see their logs")
            time.sleep(0.1)

    def whole(self) -> bool:
        """Whether each broker knows all others, and every copy of every partition is up to date."""
        for broker in self.brokers:
            known = broker.metadata(topics=True)
            if known is None or len(known.brokers) < len(self.brokers):
                return False
            if any(each.insync != each.replicas or each.leader < 0 for each in known.partitions):
                return False
        return True

    def stop(self) -> None:
        """Stop all, one after the other, as one would with people connected."""
        for broker in self.brokers:
            # The last ones have no majority any more to say goodbye to, and would wait for one.
            broker.stop(seconds=3)

    def kill(self) -> None:
        """End all as a power failure of the site would."""
        for broker in self.brokers:
            broker.kill()


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
