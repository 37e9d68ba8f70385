"""Suricata's EVE: alerts, flows and what it saw of protocols, one JSON object a line.

{"timestamp": "2026-11-22T13:34:00.123456-0600", "event_type": "alert", "src_ip": "203.0.113.9", "src_port": 40000,
 "dest_ip": "198.51.100.2", "dest_port": 80, "proto": "TCP", "alert": {"action": "allowed", "signature_id": 1, ...}}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, as_text, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at, value_at
from collectors.parsers.network import put_count, put_end, put_total, put_transport, put_url, put_user

_SEVERITIES = {1: 73, 2: 47, 3: 21, 4: 0}
_MOST = 256


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is an event of EVE."""
    return (
        isinstance(document.get("event_type"), str)
        and "timestamp" in document
        and (
            "flow_id" in document
            or "src_ip" in document
            or "stats" in document
            or document["event_type"] in ("stats", "engine")
        )
    )


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one object; raises ParseError without a time."""
    written = text_at(document, "timestamp")
    if written is None:
        raise ParseError("an event of Suricata without a time")
    kind = (text_at(document, "event_type") or "unknown").lower()[:64]
    event: Event = {
        "@timestamp": format_time(instant(written, context.zone)),
        "event.dataset": "suricata.eve",
        "event.category": ["network"],
        "event.type": ["info"],
        "observer.vendor": "OISF",
        "observer.product": "Suricata",
        "observer.type": "ids",
        "almena.suricata.event_type": kind,
    }
    put_end(event, "source", text_at(document, "src_ip"), document.get("src_port"))
    put_end(event, "destination", text_at(document, "dest_ip"), document.get("dest_port"))
    put_transport(event, text_at(document, "proto"))
    application = text_at(document, "app_proto")
    if application not in (None, "failed", "unknown"):
        event["network.protocol"] = application
    put(event, "network.community_id", text_at(document, "community_id"))
    put(event, "observer.ingress.interface.name", text_at(document, "in_iface"))
    put(event, "observer.name", text_at(document, "host"))
    ether = document.get("ether")
    if isinstance(ether, dict):
        for name, key in (("source.mac", "src_mac"), ("destination.mac", "dest_mac")):
            if (mac := text_at(ether, key)) is not None:
                event[name] = mac.upper().replace(":", "-")
    put(event, "almena.suricata.flow_id", document.get("flow_id"))
    _flow(document, event)
    for name in ("http", "tls", "dns", "fileinfo", "ssh", "smtp", "email"):
        part = document.get(name)
        if isinstance(part, dict):
            _PARTS[name](part, event)
    reader = _KINDS.get(kind)
    if reader is not None:
        reader(document, event)
    elif kind == "stats":
        event["event.kind"] = "metric"
    elif kind != "engine":
        _other(document, event)
        if "network.protocol" not in event:
            event["network.protocol"] = kind
    return event


def _other(document: dict[str, Any], event: Event) -> None:
    """What was seen of a protocol: who asked for what, where its record says that by the usual names."""
    part = document.get(text_at(document, "event_type") or "")
    event["event.type"] = ["protocol", "connection"]
    if isinstance(part, dict):
        put(event, "event.action", text_at(part, "method") or text_at(part, "command"))
        put(event, "url.original", text_at(part, "uri"))
        put(event, "user_agent.original", text_at(part, "user_agent"))


def _flow(document: dict[str, Any], event: Event) -> None:
    flow = document.get("flow") or document.get("netflow")
    if not isinstance(flow, dict):
        return
    for key, name in (
        ("bytes_toserver", "source.bytes"),
        ("bytes_toclient", "destination.bytes"),
        ("pkts_toserver", "source.packets"),
        ("pkts_toclient", "destination.packets"),
        ("bytes", "network.bytes"),
        ("pkts", "network.packets"),
    ):
        if key in flow:
            put_count(event, name, flow[key])
    put_total(event, "bytes")
    put_total(event, "packets")
    times = [_moment(flow.get(name)) for name in ("start", "end")]
    for name, moment in zip(("event.start", "event.end"), times, strict=True):
        if moment is not None:
            event[name] = format_time(moment)
    if times[0] is not None and times[1] is not None and times[1] >= times[0]:
        event["event.duration"] = (times[1] - times[0]) * 1_000
    put(event, "event.reason", text_at(flow, "reason"))
    put(event, "almena.suricata.state", text_at(flow, "state"))


def _moment(written: Any) -> int | None:
    try:
        return instant(written, "UTC") if isinstance(written, str) else None
    except ParseError:
        return None


def _alert(document: dict[str, Any], event: Event) -> None:
    alert = document.get("alert")
    if not isinstance(alert, dict):
        return
    event["event.kind"] = "alert"
    event["event.category"] = ["network", "intrusion_detection"]
    action = (text_at(alert, "action") or "").lower()
    event["event.action"] = action or "alert"
    event["event.type"] = ["denied"] if action == "blocked" else ["allowed"] if action == "allowed" else ["info"]
    event["event.outcome"] = "success"
    put(event, "rule.id", alert.get("signature_id"))
    put(event, "rule.name", text_at(alert, "signature"))
    put(event, "rule.category", text_at(alert, "category"))
    put(event, "rule.version", alert.get("rev"))
    put(event, "message", text_at(alert, "signature"))
    severity = number(alert.get("severity"))
    if severity is not None:
        event["event.severity"] = _SEVERITIES.get(severity, 0)
        event["almena.suricata.severity"] = str(severity)
    tactic = value_at(alert, "metadata.mitre_tactic_name.0")
    technique = value_at(alert, "metadata.mitre_technique_id.0")
    if isinstance(tactic, str):
        event["threat.tactic.name"] = [tactic.replace("_", " ")]
    if isinstance(technique, str):
        event["threat.technique.id"] = [technique]


def _anomaly(document: dict[str, Any], event: Event) -> None:
    event["event.action"] = text_at(document, "anomaly.event") or "anomaly"
    put(event, "rule.name", text_at(document, "anomaly.event"))
    put(event, "rule.category", text_at(document, "anomaly.type"))


def _connection(document: dict[str, Any], event: Event) -> None:
    event["event.type"] = ["connection"]
    event["event.action"] = text_at(document, "event_type") or "flow"
    state = event.get("almena.suricata.state")
    if state == "closed":
        event["event.type"] = ["connection", "end"]
    elif state == "new":
        event["event.type"] = ["connection", "start"]


def _drop(document: dict[str, Any], event: Event) -> None:
    event |= {"event.type": ["denied"], "event.action": "drop", "event.outcome": "success"}
    put(event, "event.reason", text_at(document, "drop.reason"))


def _seen(document: dict[str, Any], event: Event) -> None:
    event["event.type"] = ["protocol"]


def _sign_in(document: dict[str, Any], event: Event) -> None:
    kind = text_at(document, "event_type") or ""
    part = document.get(kind)
    event["event.type"] = ["protocol", "connection"]
    event.setdefault("network.protocol", kind.lower())
    if not isinstance(part, dict):
        return
    user = text_at(part, "cname") or text_at(part, "ntlmssp.user") or text_at(part, "user")
    if user is None and text_at(part, "command") == "USER":
        user = text_at(part, "command_data")
    put_user(event, user or text_at(part, "cookie"))
    put(event, "user.domain", text_at(part, "realm") or text_at(part, "ntlmssp.domain"))
    put(event, "event.action", text_at(part, "command") or text_at(part, "msg_type") or text_at(part, "method"))
    code = text_at(part, "status") or text_at(part, "error_code")
    put(event, "event.code", code)
    if code is not None:
        event["event.outcome"] = "success" if code == "STATUS_SUCCESS" else "failure"
    put(event, "file.path", text_at(part, "filename"))


def _http(http: dict[str, Any], event: Event) -> None:
    event["network.protocol"] = "http"
    event["event.category"] = ["network", "web"]
    event["event.type"] = ["access", "protocol"]
    put(event, "http.request.method", text_at(http, "http_method"))
    put(event, "http.request.referrer", text_at(http, "http_refer"))
    put(event, "user_agent.original", text_at(http, "http_user_agent"))
    protocol = text_at(http, "protocol")
    if protocol is not None:
        event["http.version"] = protocol.removeprefix("HTTP/")
    status = number(http.get("status"))
    if status is not None and 0 < status < 1_000:
        event["http.response.status_code"] = status
        event["event.outcome"] = "failure" if status >= 400 else "success"
    put_count(event, "http.response.body.bytes", http.get("length"))
    put(event, "url.domain", text_at(http, "hostname"))
    put(event, "destination.domain", text_at(http, "hostname"))
    url = text_at(http, "url")
    if url is not None:
        if "://" in url[:16]:
            put_url(event, url)
        event["url.original"] = url
        path, mark, query = url.partition("?")
        if path.startswith("/"):
            event["url.path"] = path
        if mark and query:
            event["url.query"] = query
    port = number(http.get("http_port"))
    if port is not None and 0 < port < 65_536:
        event["url.port"] = port


def _tls(tls: dict[str, Any], event: Event) -> None:
    event["network.protocol"] = "tls"
    for name, key in (
        ("tls.client.server_name", "sni"),
        ("destination.domain", "sni"),
        ("tls.server.subject", "subject"),
        ("tls.server.issuer", "issuerdn"),
        ("tls.server.hash.sha1", "fingerprint"),
        ("tls.server.x509.serial_number", "serial"),
        ("tls.client.ja3", "ja3.hash"),
        ("tls.server.ja3s", "ja3s.hash"),
        ("tls.cipher", "cipher"),
    ):
        put(event, name, text_at(tls, key))
    version = text_at(tls, "version")
    if version is not None and version[:3] in ("TLS", "SSL"):
        event["tls.version_protocol"] = version[:3].lower()
        event["tls.version"] = version.lstrip("TLSv ").strip() or "1.0"
    for name, key in (("tls.server.not_before", "notbefore"), ("tls.server.not_after", "notafter")):
        moment = _moment(tls.get(key))
        if moment is not None:
            event[name] = format_time(moment)


def _dns(dns: dict[str, Any], event: Event) -> None:
    event["network.protocol"] = "dns"
    event["event.type"] = ["protocol", "connection"]
    kind = (text_at(dns, "type") or "query").lower()
    event["dns.type"] = "query" if kind in ("query", "request") else "answer"
    put(event, "dns.id", dns.get("id"))
    question = value_at(dns, "queries.0") or value_at(dns, "query.0")
    place = question if isinstance(question, dict) else dns
    put(event, "dns.question.name", text_at(place, "rrname"))
    put(event, "dns.question.type", text_at(place, "rrtype"))
    put(event, "dns.response_code", text_at(dns, "rcode"))
    answers = dns.get("answers")
    rows = answers[:_MOST] if isinstance(answers, list) else []
    found = [row["rdata"] for row in rows if isinstance(row, dict) and isinstance(row.get("rdata"), str)]
    grouped = dns.get("grouped")
    if not found and isinstance(grouped, dict):
        found = [as_text(item) for values in grouped.values() if isinstance(values, list) for item in values[:_MOST]]
    if not found and isinstance(dns.get("rdata"), str):
        found = [dns["rdata"]]
    if found:
        event["dns.answers.data"] = found
        resolved = [one for item in found if (one := address(item)) is not None]
        if resolved:
            event["dns.resolved_ip"] = resolved
    code = event.get("dns.response_code")
    if code is not None:
        event["event.outcome"] = "success" if code == "NOERROR" else "failure"


def _fileinfo(info: dict[str, Any], event: Event) -> None:
    event["event.category"] = ["network", "file"]
    name = text_at(info, "filename")
    if name is not None:
        event["file.path"] = name
        event["file.name"] = name.rpartition("/")[2] or name
    put_count(event, "file.size", info.get("size"))
    for kind in ("md5", "sha1", "sha256"):
        put(event, f"file.hash.{kind}", text_at(info, kind))


def _ssh(ssh: dict[str, Any], event: Event) -> None:
    event["network.protocol"] = "ssh"
    put(event, "user_agent.original", text_at(ssh, "client.software_version"))


def _smtp(smtp: dict[str, Any], event: Event) -> None:
    event["network.protocol"] = "smtp"
    event["event.category"] = ["network", "email"]
    put(event, "email.from.address", (text_at(smtp, "mail_from") or "").strip("<>"))
    to = smtp.get("rcpt_to")
    if isinstance(to, list) and to:
        event["email.to.address"] = [as_text(item).strip("<>") for item in to[:_MOST]]


def _email(email: dict[str, Any], event: Event) -> None:
    put(event, "email.subject", text_at(email, "subject"))
    put(event, "email.from.address", text_at(email, "from"))


_PARTS: dict[str, Callable[[dict[str, Any], Event], None]] = {
    "http": _http,
    "tls": _tls,
    "dns": _dns,
    "fileinfo": _fileinfo,
    "ssh": _ssh,
    "smtp": _smtp,
    "email": _email,
}
_KINDS: dict[str, Callable[[dict[str, Any], Event], None]] = {
    "alert": _alert,
    "anomaly": _anomaly,
    "flow": _connection,
    "netflow": _connection,
    "drop": _drop,
    "krb5": _sign_in,
    "smb": _sign_in,
    "ftp": _sign_in,
    "rdp": _sign_in,
    **dict.fromkeys(("http", "dns", "fileinfo"), lambda document, event: None),
    **dict.fromkeys(("tls", "ssh", "smtp"), _seen),
}

FORMAT = Format(
    name="suricata", dataset="suricata.eve", convert=convert, fits=fits, programs=("suricata",), words=False
)
