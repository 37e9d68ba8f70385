"""Flows that routers, switches and firewalls export over UDP: NetFlow 5, NetFlow 9 and IPFIX."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias

from almena import metrics
from almena.clock import MINUTE, SECOND, Span
from almena.errors import ConfigError, ParseError
from almena.event import encode
from collectors.base import Common, Raw, Sink, Source
from collectors.datagrams import Datagrams, Waiting, listening
from collectors.framing import Frame
from collectors.netflow.decoder import Datagram, Decoder
from collectors.netflow.memory import Limits
from collectors.parsers.common import address
from collectors.sockets import peer

log = logging.getLogger("almena.netflow")

_TOGETHER = 2_000  # records handed on at once, and some more
_FLOWS = 30  # in a datagram, roughly
_LAST_WORDS = 0.5  # seconds in which what waits is still read when the collector stops
_TOLD_EVERY = 60.0  # seconds between two lines in the log about numbers that are missing
_TOLD = 5  # exporters named there
_EXPIRE_EVERY = 10.0  # seconds

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(kw_only=True)
class Netflow(Common):
    """Flows as NetFlow 5, NetFlow 9 or IPFIX over UDP; each becomes an event of the dataset `network.flow`.

    Nobody can prove to be the exporter it says it is: name the `exporters`, and let no one else reach the port.
    """

    listen: str = "127.0.0.1:2055"
    """Address and port to listen on; exporters often use 2055, 4739 or 9995."""
    parser: str = "flow"
    """The parser its records go through; they are events already."""
    exporters: list[str] = field(default_factory=list)
    """Networks whose datagrams are read, such as `10.0.0.0/24`; others are counted as drops for `exporter`. Empty reads
    everybody's."""
    scale: bool = True
    """Whether bytes and packets of sampled flows are multiplied by the sampling rate; what was counted stays in
    `almena.netflow.sampled.*`, the rate in `almena.netflow.sampling_rate`."""
    sampling: int = 1
    """One packet in so many is looked at by exporters that do not say how they sample."""
    max_exporters: int = 1_024
    """Exporters remembered; when all of them speak, further ones are counted as drops for `exporters`."""
    max_templates: int = 8_192
    """Templates remembered of all exporters; beyond that the one unused longest goes."""
    max_templates_per_exporter: int = 512
    """Templates remembered of one exporter."""
    template_lifetime: Span = field(default_factory=lambda: Span(30 * MINUTE))
    """A template or exporter that nobody sent or used for so long is forgotten."""
    max_waiting: int = 16 << 20
    """Bytes of data that wait for their template, of all exporters; one may have a quarter of them."""
    patience: Span = field(default_factory=lambda: Span(5 * MINUTE))
    """How long data wait for their template; then each set of them is counted as a drop for `template`."""
    receive_buffer: int = 16 << 20
    """Bytes the kernel keeps while we are busy; the system may allow less."""
    backlog: int = 16 << 20
    """Bytes of datagrams that may wait in the process; when it is full, the exporter of which most waits loses its
    newest, counted as drops for `quota`."""
    address: str = field(default="", init=False)
    """Where it really listens, once it runs."""

    def sources(self, name: str) -> Iterable[Source]:
        """One source, named as the collector."""
        return [self.source(name)]

    async def run(self, name: str, sink: Sink) -> None:
        """Listen until cancelled."""
        where = f"collectors.{name}"
        networks = _networks(self.exporters, where)
        decoder = Decoder(self._limits(where), scale=self.scale, rate=self.sampling)
        source = replace(self.source(name), resent=False)
        with listening(self.listen, self.receive_buffer, where) as sock:
            self.address = peer(sock.getsockname())
            exports = _Exports(source, sink, sock, backlog=self.backlog, cut=lambda data: Frame(data, False))
            exports.begin(decoder, networks)
            await exports.run()

    def _limits(self, where: str) -> Limits:
        for option in ("sampling", "max_exporters", "max_templates", "max_templates_per_exporter", "max_waiting"):
            if getattr(self, option) < 1:
                raise ConfigError(f"{where}: {option}: {getattr(self, option)} is too few; write 1 or more")
        return Limits(
            exporters=self.max_exporters,
            templates=self.max_templates,
            templates_of_one=self.max_templates_per_exporter,
            waiting=self.max_waiting,
            patience=self.patience / SECOND,
            lifetime=self.template_lifetime / SECOND,
        )


class _Exports(Datagrams):
    """Datagrams as records: one for each flow."""

    def begin(self, decoder: Decoder, networks: list[Network]) -> None:
        """Read with this decoder what comes from these networks, or from everywhere when there is none."""
        self._decoder = decoder
        self._may_speak = _gate(networks)
        self._counted = dict.fromkeys(decoder.missing, 0)
        self._told = self._expired = time.monotonic()
        self._untold = 0

    def take(self, limit: int) -> list[Raw]:
        """Records of some of what waits."""
        records: list[Raw] = []
        while self.backlog and len(records) < _TOGETHER:
            for waiting in self.backlog.take(1 + (_TOGETHER - len(records)) // _FLOWS):
                records += self._records(waiting)
        return records

    def rest(self) -> list[Raw]:
        """Records of what waits, for as long as there is time at the end."""
        records: list[Raw] = []
        deadline = time.monotonic() + _LAST_WORDS
        while self.backlog and time.monotonic() < deadline:
            records += self.take(_TOGETHER)
        self.sink.dropped(self.source, "stopped", len(self.backlog.take(self.backlog.size)))
        return records

    def count(self) -> None:
        """Tell what is lost, and what exporters numbered and nobody received; forget what nobody uses."""
        super().count()
        memory, name = self._decoder.memory, self.source.name
        for reason, count in memory.lost.items():
            self.sink.dropped(self.source, reason, count)
        memory.lost.clear()
        for unit, total in self._decoder.missing.items():
            metrics.NETFLOW_MISSING.labels(name, unit).inc(total - self._counted[unit])
            self._untold += total - self._counted[unit]
        self._counted = dict(self._decoder.missing)
        metrics.NETFLOW_EXPORTERS.labels(name).set(len(memory))
        metrics.NETFLOW_TEMPLATES.labels(name).set(memory.templates)
        moment = time.monotonic()
        if moment - self._expired >= _EXPIRE_EVERY:
            self._expired = moment
            memory.expire(moment)
        if self._untold and moment - self._told >= _TOLD_EVERY:
            self._told, self._untold = moment, 0
            worst = sorted(self._decoder.gaps(), key=lambda gap: -gap.missing)[:_TOLD]
            gaps = ", ".join(f"{gap.missing} {gap.unit} of {gap.host} domain {gap.domain}" for gap in worst)
            log.warning("%s: exporters numbered what never came, most: %s", name, gaps)

    def _records(self, waiting: Waiting) -> list[Raw]:
        data, place, received = waiting
        if not self._may_speak(place[0]):
            self.sink.dropped(self.source, "exporter", 1)
            return []
        frames: list[Frame] = []
        host = address(place[0]) or place[0]
        try:
            for events in self._decoder.decode(Datagram(data, host, place[1], received, time.monotonic())):
                frames += [Frame(encode(event), False) for event in events]
        except ParseError as error:
            log.debug("%s: %s: %s", self.source.name, host, error)
            frames.append(Frame(data, False))  # no parser reads it: it becomes a dead letter
        return self.number(frames, place, received)


def _networks(written: Iterable[str], where: str) -> list[Network]:
    try:
        return [ipaddress.ip_network(network, strict=False) for network in written]
    except ValueError as error:
        raise ConfigError(f"{where}: exporters: {error}; write networks such as '10.0.0.0/24'") from None


def _gate(networks: list[Network]) -> Callable[[str], bool]:
    """Whether somebody at an address may speak."""
    if not networks:
        return lambda host: True

    @lru_cache(maxsize=4096)
    def may_speak(host: str) -> bool:
        found = ipaddress.ip_address(address(host) or host.partition("%")[0])
        return any(found in network for network in networks)

    return may_speak
