"""What each of Zeek's logs says, in ECS: one function per log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from almena.event import Event
from collectors.parsers import zeek_more
from collectors.parsers.common import address, as_text, number
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_count, put_end, put_port, put_total, put_url, put_user

DATASETS = {"conn": "connection"}
"""Names of logs that data sets call otherwise."""

Reader = Callable[[dict[str, Any], Event], None]

# What each state of a connection says: its types, whether it came about, and the words for it.
_STATES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "S0": (("start",), "failure", "connection attempt seen, no reply"),
    "S1": (("start",), "success", "connection established, not terminated"),
    "SF": (("start", "end"), "success", "normal establishment and termination"),
    "REJ": (("start", "denied"), "failure", "connection attempt rejected"),
    "S2": (("info",), "success", "established, originator attempted to close, no reply from responder"),
    "S3": (("info",), "success", "established, responder attempted to close, no reply from originator"),
    "RSTO": (("info",), "success", "established, originator aborted"),
    "RSTR": (("info",), "success", "established, responder aborted"),
    "RSTOS0": (("info",), "failure", "originator sent a SYN followed by a RST, no reply from the responder"),
    "RSTRH": (("info",), "success", "responder sent a SYN ACK followed by a RST, no SYN from the originator"),
    "SH": (("info",), "failure", "originator sent a SYN followed by a FIN, no reply from the responder"),
    "SHR": (("info",), "success", "responder sent a SYN ACK followed by a FIN, no SYN from the originator"),
    "OTH": (("info",), "success", "no SYN seen, traffic in midstream"),
}
_FLAGS = {True: True, "T": True, "true": True, False: False, "F": False, "false": False}


def _flag(value: Any) -> bool | None:
    """A truth value, written as JSON does or as the tab-separated logs do."""
    return _FLAGS.get(value) if isinstance(value, (bool, str)) else None


def _outcome(value: Any) -> str | None:
    flag = _flag(value)
    return None if flag is None else "success" if flag else "failure"


def listed(value: Any) -> list[str]:
    """A vector or set as a list of texts."""
    if isinstance(value, list):
        return [as_text(item) for item in value[:256]]
    return value.split(",")[:256] if isinstance(value, str) and value else []


def nanoseconds(value: Any) -> int | None:
    """Seconds as whole nanoseconds, None for what is no length of time."""
    if type(value) is float and 0 <= value < 1e9:
        return round(value * 1e9)
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) else -1.0
    except ValueError:
        return None
    return round(seconds * 1e9) if 0 <= seconds < 1e9 else None


def _took(event: Event, value: Any) -> None:
    length = nanoseconds(value)
    if length is not None:
        event["event.duration"] = length


def _is(
    event: Event, category: list[str], kind: list[str], action: str | None = None, outcome: str | None = None
) -> None:
    event["event.category"], event["event.type"] = category, kind
    if action:
        event["event.action"] = action
    if outcome:
        event["event.outcome"] = outcome


def _conn(facts: dict[str, Any], event: Event) -> None:
    get = facts.get
    state = get("conn_state")
    found = _STATES.get(state) if isinstance(state, str) else None
    event["event.category"] = ["network"]
    if found is None:
        event["event.type"] = ["connection", "info"]
    else:
        event["event.type"] = ["connection", *found[0]]
        event["event.outcome"], event["event.reason"] = found[1:]
    for name, key, instead in _TRAFFIC:
        if (count := get(key, get(instead))) is not None:
            put_count(event, name, count)
    put_total(event, "bytes")
    put_total(event, "packets")
    _took(event, get("duration"))
    put(event, "network.protocol", get("service"))
    put(event, "almena.zeek.conn_state", state)
    put(event, "almena.zeek.history", get("history"))
    direction = _DIRECTIONS.get((_flag(get("local_orig")), _flag(get("local_resp"))))
    if direction is not None:
        event["network.direction"] = direction
    for side, key in (("source.mac", "orig_l2_addr"), ("destination.mac", "resp_l2_addr")):
        if isinstance(mac := get(key), str):
            event[side] = mac.upper().replace(":", "-")
    put(event, "network.vlan.id", get("vlan"))


_TRAFFIC = (
    ("source.bytes", "orig_ip_bytes", "orig_bytes"),
    ("destination.bytes", "resp_ip_bytes", "resp_bytes"),
    ("source.packets", "orig_pkts", ""),
    ("destination.packets", "resp_pkts", ""),
)
_DIRECTIONS: dict[tuple[bool | None, bool | None], str] = {
    (True, True): "internal",
    (True, False): "outbound",
    (False, True): "inbound",
    (False, False): "external",
}


def _dns(facts: dict[str, Any], event: Event) -> None:
    _is(event, ["network"], ["connection", "protocol", "info"])
    event["network.protocol"] = "dns"
    put(event, "dns.question.name", facts.get("query"))
    put(event, "dns.question.type", facts.get("qtype_name"))
    kind = facts.get("qclass_name")
    put(event, "dns.question.class", "IN" if kind == "C_INTERNET" else kind)
    put(event, "dns.response_code", facts.get("rcode_name"))
    put(event, "dns.id", facts.get("trans_id"))
    answers = listed(facts.get("answers"))
    if answers:
        event["dns.answers.data"] = answers
        resolved = [found for answer in answers if (found := address(answer)) is not None]
        if resolved:
            event["dns.resolved_ip"] = resolved
    flags = [flag for flag in ("AA", "TC", "RD", "RA") if _flag(facts.get(flag))]
    if flags:
        event["dns.header_flags"] = flags
    event["dns.type"] = "answer" if "rcode_name" in facts else "query"
    code = facts.get("rcode_name")
    event["event.outcome"] = "unknown" if code is None else "success" if code == "NOERROR" else "failure"
    _took(event, facts.get("rtt"))


def _http(facts: dict[str, Any], event: Event) -> None:
    status = number(facts.get("status_code"))
    outcome = None if status is None else "failure" if status >= 400 else "success"
    _is(event, ["network", "web"], ["connection", "info", "protocol"], facts.get("method"), outcome)
    event["network.protocol"], event["network.transport"] = "http", "tcp"
    put(event, "http.request.method", facts.get("method"))
    if status is not None and 0 < status < 1_000:
        event["http.response.status_code"] = status
    put(event, "http.version", facts.get("version"))
    put(event, "http.request.referrer", facts.get("referrer"))
    put_count(event, "http.request.body.bytes", facts.get("request_body_len"))
    put_count(event, "http.response.body.bytes", facts.get("response_body_len"))
    put(event, "user_agent.original", facts.get("user_agent"))
    host, uri = facts.get("host"), facts.get("uri")
    if isinstance(uri, str):
        _url(uri, event)
    if isinstance(host, str):
        name, _, port = host.rpartition(":") if host.count(":") == 1 else (host, "", "")
        event["url.domain"] = name
        put_port(event, "url.port", port)
    put(event, "url.username", facts.get("username"))
    put_user(event, facts.get("username") if isinstance(facts.get("username"), str) else None)
    types = listed(facts.get("resp_mime_types"))
    if types:
        event["http.response.mime_type"] = types[0]


def _url(uri: str, event: Event) -> None:
    if "://" in uri[:16]:
        put_url(event, uri)
        return
    event["url.original"] = uri
    path, mark, query = uri.partition("?")
    if path.startswith("/"):
        event["url.path"] = path
    if mark and query:
        event["url.query"] = query


def _ssl(facts: dict[str, Any], event: Event) -> None:
    _is(event, ["network"], ["connection", "protocol"], None, _outcome(facts.get("established")))
    event["network.transport"], event["network.protocol"] = "tcp", "tls"
    version = facts.get("version")
    if isinstance(version, str) and version[:3] in ("TLS", "SSL") and version[3:].lstrip("v").isdigit():
        digits = version[3:].lstrip("v")
        event["tls.version_protocol"] = version[:3].lower()
        event["tls.version"] = f"{digits[0]}.{digits[1:] or '0'}"
    put(event, "tls.cipher", facts.get("cipher"))
    put(event, "tls.curve", facts.get("curve"))
    put(event, "tls.client.server_name", facts.get("server_name"))
    put(event, "destination.domain", facts.get("server_name"))
    put(event, "tls.next_protocol", facts.get("next_protocol"))
    put(event, "tls.client.ja3", facts.get("ja3"))
    put(event, "tls.server.ja3s", facts.get("ja3s"))
    put(event, "tls.server.subject", facts.get("subject"))
    put(event, "tls.server.issuer", facts.get("issuer"))
    for key, name in (("established", "tls.established"), ("resumed", "tls.resumed")):
        if (flag := _flag(facts.get(key))) is not None:
            event[name] = flag


def _ssh(facts: dict[str, Any], event: Event) -> None:
    outcome = _outcome(facts.get("auth_success")) or "unknown"
    _is(event, ["network", "authentication"], ["connection", "protocol"], "ssh_login", outcome)
    event["network.transport"], event["network.protocol"] = "tcp", "ssh"
    put(event, "user_agent.original", facts.get("client"))


def _files(facts: dict[str, Any], event: Event) -> None:
    _is(event, ["file"], ["info"])
    for key, name in (("md5", "file.hash.md5"), ("sha1", "file.hash.sha1"), ("sha256", "file.hash.sha256")):
        put(event, name, facts.get(key))
    put(event, "file.name", facts.get("filename"))
    put(event, "file.mime_type", facts.get("mime_type"))
    put_count(event, "file.size", facts.get("total_bytes") or facts.get("seen_bytes"))
    put(event, "network.protocol", str(facts["source"]).lower() if "source" in facts else None)
    for side, keys in (("source", ("tx_hosts", "id.orig_h")), ("destination", ("rx_hosts", "id.resp_h"))):
        hosts = next((found for key in keys if (found := listed(facts.get(key)))), [])
        if hosts and f"{side}.address" not in event:
            put_end(event, side, hosts[0])
    _took(event, facts.get("duration"))


def _smtp(facts: dict[str, Any], event: Event) -> None:
    _is(event, ["network", "email"], ["connection", "protocol"])
    event["network.protocol"], event["network.transport"] = "smtp", "tcp"
    put(event, "email.from.address", _mail(facts.get("mailfrom")))
    to = [mail for item in listed(facts.get("rcptto") or facts.get("to")) if (mail := _mail(item))]
    if to:
        event["email.to.address"] = to
    put(event, "email.subject", facts.get("subject"))
    put(event, "email.message_id", _mail(facts.get("msg_id")))
    put(event, "email.x_mailer", facts.get("user_agent"))
    put(event, "source.domain", facts.get("helo"))


def _mail(value: Any) -> str | None:
    return value.strip().strip("<>") or None if isinstance(value, str) else None


def _notice(facts: dict[str, Any], event: Event) -> None:
    _is(event, ["intrusion_detection"], ["info"], facts.get("note") if isinstance(facts.get("note"), str) else None)
    event["event.kind"] = "alert"
    if "source.address" not in event:
        put_end(event, "source", facts.get("src"))
        put_end(event, "destination", facts.get("dst"), facts.get("p"))
    put(event, "rule.name", facts.get("note"))
    put(event, "rule.description", facts.get("msg"))
    put(event, "message", facts.get("msg"))


def _weird(facts: dict[str, Any], event: Event) -> None:
    _is(event, ["network"], ["info"])
    put(event, "rule.name", facts.get("name"))
    put(event, "event.action", facts.get("name"))
    put(event, "event.reason", facts.get("addl"))


def _dhcp(facts: dict[str, Any], event: Event) -> None:
    kinds = listed(facts.get("msg_types"))
    _is(event, ["network"], ["connection", "protocol", "info"], f"dhcp{kinds[-1].lower()}" if kinds else None)
    event["network.protocol"], event["network.transport"] = "dhcp", "udp"
    put_end(event, "source", facts.get("client_addr") or facts.get("assigned_addr"), facts.get("client_port", 68))
    put_end(event, "destination", facts.get("server_addr"), facts.get("server_port", 67))
    mac = facts.get("mac")
    if isinstance(mac, str):
        event["source.mac"] = mac.upper().replace(":", "-")
    put(event, "almena.dhcp.host_name", facts.get("host_name"))
    put_count(event, "almena.dhcp.lease_seconds", as_text(facts.get("lease_time", "")).partition(".")[0])


def _x509(facts: dict[str, Any], event: Event) -> None:
    _is(event, ["network"], ["info"])
    put(event, "tls.server.x509.subject.distinguished_name", facts.get("certificate.subject"))
    put(event, "tls.server.x509.issuer.distinguished_name", facts.get("certificate.issuer"))
    put(event, "tls.server.x509.serial_number", facts.get("certificate.serial"))
    names = listed(facts.get("san.dns"))
    if names:
        event["tls.server.x509.alternative_names"] = names


READERS: dict[str, Reader] = {
    "conn": _conn,
    "dns": _dns,
    "http": _http,
    "ssl": _ssl,
    "ssh": _ssh,
    "files": _files,
    "smtp": _smtp,
    "notice": _notice,
    "weird": _weird,
    "dhcp": _dhcp,
    "x509": _x509,
    **zeek_more.READERS,
}
"""By the name of the log."""

other = zeek_more.other
"""Reads a record of any other."""
