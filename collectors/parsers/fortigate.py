"""Fortinet's FortiGate: traffic, threats and events of FortiOS 5 to 7, as `key=value` pairs.

date=2026-11-22 time=13:34:00 devname="FG1" devid="FG100" eventtime=1795376040123456789 tz="-0600" logid="0000000013"
    type="traffic" subtype="forward" srcip=10.20.0.5 dstip=203.0.113.9 action="close" sentbyte=70 rcvdbyte=310 ...
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import pairs
from collectors.parsers.common import epoch, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_count, put_end, put_nat, put_port, put_total, put_transport, put_user

_REFUSED = frozenset(("deny", "denied", "block", "blocked", "dropped", "drop", "clear_session", "reset", "reset_client",
                      "reset_server", "reset_both", "quarantine"))  # fmt: skip
_LEVELS = {"information": "informational", "notice": "notice"}
_ALERTS = frozenset(("virus", "ips", "anomaly", "waf", "dlp", "emailfilter", "botnet"))
_VPN_IN = frozenset(("tunnel-up", "ssl-new-con", "ssl-login", "phase2-up"))
_VPN_OUT = frozenset(("tunnel-down", "ssl-exit", "ssl-logout", "phase2-down"))
_HASHES = {"md5": "file.hash.md5", "filehash": "file.hash.sha256", "analyticscksum": "file.hash.sha256"}

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
}
"""Keys of the log, and the fields that take their text."""

_COUNTS = {
    "sentbyte": "source.bytes",
    "rcvdbyte": "destination.bytes",
    "sentpkt": "source.packets",
    "rcvdpkt": "destination.packets",
    "filesize": "file.size",
}
_NOTHING = frozenset(("", "N/A", "n/a", "(null)", "undefined", "Reserved", "unknown"))


def read(message: str, event: Event, context: Context) -> bool:
    """Read the pairs of a record into the event."""
    found = pairs.scan(message)
    if "devid" not in found and "logid" not in found and "log_id" not in found:
        return False
    if "type" not in found and "subtype" not in found:
        return False
    event["@timestamp"] = format_time(_time(found, context))
    event["observer.vendor"], event["observer.product"], event["observer.type"] = "Fortinet", "Fortigate", "firewall"
    for key, value in found.items():
        name = _TEXTS.get(key)
        if name is not None and value not in _NOTHING:
            event[name] = value
    code = found.get("logid") or found.get("log_id")
    if code:
        event["event.code"] = code
    level = found.get("level")
    if level:
        event["log.level"] = _LEVELS.get(level, level)
    _network(found, event)
    _users(found, event)
    _what(found, event)
    return True


@lru_cache(maxsize=8_192)
def _local(date: str, clock: str, zone: str, default: str) -> int:
    if len(zone) == 5 and zone[0] in "+-" and zone[1:].isdigit():
        return instant(f"{date}T{clock}{zone[:3]}:{zone[3:]}", default)
    return instant(f"{date}T{clock}", default)


def _time(found: dict[str, str], context: Context) -> int:
    """The device's own event time, in seconds or in finer units, else its date, time and zone."""
    stamp = found.get("eventtime", "")
    if 9 < len(stamp) < 20 and stamp.isascii() and stamp.isdigit():
        return epoch(int(stamp))
    date, clock = found.get("date", ""), found.get("time", "")
    if not date or not clock:
        return context.received
    if len(date) + len(clock) > 40:
        raise ParseError("a time that cannot be read or does not exist")
    return _local(date, clock, found.get("tz", "")[:5], context.zone)


def _network(found: dict[str, str], event: Event) -> None:
    get = found.get
    if (source := get("srcip") or get("locip")) not in (None, "", "N/A"):
        put_end(event, "source", source, get("srcport") or get("locport"))
    if (destination := get("dstip") or get("remip")) not in (None, "", "N/A"):
        put_end(event, "destination", destination, get("dstport") or get("remport"))
    for side, key in (("source", "srcname"), ("destination", "dstname")):
        if get(key):
            event[f"{side}.domain"] = found[key]
    if mac := get("srcmac") or get("mastersrcmac"):
        event["source.mac"] = mac.upper().replace(":", "-")
    if mac := get("dstmac") or get("masterdstmac"):
        event["destination.mac"] = mac.upper().replace(":", "-")
    put_nat(event, "source", get("transip"), get("transport"))
    put_nat(event, "destination", get("tranip"), get("tranport"))
    if "proto" in found:
        put_transport(event, found["proto"])
    for key, name in _COUNTS.items():
        if key in found:
            put_count(event, name, found[key])
    put_total(event, "bytes")
    put_total(event, "packets")
    if (seconds := number(get("duration"))) is not None and 0 <= seconds < 10**9:
        event["event.duration"] = seconds * 1_000_000_000
    if service := get("service"):
        event["network.protocol"] = service.lower()
    if (application := get("app") or get("appname")) and application not in _NOTHING:
        event["network.application"] = application
    if (direction := get("direction", "").lower()) in ("inbound", "outbound", "incoming", "outgoing"):
        event["network.direction"] = {"incoming": "inbound", "outgoing": "outbound"}.get(direction, direction)
    if vlan := get("vlanid"):
        event["network.vlan.id"] = vlan


def _users(found: dict[str, str], event: Event) -> None:
    get = found.get
    user = get("user") or get("unauthuser") or get("xauthuser") or get("srcuser") or get("initiator")
    if user and user not in _NOTHING:
        put_user(event, user)
        if "user.name" in event and ("srcip" in found or "remip" in found):
            event["source.user.name"] = event["user.name"]
    if (
        (target := get("dstuser") or get("name") or get("account"))
        and get("type") != "traffic"
        and target not in _NOTHING
    ):
        put_user(event, target, "user.target")
    if host := get("hostname"):
        event["url.domain"] = host
    if url := get("url"):
        if "://" in url[:16]:
            event["url.full"] = event["url.original"] = url
        else:
            event["url.original"] = url
            path, mark, query = url.partition("?")
            event["url.path"] = path
            if mark:
                event["url.query"] = query
    if name := get("qname"):
        event["dns.question.name"] = name
    if (answer := get("ipaddr")) and "qname" in found:
        event["dns.resolved_ip"] = [each.strip() for each in answer.split(",")[:32]]
    for key, name in _HASHES.items():
        if get(key):
            event[name] = found[key].lower()
    put_port(event, "url.port", get("urlport"))


def _what(found: dict[str, str], event: Event) -> None:
    kind, part = found.get("type", ""), found.get("subtype", "")
    action = (found.get("action") or found.get("utmaction") or "").lower()
    event["event.action"] = action or part or kind
    message = found.get("msg") or found.get("logdesc")
    if message:
        event["message"] = message
    if reason := found.get("reason"):
        put(event, "event.reason", None if reason in _NOTHING else reason)
    refused = action in _REFUSED
    if kind == "event":
        _event(found, part, action, event)
    elif kind == "traffic":
        event["event.category"] = ["network"]
        starts = action in ("start", "accept", "ip-conn", "dns")
        event["event.type"] = (
            ["connection", "denied"] if refused else ["connection", "start" if starts else "end", "allowed"]
        )
        event["event.outcome"] = "success"  # what the firewall decided was done
    else:
        event["event.category"] = {"virus": ["malware", "network"], "ips": ["intrusion_detection", "network"],
                                   "anomaly": ["intrusion_detection", "network"], "webfilter": ["web", "network"],
                                   "emailfilter": ["email", "network"]}.get(part, ["network"])  # fmt: skip
        event["event.type"] = ["denied"] if refused else ["allowed"]
        event["event.outcome"] = "success"
        if part in _ALERTS:
            event["event.kind"] = "alert"
        if "attackid" in found:
            event["rule.id"] = found["attackid"]
        if "attack" in found or "virus" in found:
            event["rule.name"] = found.get("attack") or found["virus"]


def _event(found: dict[str, Any], part: str, action: str, event: Event) -> None:
    status = (found.get("status") or found.get("result") or "").lower()
    text = f"{found.get('logdesc', '')} {found.get('msg', '')}".lower()
    failed = status in ("failure", "failed", "fail", "error", "negotiate_error") or "fail" in action
    if status in ("success", "succ", "ok", "up", "start") or status in ("down", "stop") or failed:
        event["event.outcome"] = "failure" if failed else "success"
    if part == "vpn" or action.startswith(("ssl-", "tunnel-")):
        event["event.category"] = ["network", "session"]
        event["event.type"] = ["end"] if action in _VPN_OUT else ["start"] if action in _VPN_IN else ["info"]
        if "login" in action:
            event["event.category"] = ["authentication", "network"]
            event["event.outcome"] = "failure" if "fail" in action else "success"
            event["event.type"] = ["start"]
        elif action in _VPN_IN | _VPN_OUT:
            event["event.outcome"] = "success"
        if "remip" in found:  # who comes in from outside is the source of a tunnel
            for name in [name for name in event if name.startswith(("source.", "destination."))]:
                if not name.endswith((".bytes", ".packets", "user.name")):
                    del event[name]
            put_end(event, "source", found["remip"], found.get("remport"))
            if found.get("locip"):
                put_end(event, "destination", found["locip"], found.get("locport"))
    elif "login" in action or "logout" in action or "logon" in action or part == "user" or "authentication" in action:
        event["event.category"] = ["authentication"]
        event["event.type"] = ["end"] if "logout" in action or "logoff" in action else ["start"]
        if "event.outcome" not in event:
            event["event.outcome"] = "failure" if "fail" in text or "denied" in text else "success"
    elif found.get("cfgpath") or action in ("edit", "add", "delete", "set"):
        event["event.category"] = ["configuration"]
        event["event.type"] = [{"add": "creation", "delete": "deletion"}.get(action, "change")]
        event.setdefault("event.outcome", "success")
    else:
        event["event.category"] = ["host"]
        event["event.type"] = ["info"]


FORMAT = Format(
    name="fortigate",
    dataset="fortinet.firewall",
    read=read,
    begins=("date=", "devname=", "logver=", "timestamp=", "time="),
    words=False,
)
