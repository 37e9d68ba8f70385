"""What RouterOS says beside packets: who signs in and changes what, leases, tunnels, stations, names asked for."""

from __future__ import annotations

import re
from collections.abc import Callable

from almena.event import Event
from collectors.parsers.common import address, number
from collectors.parsers.network import put_count, put_end, put_nat, put_total, put_url, put_user

_MAC_TEXT = r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}"
_LOGIN = re.compile(r"user (.{1,128}?) logged (in|out)(?: from (\S{1,64}))?(?: via (.{1,32}))?$", re.ASCII)
_FAILURE = re.compile(r"login failure for user (.{0,128}?)(?: from (\S{1,64}))?(?: via (\S{1,32}))?$", re.ASCII)
_CHANGE = re.compile(
    r"(.{1,128}?) (added|removed|changed|moved|enabled|disabled|modified) by (?:[^\s@:]{1,64}:)?([^\s@:(/]{1,128})"
    r"(?:@([0-9A-Fa-f.:]{2,45}))?(?:/action:?\d{1,9})?(?: \((.{0,2048})\))?$",
    re.ASCII | re.DOTALL,
)
_WHOM = re.compile(r"(?:ppp secret|(?:hotspot |user manager |ipsec )?user) <?([^<>]{1,128})>?$", re.ASCII)
_RESTART = re.compile(
    r"(?:router|system) (?:was )?(rebooted|shutdown)( without proper shutdown)?"
    r"(?: by (?:[^\s@:]{1,64}:)?([^\s@:(/]{1,128}))?",
    re.ASCII,
)
_PACKAGE = re.compile(r"(installed|uninstalled|verified|upgraded|downgraded) ([\w-]{1,64}?)-(\d[\w.]{0,31})", re.ASCII)
_LEASE = re.compile(
    rf"(\S{{1,64}}) (assigned|deassigned|offering lease) ([0-9A-Fa-f.:]{{2,45}}) (?:to|for|from) ({_MAC_TEXT})"
    r"(?: (?!without success$)(.{1,255}?))?( without success)?$",
    re.ASCII,
)
_OWN_LEASE = re.compile(
    r"dhcp(v6)?-client on (\S{1,64}) (got|lost) IP address ([0-9A-Fa-f.:]{2,45})(?: - (.{1,128}))?", re.ASCII
)
_ROGUE = re.compile(rf"dhcp alert on (\S{{1,64}}): .{{0,64}}?mac ({_MAC_TEXT}), ip ([0-9A-Fa-f.:]{{2,45}})", re.ASCII)
_PPP = re.compile(
    r"(?:<[^>]{1,64}>: )?([^\s,<>]{1,128}) logged (in|out), ?((?=\S{0,44}[.:])[0-9A-Fa-f.:]{2,45}(?= |$))?"
    r"(?:(\d{1,12}) (\d{1,18}) (\d{1,18}) (\d{1,18}) (\d{1,18}))?(?: from (\S{1,64}))?",
    re.ASCII,
)
_PPP_STATE = re.compile(
    r"<[a-z0-9]{2,12}-([^>]{1,128})>: (authenticated|connected|disconnected|terminating)(?:\.{3})?(?: - (.{1,128}))?$",
    re.ASCII,
)
_PPP_FAILED = re.compile(
    r"(?:<([^>]{1,64})>: )?user '?(\S{1,128}?)'? authentication failed(?: - (.{1,128}))?", re.ASCII
)
_FROM = re.compile(rf"(?:established|received) from ({_MAC_TEXT}|[0-9A-Fa-f.:]{{2,45}})", re.ASCII)
_PEERS = re.compile(r"([0-9A-Fa-f.:]{2,45})\[(\d{1,5})\](?:<=>|-)([0-9A-Fa-f.:]{2,45})\[(\d{1,5})\]", re.ASCII)
_STATION = re.compile(
    rf"({_MAC_TEXT})@(\S{{1,64}}?):? ((?:dis)?connected|reassociating|(?:re|dis)?associated|roamed)"
    rf"(?: to {_MAC_TEXT}@([^\s,]{{1,64}}))?(?:, (.{{1,128}}))?",
    re.ASCII,
)
_HOTSPOT = re.compile(
    r"(?:->: )?(\S{1,128}) \(([0-9A-Fa-f.:]{2,45})\): (logged in|logged out|login failed|trying to log in)"
    r"(?:: (.{1,128}))?",
    re.ASCII,
)
_LINK = re.compile(r"(\S{1,64}) link (up|down)", re.ASCII)
_QUERY = re.compile(
    r"(?:query from ([0-9A-Fa-f.:]{2,45})|local query): (?:#\d{1,12} )?"
    r"(\S{1,255}?)\.? ([A-Z][A-Z0-9]{0,9})(?: \((\d{1,5})\))?$",
    re.ASCII,
)
_DONE = re.compile(r"done query: #\d{1,12} (\S{1,255}?)\.? ([0-9A-Fa-f.:]{2,45})$", re.ASCII)
_QUESTION = re.compile(r"(?:--- )?question: ([^\s:]{1,255}?)\.?:([A-Z][A-Z0-9]{0,9}):IN$", re.ASCII)
_GOT = re.compile(r"(?:--- )?got query from ([0-9A-Fa-f.:]{2,45}?):(\d{1,5}):?$", re.ASCII)
_TYPES = {"64": "SVCB", "65": "HTTPS"}
_PROXY = re.compile(r"([0-9A-Fa-f.:]{2,45}) ([A-Z]{3,16}) (\S{1,4096})(?: {1,2}action=(\w{1,16}))?", re.ASCII)

_PPP_STATES = {
    "authenticated": (["authentication", "network"], ["start"]),
    "connected": (["session", "network"], ["connection", "start"]),
    "disconnected": (["session", "network"], ["connection", "end"]),
    "terminating": (["session", "network"], ["connection", "end"]),
}
_LOGGED = {
    "in": ("logged-in", "success", ["authentication"], ["start"]),
    "out": ("logged-out", "success", ["session"], ["end"]),
    "failed": ("logon-failed", "failure", ["authentication"], ["start"]),
}


def _say(event: Event, action: str, outcome: str | None, category: list[str], types: list[str]) -> bool:
    event["event.action"] = action
    if outcome is not None:
        event["event.outcome"] = outcome
    event["event.category"], event["event.type"] = list(category), list(types)
    return True


def _from(event: Event, where: str | None) -> None:
    if where is None or where == "local":
        return
    if re.fullmatch(_MAC_TEXT, where):
        event["source.mac"] = where.upper().replace(":", "-")
    else:
        put_end(event, "source", where)


def system(text: str, event: Event) -> bool:
    """Who signed in or tried to, what was changed, restarts and packages; what every topic may say."""
    login = _LOGIN.match(text)
    if login is not None:
        put_user(event, login[1])
        _from(event, login[3])
        if login[4]:
            event["network.application"] = login[4]
        return _say(event, *_LOGGED[login[2]])
    failure = _FAILURE.match(text)
    if failure is not None:
        put_user(event, failure[1])
        _from(event, failure[2])
        if failure[3]:
            event["network.application"] = failure[3]
        return _say(event, *_LOGGED["failed"])
    change = _CHANGE.match(text)
    if change is not None:
        what, done, user, where, command = change.groups()
        put_user(event, user)
        _from(event, where)
        if command:
            event["process.command_line"] = command.partition(" = ")[2] or command
        event["almena.mikrotik.item"] = what
        whom = _WHOM.match(what)
        if whom is not None:
            event["user.target.name"] = whom[1]
        return _say(event, f"configuration-{done}", "success", ["configuration"], ["change"])
    restart = _RESTART.match(text)
    if restart is not None:
        put_user(event, restart[3])
        if restart[1] == "shutdown":
            return _say(event, "system-stopped", "success", ["host"], ["end"])
        return _say(event, "system-restarted", "failure" if restart[2] else "success", ["host"], ["start"])
    package = _PACKAGE.match(text)
    if package is not None:
        event["package.name"], event["package.version"] = package[2], package[3]
        types = {"uninstalled": "deletion", "verified": "info"}.get(package[1], "installation")
        return _say(event, f"software-{package[1]}", "success", ["package"], [types])
    return False


def _dhcp(text: str, event: Event) -> bool:
    lease = _LEASE.match(text)
    if lease is None:
        return _dhcp_other(text, event)
    server, done, where, mac, name, failed = lease.groups()
    put_end(event, "source", where)
    event["source.mac"] = mac.upper().replace(":", "-")
    if name and " " not in name:
        event["source.domain"] = name
    event["almena.mikrotik.item"], event["network.protocol"] = server, "dhcp"
    action = {"assigned": "lease-assigned", "deassigned": "lease-released"}.get(done, "lease-offered")
    types = ["connection", "end" if action == "lease-released" else "start"]
    return _say(event, action, "failure" if failed else "success", ["network"], types)


def _dhcp_other(text: str, event: Event) -> bool:
    own = _OWN_LEASE.match(text)
    if own is not None:
        event["network.protocol"] = f"dhcp{own[1] or ''}"
        event["observer.egress.interface.name"] = own[2]
        put_end(event, "source", own[4])
        if own[5]:
            event["event.reason"] = own[5]
        got = own[3] == "got"
        types = ["connection", "start" if got else "end"]
        return _say(event, "lease-obtained" if got else "lease-lost", "success", ["network"], types)
    rogue = _ROGUE.match(text)
    if rogue is None:
        return False
    event["network.protocol"], event["observer.ingress.interface.name"] = "dhcp", rogue[1]
    event["source.mac"] = rogue[2].upper().replace(":", "-")
    put_end(event, "source", rogue[3])
    return _say(event, "rogue-dhcp-server", None, ["intrusion_detection", "network"], ["info"])


def _ppp(text: str, event: Event) -> bool:
    logged = _PPP.match(text)
    if logged is not None:
        user, way, given, seconds, received, sent, packets_in, packets_out, where = logged.groups()
        put_user(event, user)
        if where is not None:
            put_end(event, "source", where)
            put_nat(event, "source", given)
        elif given is not None:
            put_end(event, "source", given)
        duration = number(seconds)
        if duration is not None:
            event["event.duration"] = duration * 1_000_000_000
        put_count(event, "source.bytes", received)
        put_count(event, "destination.bytes", sent)
        put_count(event, "source.packets", packets_in)
        put_count(event, "destination.packets", packets_out)
        put_total(event, "bytes")
        action, outcome, _, types = _LOGGED[way]
        category = ["authentication", "network"] if way == "in" else ["session", "network"]
        return _say(event, action, outcome, category, types)
    state = _PPP_STATE.match(text)
    if state is not None:
        if not state[1].isdigit():
            put_user(event, state[1])
        if state[3]:
            event["event.reason"] = state[3]
        return _say(event, state[2], "success", *_PPP_STATES[state[2]])
    failed = _PPP_FAILED.match(text)
    if failed is not None:
        put_user(event, failed[2])
        if failed[1] and address(failed[1]) is not None:
            put_end(event, "source", failed[1])
        if failed[3]:
            event["event.reason"] = failed[3]
        return _say(event, "logon-failed", "failure", ["authentication", "network"], ["start"])
    came = _FROM.search(text)
    if came is not None:
        _from(event, came[1])
        return _say(event, "connection-started", "success", ["network"], ["connection", "start"])
    return False


def _ipsec(text: str, event: Event) -> bool:
    peers = _PEERS.search(text)
    if peers is None:
        first = text.partition(" ")[0]
        if address(first) is not None:
            put_end(event, "source", first)
    else:
        put_end(event, "source", peers[3], peers[4])
        put_end(event, "destination", peers[1], peers[2])
    if "fail" in text or "not found" in text or text.startswith("no "):
        event["event.reason"] = text
        return _say(event, "ike-failed", "failure", ["network"], ["connection", "error"])
    if "established" in text or "new ike2 SA" in text or "peer authorized" in text:
        return _say(event, "sa-created", "success", ["network"], ["connection", "start"])
    if "killing" in text or "expired" in text or "deleted" in text or "purging" in text:
        return _say(event, "sa-deleted", "success", ["network"], ["connection", "end"])
    if peers is None:
        return False
    return _say(event, "ike-started", None, ["network"], ["connection", "start"])


def _wireless(text: str, event: Event) -> bool:
    station = _STATION.match(text)
    if station is None:
        return False
    event["source.mac"] = station[1].upper().replace(":", "-")
    event["observer.ingress.interface.name"] = station[4] or station[2].rstrip(":")
    if station[5]:
        event["event.reason"] = station[5]
    end = station[3] in ("disconnected", "disassociated")
    return _say(event, f"station-{station[3]}", "success", ["network"], ["connection", "end" if end else "start"])


def _hotspot(text: str, event: Event) -> bool:
    found = _HOTSPOT.match(text)
    if found is None:
        return False
    put_user(event, found[1])
    put_end(event, "source", found[2])
    if found[4]:
        event["event.reason"] = found[4]
    if found[3] == "trying to log in":
        return _say(event, "authentication", "unknown", ["authentication"], ["info"])
    return _say(event, *_LOGGED[{"logged in": "in", "logged out": "out"}.get(found[3], "failed")])


def _interface(text: str, event: Event) -> bool:
    found = _LINK.match(text)
    if found is None:
        return False
    event["observer.ingress.interface.name"] = found[1]
    return _say(event, f"interface-{found[2]}", "success" if found[2] == "up" else "failure", ["network"], ["info"])


def _dns(text: str, event: Event) -> bool:
    event["network.protocol"] = "dns"
    query = _QUERY.match(text) or _QUESTION.match(text)
    if query is not None:
        if query.re is _QUESTION:
            event["dns.question.name"], event["dns.question.type"] = query[1].lower(), query[2]
        else:
            if query[1]:
                put_end(event, "source", query[1])
            kind = _TYPES.get(query[4], f"TYPE{query[4]}") if query[4] else query[3]
            event["dns.question.name"], event["dns.question.type"] = query[2].lower(), kind
        return _say(event, "dns-query", None, ["network"], ["protocol"])
    done = _DONE.match(text)
    resolved = address(done[2]) if done is not None else None
    if done is not None and resolved is not None:
        event["dns.question.name"], event["dns.resolved_ip"] = done[1].lower(), [resolved]
        return _say(event, "dns-answer", "success", ["network"], ["protocol"])
    got = _GOT.match(text)
    if got is not None:
        put_end(event, "source", got[1], got[2])
        return _say(event, "dns-query", None, ["network"], ["protocol"])
    return False


def _proxy(text: str, event: Event) -> bool:
    found = _PROXY.match(text)
    if found is None:
        return False
    put_end(event, "source", found[1])
    event["http.request.method"] = found[2]
    put_url(event, found[3])
    denied = found[4] in ("deny", "drop")
    types = ["access", "denied" if denied else "allowed"]
    return _say(event, found[4] or "request", "failure" if denied else "success", ["web"], types)


READERS: dict[str, Callable[[str, Event], bool]] = {
    "system": system, "dhcp": _dhcp, "l2tp": _ppp, "pptp": _ppp, "sstp": _ppp, "ovpn": _ppp, "ppp": _ppp,
    "pppoe": _ppp, "ipsec": _ipsec, "wireless": _wireless, "caps": _wireless, "hotspot": _hotspot,
    "interface": _interface, "dns": _dns, "web-proxy": _proxy,
}  # fmt: skip
"""What reads the text behind a topic."""
