"""A Kafka topic of somebody else's: every record once, as a member of a group of its own."""

from __future__ import annotations

import asyncio
import io
import itertools
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from almena.bus.settings import KafkaSettings
from almena.clock import now
from almena.errors import ConfigError
from collectors import jsonarray
from collectors.base import Common, Raw, Sink, Source

if TYPE_CHECKING:
    from collectors.topicmember import Place

log = logging.getLogger("almena.collect")

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds before a cluster that failed is tried again
_EACH = 1_000_000  # records that one value may be
_HEAD = 4_096  # bytes by which an array is known
_TELL_EVERY = 60.0  # seconds between two complaints


@dataclass(kw_only=True)
class Topic(Common):
    """Topics of a Kafka cluster that others write to; several collectors with one group share their partitions.

    The group's position moves only when the records are durable. A value that is an array, or one as clouds wrap it
    (`{"records": [...]}`), is a record for each element. A record's number is its offset times a million, and its place
    among the elements.
    """

    parser: str = "ecs"
    """The parser its values go through."""
    brokers: list[str]
    """Brokers of that cluster, each as `HOST:PORT`; some suffice, the others are found."""
    topics: list[str]
    """Topics to read."""
    group: str = ""
    """The group that keeps the positions; `almena-<name>` when empty."""
    start: Literal["beginning", "end"] = "beginning"
    """Where to begin in partitions of which the group has no position."""
    max_value: int = 1 << 20
    """Longest value in bytes; a longer one is cut there and flagged."""
    user: str = ""
    """The user of SASL; none signs in where this is empty."""
    password: str = field(default="", repr=False)
    """The user's password; better kept in a file."""
    password_file: str = ""
    """The file that holds the password."""
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    """How the password is proved; `PLAIN` sends it, so it needs `tls`."""
    tls: bool = False
    """Whether connections are encrypted; the brokers' certificates and names are always checked."""
    ca: str = ""
    """File of the authority that signed the brokers' certificates; the system's authorities when empty."""
    certificate: str = ""
    """File of the collector's own certificate, where brokers ask for one."""
    key: str = ""
    """File of the certificate's key."""

    def __post_init__(self) -> None:
        if not self.brokers or not self.topics:
            raise ConfigError("brokers and topics: name at least one of each")
        if self.mechanism == "PLAIN" and self.user and not self.tls:
            raise ConfigError("mechanism: PLAIN sends the password as it is; set tls = true, or use SCRAM-SHA-512")
        if self.max_value < 1:
            raise ConfigError(f"max_value: {self.max_value} lets nothing in; it must be 1 or more")
        self._settings()

    def sources(self, name: str) -> Iterable[Source]:
        """One source, named as the collector."""
        return [self.source(name)]

    async def run(self, name: str, sink: Sink) -> None:
        """Read until cancelled, and again whenever the cluster failed."""
        from collectors.topicmember import Unreachable  # kafka-python takes a while to load

        source = self.source(name)
        configs = self.configs(name)
        wait, told = _FIRST_WAIT, -_TELL_EVERY
        while True:
            began = time.monotonic()
            try:
                await self._read(source, sink, configs)
            except Unreachable as error:
                if time.monotonic() - told >= _TELL_EVERY:
                    told = time.monotonic()
                    log.error("%s: %s; tried again until it works", source.name, error)
            wait = _FIRST_WAIT if time.monotonic() - began > _LONGEST_WAIT else min(2 * wait, _LONGEST_WAIT)
            await asyncio.sleep(wait)

    def configs(self, name: str) -> dict[str, Any]:
        """kafka-python's options; raises ConfigError when a file cannot be used."""
        from almena.bus.kafka_python_net import options

        return options(self.brokers, self._settings(), "almena") | {
            "group_id": self.group or f"almena-{name}",
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "isolation_level": "read_committed",
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            "metadata_max_age_ms": 60_000,
            "max_partition_fetch_bytes": 4 << 20,
            "fetch_max_bytes": 32 << 20,
            "session_timeout_ms": 10_000,
            "heartbeat_interval_ms": 3_000,
        }

    def _settings(self) -> KafkaSettings:
        return KafkaSettings(
            user=self.user,
            password=self.password,
            password_file=self.password_file,
            mechanism=self.mechanism,  # type: ignore[arg-type]
            tls=self.tls,
            ca=self.ca,
            certificate=self.certificate,
            key=self.key,
        )

    async def _read(self, source: Source, sink: Sink, configs: Mapping[str, Any]) -> None:
        from collectors.topicmember import Member

        member = Member(configs, self.topics, self.start)
        try:
            while True:
                found = await asyncio.to_thread(member.poll)
                for reason, count in member.lost.items():
                    sink.dropped(source, reason, count)
                member.lost.clear()
                if found:
                    await self._append(source, sink, found)
                    await asyncio.to_thread(member.commit, found)
        finally:
            await asyncio.shield(asyncio.to_thread(member.close))

    async def _append(self, source: Source, sink: Sink, found: Mapping[Any, Sequence[Any]]) -> None:
        received = now()
        records = []
        for place, rows in found.items():
            valued = [row for row in rows if row.value is not None]
            sink.dropped(source, "no value", len(rows) - len(valued))
            for row in valued:
                records += self._records(place, row, received)
        if records:
            await sink.append(source, records)

    def _records(self, place: Place, row: Any, received: int) -> list[Raw]:
        value = row.value[: self.max_value]
        parts = _elements(value) if jsonarray.begins(value[:_HEAD]) else []
        parts = parts or [value]
        return [
            Raw(
                data=part,
                lane=place.lane,
                seq=row.offset * _EACH + index,
                received=received,
                origin=f"{place.topic}/{place.partition}",
                place=row.offset,
                truncated=len(row.value) > self.max_value and index == len(parts) - 1,
            )
            for index, part in enumerate(parts)
        ]


def _elements(value: bytes) -> list[bytes]:
    """The elements of an array; none where there are more than a value may have, which is no record then."""
    found = [part for _, _, part in itertools.islice(jsonarray.elements(io.BytesIO(value), len(value)), _EACH + 1)]
    return found if len(found) <= _EACH else []
