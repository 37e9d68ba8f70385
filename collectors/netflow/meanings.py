"""What the values of flows mean together: times, counts and their sampling, protocols, what firewalls and NAT did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from almena.clock import format_time
from almena.event import Event
from collectors.netflow.values import Column, application_ids, directions, flags, names, transports

Columns: TypeAlias = dict[str, Column]
"""Values by field, of as many records each; `@...` are those that are made into fields."""

_ICMP = (1, 58)
_COUNTS = ("source.bytes", "source.packets", "destination.bytes", "destination.packets")
_AS_COUNTED = "almena.netflow.sampled."
_MASK, _HALF = 0xFFFFFFFF, 0x80000000
_HIGHEST_COUNT = (1 << 63) - 1
_LATEST = 7_000_000_000_000_000  # microseconds: what is beyond 2191 is no time, nor a length of time
_HIGHEST_RATE = 1 << 24  # one packet in more than that is no sampling

SURE = frozenset(
    ("network.iana_number", "network.transport", "network.type", "network.bytes", "network.packets", "event.type")
)
"""Columns that steps make and that have a value for every record."""

UNSURE = frozenset(("almena.netflow.icmp_type", "almena.netflow.icmp_code"))
"""Columns that steps make holes into."""


@dataclass(slots=True)
class Frame:
    """What is known of the datagram that records came in, and of who sent it."""

    common: Event
    """The fields that all its events have."""
    moment: int
    """When it was exported, microseconds since 1970 UTC."""
    uptime: int | None = None
    """Milliseconds since the exporter started, 32 bits."""
    boot: int = 0
    """When the exporter started, microseconds since 1970 UTC, if it said so otherwise."""
    rate: int = 1
    """One packet in so many was looked at, where records do not say."""
    scale: bool = True
    """Whether counts of sampled flows are multiplied."""
    rates: Mapping[int | None, int] = field(default_factory=dict)
    """The same by sampler."""
    applications: Mapping[bytes, str] = field(default_factory=dict)
    """Names by identifier."""
    interfaces: Mapping[int, str] = field(default_factory=dict)
    """Names by number."""
    swapped: list[int] = field(default_factory=list)
    """Rows whose source is their destination."""


Step: TypeAlias = Callable[[Columns, Frame], None]


def steps(there: set[str]) -> list[Step]:
    """What is to be done with records that have these fields, in order."""
    return [step for names_of, step in _STEPS if there.intersection(names_of)]


def put_types(columns: Columns, frame: Frame) -> None:
    """`network.type`, by the addresses."""
    ends = columns.get("source.ip") or columns.get("destination.ip") or ()
    columns["network.type"] = ["ipv6" if ":" in end else "ipv4" for end in ends]


def put_protocols(columns: Columns, frame: Frame) -> None:
    """`network.transport`; what only ICMP and TCP have goes where it is another protocol."""
    protocols = columns["network.iana_number"]
    columns["network.transport"] = transports(protocols)
    columns["network.iana_number"] = names(protocols)
    for name in ("@icmp", "almena.netflow.icmp_type", "almena.netflow.icmp_code"):
        if name in columns:
            both = zip(columns[name], protocols, strict=True)
            columns[name] = [value if protocol in _ICMP else None for value, protocol in both]


def put_icmp(columns: Columns, frame: Frame) -> None:
    """Type and code of what was exported as one number."""
    pairs = columns["@icmp"]
    columns.setdefault("almena.netflow.icmp_type", [None if pair is None else pair >> 8 & 0xFF for pair in pairs])
    columns.setdefault("almena.netflow.icmp_code", [None if pair is None else pair & 0xFF for pair in pairs])


def put_flags(columns: Columns, frame: Frame) -> None:
    """TCP flags by name."""
    columns["almena.netflow.tcp_flags"] = flags(columns["almena.netflow.tcp_control_bits"])


def put_times(columns: Columns, frame: Frame) -> None:
    """`event.start`, `event.end` and `event.duration` from whichever clock the exporter uses."""
    starts, ends = _moments(columns, frame, "@start"), _moments(columns, frame, "@end")
    spans = _spans(columns, starts, ends)
    if spans is not None and starts is None and ends is not None:
        starts = [_less(end, span) for end, span in zip(ends, spans, strict=True)]
    elif spans is not None and ends is None and starts is not None:
        ends = [_less(start, span and -span) for start, span in zip(starts, spans, strict=True)]
    if starts is not None:
        columns["event.start"] = [start and format_time(start) for start in starts]
    if ends is not None:
        columns["event.end"] = [end and format_time(end) for end in ends]
    if spans is not None:
        columns["event.duration"] = [
            span * 1_000 if span is not None and 0 <= span < _LATEST else None for span in spans
        ]


def _less(moment: int | None, span: int | None) -> int | None:
    return None if moment is None or span is None or not 0 < moment - span < _LATEST else moment - span


def _moments(columns: Columns, frame: Frame, which: str) -> Sequence[int | None] | None:
    """Microseconds since 1970 of a start or an end, or None where nothing says it."""
    found: Sequence[int] | None = columns.get(which)
    if found is None and (ticks := columns.get(which + ".uptime")) is not None:
        boots = columns.get("@boot")
        if frame.uptime is not None:  # 32 bits that begin again every seven weeks
            now, uptime = frame.moment, frame.uptime + _HALF
            found = [now + (((tick - uptime) & _MASK) - _HALF) * 1_000 for tick in ticks]
        elif boots is not None:
            found = [boot and boot + tick * 1_000 for boot, tick in zip(boots, ticks, strict=True)]
        elif frame.boot:
            found = [frame.boot + tick * 1_000 for tick in ticks]
    if found is None and (deltas := columns.get(which + ".delta")) is not None:
        found = [frame.moment - delta for delta in deltas]
    return None if found is None else [moment if 0 < moment < _LATEST else None for moment in found]


def _spans(
    columns: Columns, starts: Sequence[int | None] | None, ends: Sequence[int | None] | None
) -> Sequence[int | None] | None:
    """How long flows lasted, in microseconds."""
    if starts is not None and ends is not None:
        return [end - start if start and end else None for start, end in zip(starts, ends, strict=True)]
    if "@duration" in columns:
        return columns["@duration"]
    if "@duration.milliseconds" in columns:
        return [span * 1_000 for span in columns["@duration.milliseconds"]]
    first, last = columns.get("@start.uptime"), columns.get("@end.uptime")
    if first is not None and last is not None:
        return [((end - start) & _MASK) * 1_000 for start, end in zip(first, last, strict=True)]
    return None


def put_counts(columns: Columns, frame: Frame) -> None:
    """Bytes and packets both ways and in all; of sampled flows as many as they stand for."""
    for name in ("bytes", "packets"):
        if (initiator := columns.get("@initiator." + name)) is not None:
            columns.setdefault("source." + name, initiator)
            if (responder := columns.get("@responder." + name)) is not None:  # alone it is not what it should be
                columns.setdefault("destination." + name, responder)
    for name in _COUNTS:
        if (counted := columns.get(name)) is not None:
            columns[name] = _bounded(counted)
    rates = _rates(columns, frame)
    if isinstance(rates, list) or rates != 1:
        if frame.scale:
            _scale(columns, rates)
        some = next((columns[name] for name in _COUNTS if name in columns), ())
        columns["almena.netflow.sampling_rate"] = [rates] * len(some) if isinstance(rates, int) else rates
    for name in ("bytes", "packets"):
        there, back = columns.get("source." + name), columns.get("destination." + name)
        if there is not None and back is not None:
            columns["network." + name] = _bounded([one + other for one, other in zip(there, back, strict=True)])
        elif there is not None:
            columns["network." + name] = there


def _scale(columns: Columns, rates: int | list[int]) -> None:
    for name in _COUNTS:
        if (counted := columns.get(name)) is not None:
            columns[_AS_COUNTED + name.replace(".", "_")] = counted
            each = [rates] * len(counted) if isinstance(rates, int) else rates
            columns[name] = _bounded([count * rate for count, rate in zip(counted, each, strict=True)])


def _bounded(counts: Sequence[int]) -> Sequence[int]:
    """Counts that an event can carry; larger ones are nonsense."""
    return counts if max(counts, default=0) <= _HIGHEST_COUNT else [min(count, _HIGHEST_COUNT) for count in counts]


def _rates(columns: Columns, frame: Frame) -> int | list[int]:
    """How many packets each one stands for: one number, or one for each record where they differ."""
    if "@interval" in columns:
        rates = [rate_of(value) or frame.rate for value in columns["@interval"]]
    elif "@sampling.interval" in columns and "@sampling.space" in columns:
        both = zip(columns["@sampling.interval"], columns["@sampling.space"], strict=True)
        rates = [rate_of(one + more, one) or frame.rate for one, more in both]
    elif "@sampling.size" in columns and "@sampling.population" in columns:
        both = zip(columns["@sampling.size"], columns["@sampling.population"], strict=True)
        rates = [rate_of(all_of, some) or frame.rate for some, all_of in both]
    elif "@sampling.probability" in columns:
        rates = [rate_of(1, value) or frame.rate for value in columns["@sampling.probability"]]
    elif "@sampler" in columns and frame.rates:
        rates = [frame.rates.get(sampler, frame.rate) for sampler in columns["@sampler"]]
    else:
        return frame.rate
    return rates[0] if len(set(rates)) == 1 else rates


def rate_of(population: float, sample: float = 1) -> int:
    """Packets that one stands for; 0 when the numbers say nothing."""
    if not sample > 0 or not population >= sample or population > sample * _HIGHEST_RATE:
        return 0
    return round(population / sample)


def put_stations(columns: Columns, frame: Frame) -> None:
    """Ends of traffic through an access point: the station, and the point it is at; by direction, the station sends."""
    stations, points = columns.get("@station.mac"), columns.get("@station.point")
    places = columns.get("@station.ip")
    some = next(column for column in (stations, points, places) if column is not None)
    ways = columns.get("@direction", (0,) * len(some))
    for side, mine in (("source", 0), ("destination", 1)):
        if stations is not None:
            other = points or (None,) * len(some)
            macs = zip(ways, stations, other, strict=True)
            columns.setdefault(f"{side}.mac", [one if (way == 1) == mine else two for way, one, two in macs])
        if places is not None:
            both = zip(ways, places, strict=True)
            columns.setdefault(f"{side}.ip", [place if (way == 1) == mine else None for way, place in both])
    if places is not None:
        columns["network.type"] = ["ipv6" if ":" in place else "ipv4" for place in places]


def put_directions(columns: Columns, frame: Frame) -> None:
    """`network.direction`."""
    columns["network.direction"] = directions(columns["@direction"])


def put_applications(columns: Columns, frame: Frame) -> None:
    """An application's name, which the exporter told of its number before."""
    raw = columns["@application"]
    columns["almena.netflow.application_id"] = application_ids(raw)
    if frame.applications and "network.application" not in columns:
        columns["network.application"] = list(map(frame.applications.get, raw))


def put_interfaces(columns: Columns, frame: Frame) -> None:
    """Names of interfaces, which the exporter told of their numbers before."""
    if frame.interfaces:
        for way in ("ingress", "egress"):
            if (numbers := columns.get(f"observer.{way}.interface.id")) is not None:
                found = [frame.interfaces.get(int(number)) for number in numbers]
                columns[f"observer.{way}.interface.name"] = found


_Deed: TypeAlias = tuple[str, list[str], str | None]  # event.action, event.type, event.outcome
_PLAIN: _Deed = ("netflow_flow", ["connection"], None)
_FIREWALL: dict[int, _Deed] = {
    1: ("flow_created", ["connection", "start"], None),
    2: ("flow_deleted", ["connection", "end"], None),
    3: ("flow_denied", ["connection", "denied"], "failure"),
    4: ("flow_alert", ["connection", "info"], None),
    5: ("flow_updated", ["connection", "info"], None),
}
_NAT: dict[int, _Deed] = {
    1: ("nat_translation_create", ["connection", "start"], None),
    2: ("nat_translation_delete", ["connection", "end"], None),
    3: ("nat_addresses_exhausted", ["connection", "error"], "failure"),
    4: ("nat44_session_create", ["connection", "start"], None),
    5: ("nat44_session_delete", ["connection", "end"], None),
    6: ("nat64_session_create", ["connection", "start"], None),
    7: ("nat64_session_delete", ["connection", "end"], None),
    8: ("nat44_bib_create", ["connection", "start"], None),
    9: ("nat44_bib_delete", ["connection", "end"], None),
    10: ("nat64_bib_create", ["connection", "start"], None),
    11: ("nat64_bib_delete", ["connection", "end"], None),
    12: ("nat_ports_exhausted", ["connection", "error"], "failure"),
    13: ("nat_quota_exceeded", ["connection", "error"], "failure"),
    14: ("nat_address_binding_create", ["connection", "start"], None),
    15: ("nat_address_binding_delete", ["connection", "end"], None),
    16: ("nat_port_block_allocation", ["connection", "start"], None),
    17: ("nat_port_block_deallocation", ["connection", "end"], None),
    18: ("nat_threshold_reached", ["connection", "info"], None),
}


def put_deeds(columns: Columns, frame: Frame) -> None:
    """`event.action`, `.type` and `.outcome` of what a firewall or a translation of addresses did."""
    firewall, nat = columns.get("@firewall"), columns.get("@nat")
    some = firewall if firewall is not None else columns["@nat"]
    deeds = [_PLAIN] * len(some)
    for codes, known in ((nat, _NAT), (firewall, _FIREWALL)):
        if codes is not None:
            deeds = [known.get(code, before) for code, before in zip(codes, deeds, strict=True)]
    columns["event.action"] = [deed[0] for deed in deeds]
    columns["event.type"] = [deed[1] for deed in deeds]
    columns["event.outcome"] = [deed[2] for deed in deeds]


def put_turns(columns: Columns, frame: Frame) -> None:
    """Remember rows that were told from the other end (RFC 5103)."""
    frame.swapped = [row for row, way in enumerate(columns["@biflow"]) if way == 2]


def swap(events: Sequence[Event], rows: Sequence[int]) -> None:
    """Let source and destination of these events change places."""
    for row in rows:
        event: dict[str, Any] = events[row]
        ends = {name: event.pop(name) for name in list(event) if name.startswith(("source.", "destination."))}
        for name, value in ends.items():
            side, _, rest = name.partition(".")
            event[f"{'destination' if side == 'source' else 'source'}.{rest}"] = value


_TIMES = (
    *("@start", "@start.uptime", "@start.delta", "@end", "@end.uptime", "@end.delta"),
    *("@duration", "@duration.milliseconds"),
)
_INTERFACES = ("observer.ingress.interface.id", "observer.egress.interface.id")
_STEPS: tuple[tuple[Sequence[str], Step], ...] = (
    (("source.ip", "destination.ip"), put_types),
    (("network.iana_number",), put_protocols),
    (("@icmp",), put_icmp),
    (("almena.netflow.tcp_control_bits",), put_flags),
    (_TIMES, put_times),
    ((*_COUNTS, "@initiator.bytes", "@initiator.packets"), put_counts),
    (("@station.mac", "@station.ip", "@station.point"), put_stations),
    (("@direction",), put_directions),
    (("@application",), put_applications),
    (_INTERFACES, put_interfaces),
    (("@firewall", "@nat"), put_deeds),
    (("@biflow",), put_turns),
)
