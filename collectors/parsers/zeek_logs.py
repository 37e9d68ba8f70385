"""What each of Zeek's logs says, in ECS: one function per log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from almena.event import Event
from collectors.parsers.common import address, as_text, number
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_count, put_end, put_port, put_total, put_user

DATASETS = {"conn": "connection"}
"""Names of logs that data sets call otherwise."""

Reader = Callable[[dict[str, Any], Event], None]

_STATES = {
    "S0": "connection attempt seen, no reply",
    "S1": "connection established, not terminated",
    "SF": "normal establishment and termination",
    "REJ": "connection attempt rejected",
    "S2": "established, originator attempted to close, no reply from responder",
    "S3": "established, responder attempted to close, no reply from originator",
    "RSTO": "established, originator aborted",
    "RSTR": "established, responder aborted",
    "RSTOS0": "originator sent a SYN followed by a RST, no reply from the responder",
    "RSTRH": "responder sent a SYN ACK followed by a RST, no SYN from the originator",
    "SH": "originator sent a SYN followed by a FIN, no reply from the responder",
    "SHR": "responder sent a SYN ACK followed by a FIN, no SYN from the originator",
    "OTH": "no SYN seen, traffic in midstream",
}
_REFUSED = ("REJ", "S0", "RSTOS0", "SH")
_TRUE = (True, "T", "true")
_FALSE = (False, "F", "false")


def listed(value: Any) -> list[str]:
    """A vector or set as a list of texts."""
    if isinstance(value, list):
        return [as_text(item) for item in value[:256]]
    return value.split(",")[:256] if isinstance(value, str) and value else []


def nanoseconds(value: Any) -> int | None:
    """Seconds as whole nanoseconds, None for what is no length of time."""
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
    state = facts.get("conn_state")
    _is(event, ["network"], ["connection"])
    event["event.type"] += {"SF": ["start", "end"], "S1": ["start"], "REJ": ["denied", "start"]}.get(
        str(state), ["info"]
    )
    for key, name in (
        ("orig_ip_bytes", "source.bytes"),
        ("resp_ip_bytes", "destination.bytes"),
        ("orig_pkts", "source.packets"),
        ("resp_pkts", "destination.packets"),
    ):
        if key in facts:
            put_count(event, name, facts[key])
    for key, name in (("orig_bytes", "source.bytes"), ("resp_bytes", "destination.bytes")):
        if name not in event and key in facts:
            put_count(event, name, facts[key])
    put_total(event, "bytes")
    put_total(event, "packets")
    _took(event, facts.get("duration"))
    put(event, "network.protocol", facts.get("service"))
    put(event, "almena.zeek.conn_state", state)
    put(event, "almena.zeek.history", facts.get("history"))
    if isinstance(state, str) and state in _STATES:
        event["event.reason"] = _STATES[state]
        event["event.outcome"] = "failure" if state in _REFUSED else "success"
    here, there = facts.get("local_orig"), facts.get("local_resp")
    if here in (*_TRUE, *_FALSE) and there in (*_TRUE, *_FALSE):
        inside, outside = here in _TRUE, there in _TRUE
        event["network.direction"] = (
            ("internal" if outside else "outbound") if inside else ("inbound" if outside else "external")
        )
    for side, key in (("source", "orig_l2_addr"), ("destination", "resp_l2_addr")):
        if isinstance(mac := facts.get(key), str):
            event[f"{side}.mac"] = mac.upper().replace(":", "-")
    put(event, "network.vlan.id", facts.get("vlan"))


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
    flags = [flag for flag in ("AA", "TC", "RD", "RA") if facts.get(flag) in _TRUE]
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
    if isinstance(host, str):
        name, _, port = host.rpartition(":") if host.count(":") == 1 else (host, "", "")
        event["url.domain"] = name
        put_port(event, "url.port", port)
    if isinstance(uri, str):
        event["url.original"] = uri
        path, mark, query = uri.partition("?")
        if path.startswith("/"):
            event["url.path"] = path
        if mark:
            event["url.query"] = query
    put_user(event, facts.get("username") if isinstance(facts.get("username"), str) else None)
    types = listed(facts.get("resp_mime_types"))
    if types:
        event["http.response.mime_type"] = types[0]


def _ssl(facts: dict[str, Any], event: Event) -> None:
    done = facts.get("established")
    outcome = "success" if done in _TRUE else "failure" if done in _FALSE else None
    _is(event, ["network"], ["connection", "protocol"], None, outcome)
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
        if facts.get(key) in (*_TRUE, *_FALSE):
            event[name] = facts[key] in _TRUE


def _ssh(facts: dict[str, Any], event: Event) -> None:
    done = facts.get("auth_success")
    outcome = "success" if done in _TRUE else "failure" if done in _FALSE else "unknown"
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


def _user_log(protocol: str, transport: str, *, name: str = "user", success: str = "success") -> Reader:
    """A log about somebody who signs in by a protocol."""

    def read(facts: dict[str, Any], event: Event) -> None:
        done = facts.get(success)
        outcome = (
            "success" if done in _TRUE or done == "success" else "failure" if done in (*_FALSE, "failed") else "unknown"
        )
        _is(event, ["network", "authentication"], ["connection", "protocol"], None, outcome)
        event["network.protocol"], event["network.transport"] = protocol, transport
        user = facts.get(name)
        if isinstance(user, str):
            client = user.partition("/")[0] if protocol == "kerberos" else user
            put_user(event, client)
        put(event, "user.domain", facts.get("domainname"))
        put(event, "event.action", facts.get("command") or facts.get("request_type"))
        put(event, "event.reason", facts.get("error_msg") or facts.get("status") or facts.get("reply_msg"))
        put(event, "almena.zeek.service", facts.get("service"))
        put(event, "host.name", facts.get("hostname"))

    return read


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
    put_end(event, "source", facts.get("client_addr") or facts.get("assigned_addr"))
    put_end(event, "destination", facts.get("server_addr"))
    mac = facts.get("mac")
    if isinstance(mac, str):
        event["source.mac"] = mac.upper().replace(":", "-")
    put(event, "almena.dhcp.host_name", facts.get("host_name"))
    put_count(event, "almena.dhcp.lease_seconds", as_text(facts.get("lease_time", "")).partition(".")[0])


def _smb(facts: dict[str, Any], event: Event) -> None:
    action = facts.get("action")
    _is(event, ["network", "file"], ["connection", "protocol"], action.lower() if isinstance(action, str) else None)
    event["network.protocol"], event["network.transport"] = "smb", "tcp"
    put(event, "file.path", facts.get("path"))
    put(event, "file.name", facts.get("name"))
    put_count(event, "file.size", facts.get("size"))


def _x509(facts: dict[str, Any], event: Event) -> None:
    _is(event, ["network"], ["info"])
    put(event, "tls.server.x509.subject.distinguished_name", facts.get("certificate.subject"))
    put(event, "tls.server.x509.issuer.distinguished_name", facts.get("certificate.issuer"))
    put(event, "tls.server.x509.serial_number", facts.get("certificate.serial"))
    names = listed(facts.get("san.dns"))
    if names:
        event["tls.server.x509.alternative_names"] = names


def _tunnel(facts: dict[str, Any], event: Event) -> None:
    action = facts.get("action")
    _is(event, ["network"], ["connection"], action if isinstance(action, str) else None)


def _plain(protocol: str, transport: str) -> Reader:
    def read(facts: dict[str, Any], event: Event) -> None:
        _is(event, ["network"], ["connection", "protocol"])
        event.setdefault("network.transport", transport)
        event["network.protocol"] = protocol
        put(
            event,
            "event.action",
            facts.get("method") or facts.get("command") or facts.get("operation") or facts.get("cmd"),
        )
        put_user(event, facts.get("user") if isinstance(facts.get("user"), str) else None)

    return read


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
    "tunnel": _tunnel,
    "smb_files": _smb,
    "smb_mapping": _smb,
    "ftp": _user_log("ftp", "tcp"),
    "kerberos": _user_log("kerberos", "tcp", name="client"),
    "ntlm": _user_log("ntlm", "tcp", name="username"),
    "radius": _user_log("radius", "udp", name="username", success="result"),
    "rdp": _user_log("rdp", "tcp", name="cookie", success="result"),
    "sip": _plain("sip", "udp"),
    "snmp": _plain("snmp", "udp"),
    "dce_rpc": _plain("dce_rpc", "tcp"),
    "mysql": _plain("mysql", "tcp"),
    "irc": _plain("irc", "tcp"),
    "socks": _plain("socks", "tcp"),
    "modbus": _plain("modbus", "tcp"),
    "dnp3": _plain("dnp3", "tcp"),
    "ntp": _plain("ntp", "udp"),
    "quic": _plain("quic", "udp"),
}
"""By the name of the log."""
