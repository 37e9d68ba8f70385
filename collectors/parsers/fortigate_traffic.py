"""FortiGate's records of traffic, most of what it writes, read by their shape: what moves here, the rest remembered."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from sys import intern

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers import pairs
from collectors.parsers.common import canonical, epoch, instant
from collectors.parsers.network import NO_ADDRESS, put_nat
from collectors.parsers.pair_shapes import Shapes

_ADDRESS, _PORT, _COUNT = "[0-9A-Fa-f.:]{2,45}+", "[0-9]{1,5}+", "[0-9]{1,15}+"
_MOVING = {
    "date": r'[^\s"]{1,16}+',
    "time": r'[^\s"]{1,20}+',
    "tz": r'[^\s"]{0,12}+',
    "eventtime": "[0-9]{10,19}+",
    "srcip": _ADDRESS,
    "srcport": _PORT,
    "dstip": _ADDRESS,
    "dstport": _PORT,
    "transip": _ADDRESS,
    "transport": _PORT,
    "tranip": _ADDRESS,
    "tranport": _PORT,
    "sentbyte": _COUNT,
    "rcvdbyte": _COUNT,
    "sentpkt": _COUNT,
    "rcvdpkt": _COUNT,
    "duration": "[0-9]{1,8}+",
    "sessionid": "[0-9]{1,19}+",
}
_SHAPES = Shapes(_MOVING, ' logid="', 18)
_ELSEWHERE = frozenset(("timestamp", "remip", "locip", "locport", "remport", "src_port", "remote_port", "dst_port"))
"""Keys by which the ends or the time of a record are found in another way."""

_REMEMBERED: dict[tuple[str, ...], tuple[Event, tuple[str, ...]]] = {}
_MOST = 8_192
_LONGEST = 2_048  # characters of a record of which something is remembered


def read(message: str, event: Event, context: Context, still: Callable[[dict[str, str], Event], None]) -> bool:
    """Read a record whose shape was learned; False for another. `still` reads what does not move."""
    if len(message) > _LONGEST:
        return False
    found = _SHAPES.read(message)
    if found is None:
        return False
    key, moving = found
    (date, clock, zone, stamp, source, port, destination, to, nat, nat_port, target, target_port, sent, received,
     sent_packets, received_packets, seconds, session) = moving  # fmt: skip
    here, there = canonical(source), canonical(destination)
    if here is None or there is None or not (date and clock and zone):
        return False
    event["@timestamp"] = local(date, clock, zone, context.zone)
    if stamp:
        event["event.start"] = f"{_second(stamp[:10])}.{stamp[10:16]}Z" if len(stamp) == 19 else start(stamp)
    event["source.address"], event["source.ip"] = source, here
    event["destination.address"], event["destination.ip"] = destination, there
    if port and 0 < (number := int(port)) < 65_536:
        event["source.port"] = number
    if to and 0 < (number := int(to)) < 65_536:
        event["destination.port"] = number
    if nat and (found_nat := canonical(nat)) is not None and found_nat not in NO_ADDRESS:
        event["source.nat.ip"] = found_nat
        if nat_port and 0 < (number := int(nat_port)) < 65_536:
            event["source.nat.port"] = number
    if target:
        put_nat(event, "destination", target, target_port)
    if sent:
        event["source.bytes"] = out = int(sent)
        if received:
            event["network.bytes"] = out + int(received)
    if received:
        event["destination.bytes"] = int(received)
    if sent_packets:
        event["source.packets"] = out = int(sent_packets)
        if received_packets:
            event["network.packets"] = out + int(received_packets)
    if received_packets:
        event["destination.packets"] = int(received_packets)
    if seconds:
        event["event.duration"] = int(seconds) * 1_000_000_000
    if session:
        event["almena.fortigate.session_id"] = session
    rest, lists = _REMEMBERED.get(key) or _remember(key, message, still)
    event |= rest
    for name in lists:
        event[name] = rest[name].copy()  # nobody gets hold of ours
    return True


def _remember(
    key: tuple[str, ...], message: str, still: Callable[[dict[str, str], Event], None]
) -> tuple[Event, tuple[str, ...]]:
    rest: Event = {}
    still(pairs.scan(message), rest)
    rest.pop("almena.fortigate.session_id", None)
    if len(_REMEMBERED) >= _MOST:
        _REMEMBERED.clear()
    # One copy of what many records say: less memory, and more of it near the processor.
    kept = {name: intern(value) if isinstance(value, str) else value for name, value in rest.items()}
    found = kept, tuple(name for name, value in rest.items() if isinstance(value, list))
    _REMEMBERED[tuple(map(intern, key))] = found
    return found


def learn(message: str, found: dict[str, str]) -> None:
    """Note the shape of a record of traffic that `read` did not read."""
    if "srcip" in found and "dstip" in found and len(message) <= _LONGEST and _ELSEWHERE.isdisjoint(found):
        _SHAPES.learn(message)


@lru_cache(maxsize=8_192)
def local(date: str, clock: str, zone: str, default: str) -> str:
    """The time of a record; its zone is such as `-0600`, `UTC-6:00` or `GMT+05:30`. Raises ParseError."""
    sign = max(zone.find("+"), zone.find("-"))
    digits = zone[sign + 1 :].replace(":", "") if sign >= 0 else ""
    offset = ""
    if 3 <= len(digits) <= 4 and digits.isascii() and digits.isdigit():
        offset = f"{zone[sign]}{digits[:-2]:0>2}:{digits[-2:]}"
    return format_time(instant(f"{date}T{clock}{offset}", default))


def start(stamp: str) -> str:
    """An instant in seconds or finer units, by the number of its digits."""
    if len(stamp) == 19:  # nanoseconds, too many for a float
        return f"{_second(stamp[:10])}.{stamp[10:16]}Z"
    return format_time(epoch(int(stamp)))


@lru_cache(maxsize=4_096)
def _second(seconds: str) -> str:
    return format_time(int(seconds) * 1_000_000)[:19]
