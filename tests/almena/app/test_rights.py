"""The lists of rights against a real broker: each role works with its own, and does nothing beyond."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from servers import SecureKafka, admin

from almena.app import member
from almena.app.checking import Finding
from almena.app.checking_kafka import check_kafka
from almena.app.rights import ADMINISTRATOR, PROBE, Right, needed, rights, script, table
from almena.bus import ALERTS, DEAD, EVENTS, HITS, LEDGER, TOPICS, Bus, Position, Record, Step, open_bus
from almena.bus.settings import KafkaSettings
from almena.config import Config
from almena.errors import BusError
from almena.traffic import READERS, traffic

PASSWORD = secrets.token_hex(8)
ROLES = ("collect", "detect", "correlate", "desk", "console")


class Place:
    """A prefix on the broker, with topics, and a user whose rights the test sets."""

    def __init__(self, broker: SecureKafka) -> None:
        self.broker = broker
        self.prefix = f"rights{secrets.token_hex(4)}"
        self.user = self.prefix  # of this process alone: others change the rights of theirs meanwhile
        self.add_user()
        with closing(self.bus("anybody", secure=False)) as bus:
            for topic in (*TOPICS, PROBE):
                bus.partitions(topic)
            for topic, group in READERS.items():
                bus.session(topic, group=group, member="nobody").close()
            bus.session(EVENTS, group="archive", member="nobody").close()
            bus.append_all({topic: [Record("a", b"{}", partition=0)] for topic in TOPICS})

    def add_user(self) -> None:
        """Let the broker know the user."""
        from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

        with admin(self.broker.plain) as client:
            client.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(self.user, ScramMechanism.SCRAM_SHA_512, PASSWORD)]
            )
        time.sleep(0.3)

    def settings(self) -> KafkaSettings:
        broker = self.broker
        return KafkaSettings(prefix=self.prefix, user=self.user, password=PASSWORD, tls=True, ca=str(broker.ca))

    def config(self) -> Config:
        return Config(bus=f"kafka://{self.broker_address}", partitions=2, kafka=self.settings())

    @property
    def broker_address(self) -> str:
        return self.broker.address

    def bus(self, name: str, *, secure: bool = True) -> Bus:
        if secure:
            return open_bus(f"kafka://{self.broker_address}", partitions=2, name=name, kafka=self.settings())
        return open_bus(
            f"kafka://{self.broker.plain}", partitions=2, name=name, kafka=KafkaSettings(prefix=self.prefix)
        )

    def allowed(self) -> dict[str, set[str]]:
        """What the broker says that the user may do, by topic."""
        with admin(self.broker.address, **self.broker.options(self.user, PASSWORD)) as client:
            found = client.describe_topics()
        start = f"{self.prefix}."
        return {
            each["name"].removeprefix(start): set(each["authorized_operations"])
            for each in found
            if each["name"].startswith(start)
        }

    def acls(self, wanted: Sequence[Right]) -> list[Any]:
        from kafka.admin import (
            ACL,
            ACLOperation,
            ACLPermissionType,
            ACLResourcePatternType,
            ResourcePattern,
            ResourceType,
        )

        kinds = {
            "topic": ResourceType.TOPIC,
            "group": ResourceType.GROUP,
            "transactional-id": ResourceType.TRANSACTIONAL_ID,
        }
        return [
            ACL(
                f"User:{self.user}",
                "*",
                ACLOperation[_snake(operation)],
                ACLPermissionType.ALLOW,
                ResourcePattern(
                    kinds[right.kind], f"{self.prefix}.{right.name}", ACLResourcePatternType[right.pattern.upper()]
                ),
            )
            for right in wanted
            for operation in right.operations
        ]

    def allow(self, wanted: Sequence[Right]) -> None:
        """Give these rights and no others."""
        from kafka.admin import (
            ACLFilter,
            ACLOperation,
            ACLPermissionType,
            ACLResourcePatternType,
            ResourcePatternFilter,
            ResourceType,
        )

        anything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        everything = ACLFilter(f"User:{self.user}", None, ACLOperation.ANY, ACLPermissionType.ANY, anything)
        with admin(self.broker.plain) as client:
            client.delete_acls([everything])
            client.create_acls(self.acls(wanted))
        time.sleep(0.3)  # a broker takes them up from its controller's log


def _snake(name: str) -> str:
    return "".join(f"_{char}" if char.isupper() and at else char for at, char in enumerate(name)).upper()


@pytest.fixture(scope="module")
def place(kafka_secure: SecureKafka) -> Iterator[Place]:
    found = Place(kafka_secure)
    yield found
    found.allow([])


def step_of(bus: Bus, role: str, topic: str, outputs: dict[str, list[Record]]) -> None:
    """Poll, restore and commit as the role does."""
    session = bus.session(topic, group=role, member="m1")
    try:
        deadline = time.monotonic() + 20
        while True:
            batch = session.poll(10, 0.5)
            for partition in batch.gained:
                session.restore(partition)
            if batch.records:
                break
            assert time.monotonic() < deadline, "nothing was read"
        steps = {
            partition: Step(found[-1].offset + 1, outputs, {"key": b"state"})
            for partition, found in batch.records.items()
        }
        session.commit(steps)
    finally:
        session.close()


def collect(bus: Bus) -> None:
    one = [Record("a", b"{}")]
    bus.append_all({EVENTS: one, DEAD: one, LEDGER: one})


def detect(bus: Bus) -> None:
    one = [Record("a", b"{}")]
    bus.append_all({HITS: one, LEDGER: one})
    step_of(bus, "detect", EVENTS, {HITS: one, ALERTS: one, DEAD: one, LEDGER: one})


def correlate(bus: Bus) -> None:
    one = [Record("a", b"{}")]
    bus.append(LEDGER, one)
    assert bus.read(Position(EVENTS, 0, 0))
    step_of(bus, "correlate", HITS, {ALERTS: one, DEAD: one, LEDGER: one})


def desk(bus: Bus) -> None:
    for topic in (ALERTS, DEAD, LEDGER):
        step_of(bus, "desk", topic, {DEAD: [Record("a", b"{}")]} if topic == LEDGER else {})
    step_of(bus, "archive", EVENTS, {})


def console(bus: Bus) -> None:
    found = traffic(bus)
    assert not found.error
    assert set(found.lag) == set(TOPICS)
    assert bus.snapshot(HITS, "correlate", 0).position >= 0


WORK: dict[str, Callable[[Bus], None]] = {
    "collect": collect, "detect": detect, "correlate": correlate, "desk": desk, "console": console,
}  # fmt: skip


def wrongs(place: Place, role: str) -> list[Finding]:
    return [found for found in check_kafka(place.config(), create=False, role=role) if found.level == "wrong"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_works_with_its_list_and_is_refused_beyond(place: Place, role: str) -> None:
    mine = needed(role)
    place.allow(mine)
    with closing(place.bus(member(role, "m1"))) as bus:
        for topic in TOPICS:
            assert bus.partitions(topic) == 2
        WORK[role](bus)
    expected: dict[str, set[str]] = {}
    for right in mine:
        if right.kind == "topic":
            operations = {operation.upper() for operation in right.operations} | {"DESCRIBE"}
            expected.setdefault(right.name, set()).update(operations)
    assert place.allowed() == expected, "what the broker itself says that this user may do"
    if not any(right.name.startswith("append.") for right in mine):
        with closing(place.bus(member(role, "m1"))) as bus, pytest.raises(BusError):
            bus.append(DEAD, [Record("a", b"{}")])
    assert wrongs(place, role) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("role", ["collect", "correlate"])
def test_a_right_that_is_missing_is_named(place: Place, role: str) -> None:
    mine = needed(role)
    kinds = {(right.kind, right.operations): right for right in mine if "Describe" not in right.operations}
    for gone in kinds.values():
        operation = gone.operations[-1]
        rest = [right for right in mine if right is not gone]
        less = tuple(name for name in gone.operations if name != operation) or ("Describe",)
        place.allow([*rest, Right(gone.role, gone.kind, gone.name, gone.pattern, less)])
        named = [found for found in wrongs(place, role) if found.code == "right_missing"]
        where = f"{gone.kind} {place.prefix}.{gone.name}"
        assert [found.values["where"].rstrip("*") for found in named] == [where]
        assert operation in named[0].values["operations"]


@pytest.mark.timeout(60)
def test_the_administrator_makes_topics_and_a_role_does_not(kafka_secure: SecureKafka) -> None:
    place = Place.__new__(Place)
    place.broker, place.prefix = kafka_secure, f"rights{secrets.token_hex(4)}"
    place.user = place.prefix
    place.add_user()
    place.allow(needed("collect"))
    said = list(check_kafka(place.config(), create=True, role="collect"))
    assert "kafka_not_made" in [found.code for found in said if found.level == "wrong"]
    place.allow(needed(ADMINISTRATOR))
    said = list(check_kafka(place.config(), create=True, role=ADMINISTRATOR))
    assert [found for found in said if found.level == "wrong"] == []
    assert "kafka_made" in [found.code for found in said]
    place.allow([])


def test_the_script_gives_what_the_table_says(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    assert (root / "deploy" / "kafka" / "acls.tsv").read_text() == table(), "run `make docs`"
    file = root / "deploy" / "kafka" / "acls.sh"
    assert file.read_text() == script(), "run `make docs`"
    tool = tmp_path / "kafka-acls"
    tool.write_text('#!/bin/sh\necho "$@"\n')
    tool.chmod(0o755)
    environment = {"AT": "--bootstrap-server k1:9093", "KAFKA_ACLS": str(tool), "PREFIX": "x", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(["sh", file], env=environment, capture_output=True, text=True, check=True)
    called = ran.stdout.splitlines()
    assert len(called) == len(rights()) == len(table().splitlines()) - 1
    for line, right in zip(called, rights(), strict=True):
        operations = " ".join(f"--operation {name}" for name in right.operations)
        assert line == (
            f"--bootstrap-server k1:9093 --add --allow-principal User:almena-{right.role} {operations} "
            f"--{right.kind} x.{right.name} --resource-pattern-type {right.pattern}"
        )
    assert subprocess.run(["sh", file], env={"PATH": "/usr/bin:/bin"}, capture_output=True).returncode


def test_nobody_but_the_administrator_makes_or_removes() -> None:
    for right in rights():
        if right.role != ADMINISTRATOR:
            assert set(right.operations) <= {"Read", "Write", "Describe"}, right
            assert right.pattern == "literal" or right.kind == "transactional-id", right
