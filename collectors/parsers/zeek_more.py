"""What Zeek's rarer logs say, in ECS: protocols of which a record tells little more than who did what, and lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from almena.event import Event
from collectors.parsers.common import address, number
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_count, put_end, put_port, put_transport, put_user

Reader = Callable[[dict[str, Any], Event], None]
Judge = Callable[[dict[str, Any]], str | None]


def text(value: Any) -> str | None:
    """A value that is a text, None for every other."""
    return value if isinstance(value, str) and value else None


def _flag(key: str, missing: str | None = None) -> Judge:
    """The outcome by a truth value."""
    said = {True: "success", "T": "success", False: "failure", "F": "failure"}

    def judge(facts: dict[str, Any]) -> str | None:
        value = facts.get(key)
        return said.get(value, missing) if isinstance(value, (bool, str)) else missing

    return judge


def _word(key: str, good: str) -> Judge:
    """The outcome by a word that stands for success; every other stands for failure."""

    def judge(facts: dict[str, Any]) -> str | None:
        value = text(facts.get(key))
        return None if value is None else "success" if value.lower().startswith(good) else "failure"

    return judge


def _sip_outcome(facts: dict[str, Any]) -> str | None:
    status = number(facts.get("status_code"))
    return None if status is None else "failure" if status >= 400 else "success"


def _modbus_outcome(facts: dict[str, Any]) -> str | None:
    return "success" if text(facts.get("exception")) is None else "failure"


def _protocol(
    name: str,
    transport: str = "tcp",
    *,
    action: tuple[str, ...] = (),
    user: str = "user",
    outcome: Judge | None = None,
    category: tuple[str, ...] = (),
    more: Reader | None = None,
) -> Reader:
    """The reader of a protocol's log: the fields of its action and of its user, and how it is judged."""

    def read(facts: dict[str, Any], event: Event) -> None:
        event["event.category"] = ["network", *category]
        event["event.type"] = ["connection", "protocol"]
        event["network.protocol"] = name
        event.setdefault("network.transport", transport)
        for key in action:
            put(event, "event.action", facts.get(key))
        put_user(event, text(facts.get(user)))
        if outcome is not None:
            event["event.outcome"] = outcome(facts) or "unknown"
        if more is not None:
            more(facts, event)

    return read


def _kerberos(facts: dict[str, Any], event: Event) -> None:
    client, slash, realm = (text(facts.get("client")) or "").partition("/")
    put_user(event, client)
    if slash and realm:
        event["user.domain"] = realm
    put(event, "event.reason", facts.get("error_msg"))
    put(event, "almena.zeek.service", facts.get("service"))
    put(event, "almena.zeek.cipher", facts.get("cipher"))


def _dce_rpc(facts: dict[str, Any], event: Event) -> None:
    put(event, "almena.zeek.service", facts.get("endpoint"))


def _ftp(facts: dict[str, Any], event: Event) -> None:
    put(event, "event.reason", facts.get("reply_msg"))
    put(event, "file.path", facts.get("arg"))
    put_count(event, "file.size", facts.get("file_size"))
    code = number(facts.get("reply_code"))
    if code is not None:
        event["event.outcome"] = "failure" if code >= 400 else "success"


def _ntlm(facts: dict[str, Any], event: Event) -> None:
    put(event, "user.domain", facts.get("domainname"))
    put(event, "host.name", facts.get("hostname"))
    put(event, "event.reason", facts.get("status"))


def _radius(facts: dict[str, Any], event: Event) -> None:
    put(event, "event.reason", facts.get("reply_msg"))
    if (mac := text(facts.get("mac"))) is not None:
        event["source.mac"] = mac.upper().replace(":", "-")


def _rdp(facts: dict[str, Any], event: Event) -> None:
    put(event, "event.reason", facts.get("result"))
    put(event, "host.name", facts.get("client_name"))


def _smb(facts: dict[str, Any], event: Event) -> None:
    place, name = text(facts.get("path")), text(facts.get("name"))
    put(event, "file.path", f"{place}\\{name}" if place and name else place)
    put(event, "file.name", name)
    put_count(event, "file.size", facts.get("size"))
    if facts.get("action") == "SMB::FILE_DELETE":
        event["event.type"] = [*event["event.type"], "deletion"]


def _smb_command(facts: dict[str, Any], event: Event) -> None:
    put(event, "file.path", facts.get("referenced_file.name"))
    put(event, "event.reason", facts.get("status"))


def _sip(facts: dict[str, Any], event: Event) -> None:
    for name in ("url.full", "url.original"):
        put(event, name, facts.get("uri"))
    put(event, "user_agent.original", facts.get("user_agent"))
    put(event, "event.reason", facts.get("status_msg"))


def _socks(facts: dict[str, Any], event: Event) -> None:
    put(event, "url.domain", facts.get("request.name") or facts.get("request.host"))
    put_port(event, "url.port", facts.get("request_p"))
    put(event, "event.reason", facts.get("status"))


def _irc(facts: dict[str, Any], event: Event) -> None:
    put(event, "file.name", facts.get("dcc_file_name"))
    put_count(event, "file.size", facts.get("dcc_file_size"))


def _dnp3(facts: dict[str, Any], event: Event) -> None:
    if (action := text(event.get("event.action"))) is not None:
        event["event.action"] = action.lower()


def _tunnel(facts: dict[str, Any], event: Event) -> None:
    other(facts, event)
    event["event.type"] = ["connection"]
    put(event, "event.action", facts.get("action"))


def _signature(facts: dict[str, Any], event: Event) -> None:
    event["event.kind"] = "alert"
    event["event.category"], event["event.type"] = ["network", "intrusion_detection"], ["info"]
    put_end(event, "source", facts.get("src_addr"), facts.get("src_port"))
    put_end(event, "destination", facts.get("dst_addr"), facts.get("dst_port"))
    put(event, "rule.id", facts.get("sig_id"))
    put(event, "rule.name", facts.get("sig_id"))
    put(event, "rule.description", facts.get("event_msg"))
    put(event, "message", facts.get("event_msg"))


_INDICATORS = {
    "Intel::ADDR": ("ipv4-addr", "threat.indicator.ip"),
    "Intel::URL": ("url", "threat.indicator.url.full"),
    "Intel::EMAIL": ("email-addr", "threat.indicator.email.address"),
    "Intel::FILE_NAME": ("file", "threat.indicator.file.name"),
}


def _intel(facts: dict[str, Any], event: Event) -> None:
    event["event.kind"] = "enrichment"
    event["event.category"], event["event.type"] = ["threat"], ["indicator"]
    seen, kind = text(facts.get("seen.indicator")), text(facts.get("seen.indicator_type"))
    if seen is None or kind not in _INDICATORS:
        return
    named, name = _INDICATORS[kind]
    value = address(seen) if name.endswith(".ip") else seen
    if value is not None:
        event["threat.indicator.type"] = "ipv6-addr" if name.endswith(".ip") and ":" in value else named
        event[name] = value


def _traceroute(facts: dict[str, Any], event: Event) -> None:
    other(facts, event)
    put_end(event, "source", facts.get("src"))
    put_end(event, "destination", facts.get("dst"))


def _syslog(facts: dict[str, Any], event: Event) -> None:
    other(facts, event)
    event["network.protocol"] = "syslog"
    put(event, "message", facts.get("message"))
    put(event, "log.syslog.facility.name", facts.get("facility"))
    put(event, "log.syslog.severity.name", facts.get("severity"))


def _known(facts: dict[str, Any], event: Event) -> None:
    """A host that answers, its services, certificates and programs."""
    other(facts, event)
    found = address(facts.get("host"))
    if found is not None:
        event["host.ip"] = [found]
    if "port_num" in facts:
        put_end(event, "server", found, facts["port_num"])
    put_transport(event, text(facts.get("port_proto")))
    put(event, "network.application", facts.get("service") if isinstance(facts.get("service"), str) else None)
    put(event, "tls.server.subject", facts.get("subject"))
    put(event, "tls.server.issuer", facts.get("issuer_subject"))
    put(event, "tls.server.x509.serial_number", facts.get("serial"))


def other(facts: dict[str, Any], event: Event) -> None:
    """A record of a log that nothing particular is known of."""
    event["event.category"], event["event.type"] = ["network"], ["info"]


READERS: dict[str, Reader] = {
    "kerberos": _protocol("kerberos", user="", action=("request_type",), outcome=_flag("success"), more=_kerberos,
                          category=("authentication",)),
    "ftp": _protocol("ftp", action=("command",), category=("session",), more=_ftp),
    "ntlm": _protocol("ntlm", user="username", outcome=_flag("success"), category=("authentication",), more=_ntlm),
    "radius": _protocol("radius", "udp", user="username", outcome=_word("result", "succ"), more=_radius,
                        category=("authentication",)),
    "rdp": _protocol("rdp", user="cookie", category=("session",), more=_rdp),
    "rfb": _protocol("rfb", outcome=_flag("auth"), category=("session",)),
    "smb_files": _protocol("smb", action=("action",), category=("file",), more=_smb),
    "smb_mapping": _protocol("smb", more=_smb),
    "smb_cmd": _protocol("smb", action=("command",), user="username", outcome=_word("status", "success"),
                         more=_smb_command),
    "dce_rpc": _protocol("dce_rpc", action=("operation",), more=_dce_rpc),
    "sip": _protocol("sip", "udp", action=("method",), outcome=_sip_outcome, more=_sip),
    "snmp": _protocol("snmp", "udp"),
    "socks": _protocol("socks", outcome=_word("status", "succeeded"), more=_socks),
    "mysql": _protocol("mysql", action=("cmd",), outcome=_flag("success", "failure"), category=("database",)),
    "irc": _protocol("irc", action=("command",), more=_irc),
    "modbus": _protocol("modbus", action=("func",), outcome=_modbus_outcome),
    "dnp3": _protocol("dnp3", action=("fc_request", "fc_reply"), more=_dnp3),
    "ntp": _protocol("ntp", "udp"),
    "quic": _protocol("quic", "udp"),
    "tunnel": _tunnel,
    "signature": _signature,
    "signatures": _signature,
    "intel": _intel,
    "traceroute": _traceroute,
    "syslog": _syslog,
    "known_hosts": _known,
    "known_services": _known,
    "known_certs": _known,
    "software": _known,
    **dict.fromkeys(("ocsp", "pe", "dpd", "stats", "capture_loss", "reporter", "loaded_scripts"), other),
}  # fmt: skip
"""By the name of the log."""
