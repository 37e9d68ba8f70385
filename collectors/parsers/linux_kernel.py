"""What the Linux kernel says that matters for security: memory that ran out, devices that were plugged in, faults.

kernel: [812.345678] Out of memory: Killed process 811 (mysqld) total-vm:812kB, anon-rss:400kB, ... UID:112 ...
kernel: usb 1-2: New USB device found, idVendor=0781, idProduct=5567, bcdDevice= 1.00
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers.format import Format
from collectors.parsers.network import put_end, put_port

_STAMP = re.compile(r"\[ {0,8}\d{1,12}\.\d{1,9}\] ?", re.ASCII)
_KILLED = re.compile(
    r"(?:Out of memory|Memory cgroup out of memory)?:? ?Kill(?:ed)? process (\d{1,10}),? \(?([^)\s,]{1,64})\)?"
    r"(?:.{0,512}?\bUID:(\d{1,10}))?",
    re.ASCII,
)
_USB = re.compile(
    r"usb (\S{1,32}): (?:New USB device found, idVendor=([0-9a-f]{4}), idProduct=([0-9a-f]{4})|(USB disconnect)|"
    r"(Product|Manufacturer|SerialNumber): (.{1,256}))",
    re.ASCII,
)
_FAULT = re.compile(r"(?:traps: )?([^\s\[]{1,64})\[(\d{1,10})\]:? (?:segfault|general protection|trap )", re.ASCII)
_PROMISCUOUS = re.compile(r"(?:device )?(\S{1,64}?):? (entered|left) promiscuous mode", re.ASCII)
_MODULE = re.compile(r"(\w{1,64}): (?:loading out-of-tree module|module verification failed|module license)", re.ASCII)
_MARTIAN = re.compile(r"(?:IPv4: )?martian source (\S{2,45}) from (\S{2,45}), on dev (\S{1,64})", re.ASCII)
_FLOOD = re.compile(r"(?:TCP: )?(?:\w{1,64}: )?[Pp]ossible SYN flooding on port (?:\S{1,64}:)?(\d{1,5})\.", re.ASCII)
_FULL = re.compile(r"(?:nf|ip)_conntrack: (?:\S{1,64}: )?table full, dropping packet", re.ASCII)
_PRODUCTS = {
    "Product": "device.product.name",
    "Manufacturer": "device.manufacturer",
    "SerialNumber": "device.serial_number",
}


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of the kernel into the event; False when it says nothing of these."""
    stamp = _STAMP.match(message)
    rest = message[stamp.end() :] if stamp is not None else message
    if not any(reader(rest, event) for reader in (_memory, _usb, _fault, _network, _others)):
        return False
    event["process.name"] = "kernel"
    return True


def _say(event: Event, action: str, category: str, kind: str, outcome: str | None = None) -> None:
    event |= {"event.action": action, "event.category": [category], "event.type": [kind]}
    if outcome is not None:
        event["event.outcome"] = outcome


def _memory(rest: str, event: Event) -> bool:
    if "ill" not in rest[:64]:
        return False
    killed = _KILLED.match(rest)
    if killed is None:
        return False
    _say(event, "killed-process", "process", "end")
    event |= {"event.reason": "out of memory", "almena.linux.victim": killed[2]}
    if killed[3] is not None:
        event["user.id"] = killed[3]
    return True


def _usb(rest: str, event: Event) -> bool:
    usb = _USB.match(rest)
    if usb is None:
        return False
    port, vendor, product, gone, what, value = usb.groups()
    _say(event, "device-disconnected" if gone else "device-connected", "host", "change")
    event["device.id"] = port
    if vendor is not None:
        event |= {"device.vendor.id": vendor, "device.product.id": product}
    if what is not None:
        event["event.action"] = "device-described"
        event[_PRODUCTS[what]] = value.strip()
    return True


def _network(rest: str, event: Event) -> bool:
    """What the kernel says of packets that it finds odd or has no room for."""
    martian, flood = _MARTIAN.match(rest), _FLOOD.match(rest)
    if martian is not None:
        _say(event, "martian-source", "network", "denied")
        put_end(event, "destination", martian[1])
        put_end(event, "source", martian[2])
        event["observer.ingress.interface.name"] = martian[3]
    elif flood is not None:
        _say(event, "syn-flooding", "network", "info")
        put_port(event, "destination.port", int(flood[1]))
    elif _FULL.match(rest) is not None:
        _say(event, "connection-table-full", "network", "denied")
    else:
        return False
    return True


def _fault(rest: str, event: Event) -> bool:
    fault = _FAULT.match(rest)
    if fault is None:
        return False
    _say(event, "crashed-program", "process", "end", "failure")
    event["almena.linux.victim"] = fault[1]
    return True


def _others(rest: str, event: Event) -> bool:
    promiscuous = _PROMISCUOUS.match(rest)
    if promiscuous is not None:
        _say(event, "changed-promiscuous-mode-on-device", "network", "change")
        event["observer.ingress.interface.name"] = promiscuous[1]
        return True
    module = _MODULE.match(rest)
    if module is not None:
        _say(event, "loaded-kernel-module", "driver", "start")
        event["file.name"] = module[1]
        return True
    return False


FORMAT = Format(name="linux_kernel", dataset="system.syslog", read=read, programs=("kernel",))
