"""Fortinet's FortiGate: traffic, threats and events of FortiOS 5 to 7, as `key=value` pairs.

date=2026-11-22 time=13:34:00 devname="FG1" devid="FG100" eventtime=1795376040123456789 tz="-0600" logid="0000000013"
    type="traffic" subtype="forward" srcip=10.20.0.5 dstip=203.0.113.9 action="close" sentbyte=70 rcvdbyte=310 ...
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import fortigate_events, fortigate_traffic, pairs
from collectors.parsers.common import number
from collectors.parsers.format import Format
from collectors.parsers.network import (
    put_count,
    put_end,
    put_nat,
    put_port,
    put_total,
    put_transport,
    put_url,
    put_user,
)

_REFUSED = frozenset(("deny", "denied", "block", "blocked", "dropped", "drop", "clear_session", "reset", "reset_client",
                      "reset_server", "reset_both", "quarantine"))  # fmt: skip
_LEVELS = {"information": "informational"}
_ALERTS = frozenset(("virus", "ips", "anomaly", "waf", "dlp", "emailfilter", "botnet"))
_HASHES = {"md5": "file.hash.md5", "filehash": "file.hash.sha256", "analyticscksum": "file.hash.sha256"}
_MAIL = frozenset(("statistics", "spam", "virus", "encrypt"))  # types of FortiMail
_PRODUCTS = {"FM": "FortiManager", "FA": "FortiAnalyzer", "FE": "FortiMail", "FV": "FortiWeb"}
"""Products that write as FortiOS does, by how their serial numbers begin."""

_TEXTS = {
    "devname": "observer.name",
    "devid": "observer.serial_number",
    "srcintf": "observer.ingress.interface.name",
    "dstintf": "observer.egress.interface.name",
    "policyname": "rule.name",
    "policyid": "rule.id",
    "poluuid": "rule.uuid",
    "policytype": "rule.ruleset",
    "attack": "rule.description",
    "agent": "user_agent.original",
    "group": "user.group.name",
    "filename": "file.name",
    "filetype": "file.extension",
    "from": "email.from.address",
    "to": "email.to.address",
    "subject": "email.subject",
    "srccountry": "source.geo.country_name",
    "dstcountry": "destination.geo.country_name",
    "error": "error.message",
    "qtype": "dns.question.type",
    "qclass": "dns.question.class",
    "xid": "dns.id",
    "httpmethod": "http.request.method",
    "referralurl": "http.request.referrer",
    "ref": "rule.reference",
    "sessionid": "almena.fortigate.session_id",
    "vd": "almena.fortigate.vdom",
    "type": "almena.fortigate.type",
    "subtype": "almena.fortigate.subtype",
    "utmaction": "almena.fortigate.utm_action",
    "catdesc": "almena.fortigate.category",
    "appcat": "almena.fortigate.app_category",
    "apprisk": "almena.fortigate.app_risk",
    "severity": "almena.fortigate.severity",
    "craction": "almena.fortigate.reputation",
    "remip": "almena.fortigate.remote_ip",
    "tunneltype": "almena.fortigate.tunnel_type",
    "vpntunnel": "almena.fortigate.tunnel",
    "tunnelid": "almena.fortigate.tunnel_id",
    "cfgpath": "almena.fortigate.config_path",
    "cfgobj": "almena.fortigate.config_object",
    "cfgattr": "almena.fortigate.config_change",
    "virus": "almena.fortigate.virus",
    "trandisp": "almena.fortigate.translation",
    "eventtype": "almena.fortigate.event_type",
    "action": "almena.fortigate.action",
    "device_id": "observer.serial_number",
    "logid": "event.code",
    "log_id": "event.code",
    "src_int": "observer.ingress.interface.name",
    "dst_int": "observer.egress.interface.name",
    "policy_id": "rule.id",
    "applist": "rule.ruleset",
    "vlanid": "network.vlan.id",
    "reason": "event.reason",
    "error_num": "error.code",
    "message_id": "email.message_id",
    "sni": "tls.client.server_name",
    "cipher": "tls.cipher",
    "kxcurve": "tls.curve",
    "certhash": "tls.server.hash.sha1",
    "http_agent": "user_agent.original",
    "http_method": "http.request.method",
    "http_refer": "http.request.referrer",
}
"""Keys of the log, and the fields that take their text."""

_COUNTS = {
    "sentbyte": "source.bytes",
    "rcvdbyte": "destination.bytes",
    "sentpkt": "source.packets",
    "rcvdpkt": "destination.packets",
    "filesize": "file.size",
}
_NOTHING = frozenset(("", "N/A", "n/a", "(null)", "none", "undefined", "Reserved", "unknown"))
_WAYS = {"incoming": "inbound", "outgoing": "outbound", "inbound": "inbound", "outbound": "outbound"}


_NAMES = frozenset(("srcname", "dstname", "dst_host", "srcmac", "mastersrcmac", "source_mac", "dstmac",
                    "masterdstmac", "stamac", "dhcp_msg"))  # fmt: skip
_USERS = frozenset(("eapuser", "xauthuser", "user", "unauthuser", "srcuser", "user_name", "initiator", "login",
                    "dstuser", "dstunauthuser", "name", "account"))  # fmt: skip
_REQUESTS = frozenset(("url", "http_url", "hostname", "http_host", "qname", *_HASHES))
_USUAL = 64  # fields


class _Plan(NamedTuple):
    """What there is to do for records with the same keys, which most of a device's have."""

    texts: tuple[tuple[str, str], ...]
    names: bool
    users: bool
    requests: bool


@lru_cache(maxsize=256)
def _plan(keys: tuple[str, ...]) -> _Plan:
    texts = tuple((key, _TEXTS[key]) for key in keys if key in _TEXTS)
    return _Plan(texts, not _NAMES.isdisjoint(keys), not _USERS.isdisjoint(keys), not _REQUESTS.isdisjoint(keys))


def read(message: str, event: Event, context: Context) -> bool:
    """Read the pairs of a record into the event."""
    if "type=" not in message:
        return False
    if fortigate_traffic.read(message, event, context, _still):
        return True
    found = pairs.scan_commas(message) if message[15:21] == ",time=" else pairs.scan(message)
    if "logid" not in found and "devid" not in found and "log_id" not in found:
        return False
    kind = found.get("type", "")
    if not kind and "subtype" not in found:
        return False
    if kind == "traffic":
        fortigate_traffic.learn(message, found)
    _times(found, event, context)
    _ends(found, event)
    _counts(found, event)
    _still(found, event)
    return True


def _still(found: dict[str, str], event: Event) -> None:
    """What a device's records have in common; from addresses, ports, counts and times it takes nothing."""
    event["observer.vendor"], event["observer.product"], event["observer.type"] = "Fortinet", "Fortigate", "firewall"
    plan = _plan(tuple(found)) if len(found) <= _USUAL else _plan.__wrapped__(tuple(found))
    for key, name in plan.texts:
        value = found[key]
        if value not in _NOTHING:
            event[name] = value
    level = found.get("level") or found.get("pri")
    if level:
        event["log.level"] = _LEVELS.get(level, level)
    if plan.names:
        _names(found, event)
    _traffic(found, event)
    if plan.users:
        _users(found, event)
    if plan.requests:
        _requests(found, event)
    _what(found, found.get("type", ""), event)
    if "device_id" in found:
        product = event["observer.product"] = _PRODUCTS.get(found["device_id"][:2], "Fortigate")
        if product == "FortiMail":
            event["event.dataset"] = "fortinet.fortimail"


def _times(found: dict[str, str], event: Event, context: Context) -> None:
    """When the record was written, by its date, time and zone; and when what it tells began.

    The beginning is an instant, in seconds or in finer units; where the record names no zone it is the time.
    """
    get = found.get
    stamp = get("eventtime") or get("timestamp") or ""
    moment = ""
    if 9 < len(stamp) < 20 and stamp.isascii() and stamp.isdigit():
        moment = event["event.start"] = fortigate_traffic.start(stamp)
    date, clock, zone = get("date"), get("time"), get("tz") or ""
    if date and clock and (zone or not moment):
        if len(date) + len(clock) + len(zone) > 60:
            raise ParseError("a time that cannot be read or does not exist")
        event["@timestamp"] = fortigate_traffic.local(date, clock, zone, context.zone)
    else:
        event["@timestamp"] = moment or event.get("@timestamp") or format_time(context.received)


def _ends(found: dict[str, str], event: Event) -> None:
    """Who talks to whom; in a record about a tunnel the peer comes in, and the device is where it comes to."""
    get = found.get
    source, port = get("srcip"), get("srcport")
    destination, to = get("dstip"), get("dstport")
    if get("subtype") == "vpn" and "remip" in found:
        source, port, destination, to = found["remip"], get("remport"), get("locip", ""), get("locport")
    if source is None:
        source = get("locip") or get("src") or get("client_ip") or get("saddr")
        if source is None and "dhcp_msg" in found:
            source = get("ip")
    if destination is None:
        destination = get("remip") or get("dst") or get("dst_ip") or get("daddr")
    if source and source not in _NOTHING:
        put_end(event, "source", source)
    put_port(event, "source.port", port or get("locport") or get("src_port") or get("remote_port"))
    if destination and destination not in _NOTHING:
        put_end(event, "destination", destination)
    put_port(event, "destination.port", to or get("dst_port") or (None if destination == "" else get("remport")))
    if "transip" in found:
        put_nat(event, "source", found["transip"], get("transport"))
    if "tranip" in found:
        put_nat(event, "destination", found["tranip"], get("tranport"))


def _names(found: dict[str, str], event: Event) -> None:
    """What both ends are called besides their addresses."""
    get = found.get
    if (name := get("srcname")) and name not in _NOTHING:
        event["source.domain"] = name
        event["host.name"] = name.lower()
    if (name := get("dstname") or get("dst_host")) and name not in _NOTHING:
        event["destination.domain"] = event["destination.address"] = name
    leased = get("mac") if "dhcp_msg" in found else None
    if mac := get("srcmac") or get("mastersrcmac") or get("source_mac") or get("stamac") or leased:
        event["source.mac"] = mac.upper().replace(":", "-")
    if mac := get("dstmac") or get("masterdstmac"):
        event["destination.mac"] = mac.upper().replace(":", "-")


def _counts(found: dict[str, str], event: Event) -> None:
    get = found.get
    for key, name in _COUNTS.items():
        if (value := get(key)) is not None:
            if len(value) < 16 and value.isascii() and value.isdigit():
                event[name] = int(value)
            else:
                put_count(event, name, value)
    put_total(event, "bytes")
    put_total(event, "packets")
    if (seconds := number(get("duration"))) is not None and 0 <= seconds < 10**9:
        event["event.duration"] = seconds * 1_000_000_000


def _traffic(found: dict[str, str], event: Event) -> None:
    get = found.get
    put_transport(event, get("proto"))
    if service := get("service"):
        event["network.protocol"] = service.lower()
    if (application := get("app") or get("appname")) and application not in _NOTHING:
        event["network.application"] = application
    if (way := get("direction") or get("dir")) and (direction := _WAYS.get(way.lower())):
        event["network.direction"] = direction
    if (kind := get("appcat") or get("catdesc")) and kind not in _NOTHING:
        event["rule.category"] = kind.replace(".", "-")


def _users(found: dict[str, str], event: Event) -> None:
    get = found.get
    for key in ("eapuser", "xauthuser", "user", "unauthuser", "srcuser", "user_name", "initiator", "login"):
        user = get(key)
        if user and user not in _NOTHING:
            put_user(event, user)
            if "user.name" in event:
                event["source.user.name"] = event["user.name"]
            break
    if get("type") == "traffic":
        put_user(event, get("dstuser") or get("dstunauthuser"), "destination.user")
    elif (target := get("dstuser") or get("name") or get("account")) and target not in _NOTHING:
        put_user(event, target, "user.target")


def _requests(found: dict[str, str], event: Event) -> None:
    """What was asked for: a page, a name, a file."""
    get = found.get
    if url := get("url") or get("http_url"):
        if "://" in url[:16]:
            put_url(event, url)
            event["url.full"] = url
        else:
            event["url.original"] = url
            path, mark, query = url.partition("?")
            event["url.path"] = path
            if mark:
                event["url.query"] = query
        put_port(event, "url.port", get("urlport"))
    if (host := get("hostname") or get("http_host")) and host not in _NOTHING:
        event["url.domain"] = host
    if name := get("qname"):
        event["dns.question.name"] = name
        if answer := get("ipaddr"):
            event["dns.resolved_ip"] = [each.strip() for each in answer.split(",")[:32]]
    for key, name in _HASHES.items():
        if get(key):
            event[name] = found[key].lower()


def _what(found: dict[str, str], kind: str, event: Event) -> None:
    get = found.get
    part, action = get("subtype", ""), get("action") or get("utmaction") or ""
    if action in _NOTHING:
        action = ""
    message = get("msg") or get("logdesc") or get("desc")
    if message:
        event["message"] = message
    refused = action.lower() in _REFUSED or action.lower().endswith("_deny")
    if kind in ("event", "kevent"):
        fortigate_events.read(found, part, action or get("operation", ""), event)
    elif kind in _MAIL:
        fortigate_events.mail(found, kind, event)
    elif kind == "traffic":
        event["event.action"] = action.lower() or part or kind
        event["event.category"] = ["network"]
        refused = refused or get("utmaction") == "block"
        starts = action in ("start", "accept", "ip-conn", "dns")
        event["event.type"] = (
            ["connection", "denied"] if refused else ["connection", "start" if starts else "end", "allowed"]
        )
        event["event.outcome"] = "success"  # what the firewall decided was done
    else:
        event["event.action"] = get("eventtype") or action.lower() or part or kind
        _threat(found, part, event)
        event["event.type"] = ["denied"] if refused else ["allowed"]


def _threat(found: dict[str, str], part: str, event: Event) -> None:
    event["event.category"] = {"virus": ["malware", "network"], "ips": ["intrusion_detection", "network"],
                               "anomaly": ["intrusion_detection", "network"], "webfilter": ["web", "network"],
                               "emailfilter": ["email", "network"]}.get(part, ["network"])  # fmt: skip
    event["event.outcome"] = "success"
    if part in _ALERTS:
        event["event.kind"] = "alert"
    if "attackid" in found:
        event["rule.id"] = found["attackid"]
    if "attack" in found or "virus" in found:
        event["rule.name"] = found.get("attack") or found["virus"]


FORMAT = Format(
    name="fortigate",
    dataset="fortinet.firewall",
    read=read,
    begins=("date=", "devname=", "logver=", "timestamp=", "time=", "eventtime=", "itime="),
    words=False,
)
