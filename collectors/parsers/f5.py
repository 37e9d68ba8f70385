"""F5's BIG-IP: what the traffic manager, logins, audits and access sessions (APM) say; fields of AFM and ASM.

<133>Nov 22 13:34:00 lb1 notice tmm[811]: 01490500:5: /Common/vpn:Common:1a2b3c4d: New session from client IP ...
<133>Nov 22 13:34:00 lb1 notice mcpd[811]: 01070417:5: AUDIT - client tmui, user ana - transaction #1-2 - object ...
<131>Nov 22 13:34:00 lb1 ASM:unit_hostname="lb1",policy_name="/Common/web",request_status="blocked",...
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import f5_fields, f5_telemetry, sshd
from collectors.parsers.format import Format
from collectors.parsers.network import put_count, put_end, put_nat, put_total, put_user

_LEVELS = ("emerg", "alert", "crit", "err", "error", "warning", "notice", "info", "debug")
_PROGRAMS = ("tmm", "mcpd", "apmd", "bigd", "sod", "httpd", "sshd", "tmsh", "logger", "gtmd", "icrd_child", "alertd")
_BIGIP = ("tmm", "mcpd", "apmd", "apd", "bigd", "sod", "tmsh", "gtmd", "big3d", "icrd_child", "iprepd", "eam", "websso")
_LEVEL = re.compile(
    rf"(?:({'|'.join(_LEVELS)}) )?(?:([\w./-]{{1,64}})(?:\([\w-]{{1,32}}\))?(?:\[(\d{{1,9}})\])?: )?",
    re.ASCII,
)
_CODE = re.compile(r"([0-9a-f]{8}):([0-7]): ", re.ASCII)
_ADDRESS = r"(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,42}?)"
_ROUTE = r"(?:%\d{1,5})?"
_SESSION = re.compile(r"(?:(/[^\s:]{1,256}):([^\s:]{1,64}):)?([0-9a-f]{8}): ", re.ASCII)
_NEW_SESSION = re.compile(
    rf"New session from client IP ({_ADDRESS}){_ROUTE} .{{0,128}}?at VIP ({_ADDRESS}){_ROUTE}"
    r"(?: Listener (\S{1,256}))?",
    re.ASCII,
)
_USERNAME = re.compile(r"Username '(.{1,256}?)'$", re.ASCII)
_AGENT = re.compile(r"Received User-Agent header: (.{1,1024})$", re.ASCII)
_RESULT = re.compile(r"Access policy result: (\S{1,64})", re.ASCII)
_BYTES = re.compile(r"Session statistics - bytes in: ?(\d{1,18}), bytes out: ?(\d{1,18})", re.ASCII)
_DELETED = re.compile(r"Session deleted(?: \(\w{1,32}\))?(?: due to (.{1,128}?))?\.?$", re.ASCII)
_ASSIGNED = re.compile(
    rf"Assigned PPP (?:Dynamic|Static) IPv[46]: ({_ADDRESS}) .{{0,256}}?Client IP: ({_ADDRESS})(?:\s|$)",
    re.ASCII,
)
_MODULE = re.compile(
    r"\w{2,16} (?:module|agent): .{0,64}?(?:authentication|authenticate|Auth\w*) with '(.{1,256}?)' (failed|successful)"
    r"(?:(?: in \w{1,32})?: (.{1,256}?)(?: \(|$))?",
    re.ASCII,
)
_CLIENT_IP = re.compile(rf"session\.user\.clientip' ?(?:set to|is) '?({_ADDRESS})'?", re.ASCII)

_PAM = re.compile(
    r"([\w.-]{1,32})\((?:pam_audit|mod_auth_pam)\): [Uu]ser=([^\s(]{1,128})(?:\([^)]{0,128}\))? ",
    re.ASCII,
)
_PAM_BARE = re.compile(r"[Uu]ser=([^\s(]{1,128})(?:\([^)]{0,128}\))? (?:partition=|tty=)", re.ASCII)
_HOST = re.compile(r" host=([^\s]{1,255})", re.ASCII)
_AUDIT = re.compile(
    r"AUDIT - (?:client (?P<client>[^,]{1,64}), )?(?:[a-z]{1,16}-pid \d{1,9}, )?"
    r"user (?P<user>[^\s,]{1,128}) - (?P<rest>.*)$",
    re.ASCII | re.DOTALL,
)
_TMSH = re.compile(
    r"AUDIT - pid=\d{1,9} user=(\S{1,128}) folder=\S{0,256} module=\S{1,128} status=\[([^\]]{1,256})\] cmd_data=(.*)$",
    re.ASCII | re.DOTALL,
)
_STATUS = re.compile(r"\[Status=([^\]]{1,128})\]", re.ASCII)
_AUTHCACHE = re.compile(
    r"\[client ([^\]\s]{2,45})\] (?:AUTHCACHE )?PAM: user '(.{0,256}?)'"
    r" - (?:not authenticated|(?:invalid|locked)[^:]{0,32}): ([^,]{1,128})",
    re.ASCII,
)
_POOL = re.compile(
    rf"(?:Pool (\S{{1,256}}) )?(?:member|Node) /?(?:\S{{1,128}}/)?({_ADDRESS})(?:[:.](\d{{1,5}}))?"
    r" (?:address )?monitor status (?:forced )?(up|down|unchecked|disabled)",
    re.ASCII,
)
_PAIR = re.compile(rf"({_ADDRESS}){_ROUTE}:(\d{{1,5}}) (?:->? ?|to )({_ADDRESS}){_ROUTE}:(\d{{1,5}})", re.ASCII)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of BIG-IP into the event; False when it is of another sender."""
    if message.startswith("ASM:"):
        message = message[4:]
    if f5_fields.put(message, event, context):
        return _sign(event)
    head = _LEVEL.match(message)
    assert head is not None  # every part of it may be missing
    level, program, pid = head.groups()
    if level is not None:
        event["log.level"] = level
    if program is not None:
        event["process.name"] = program
        if pid is not None:
            event["process.pid"] = int(pid)
    else:
        program = event.get("process.name", "")
    text = message[head.end() :]
    code = _CODE.match(text)
    if code is None:
        return _plain(program, text, level is not None, message, event, context)
    event["event.code"], event["event.severity"] = code[1], int(code[2])
    event["message"] = message
    _coded(text[code.end() :][:8_192], event)
    return _sign(event)


def _sign(event: Event) -> bool:
    event["observer.vendor"], event["observer.product"] = "F5", "BIG-IP"
    if "host.name" in event:
        event.setdefault("observer.name", event["host.name"])
    event.setdefault("event.category", ["network"])
    event.setdefault("event.type", ["info"])
    return True


def _say(event: Event, action: str, outcome: str | None, category: list[str], types: list[str]) -> None:
    event["event.action"] = action
    if outcome is not None:
        event["event.outcome"] = outcome
    event["event.category"], event["event.type"] = category, types


def _login(event: Event, *, failed: bool) -> None:
    action, outcome = ("logon-failed", "failure") if failed else ("logged-in", "success")
    _say(event, action, outcome, ["authentication"], ["start"])


def _plain(program: str, text: str, levelled: bool, message: str, event: Event, context: Context) -> bool:
    """Lines without a number: of the management's web server, of sshd, of PAM, of iRules."""
    refused = _AUTHCACHE.search(text[:1_024])
    if refused is not None:
        put_end(event, "source", refused[1])
        put_user(event, refused[2])
        event["event.reason"] = refused[3]
        _say(event, "logon-failed", "failure", ["authentication"], ["start"])
    elif _pam(text[:2_048], event) or (program == "sshd" and levelled and sshd.read(text, event, context)):
        pass
    elif program.rstrip("0123456789") not in (_PROGRAMS if levelled else _BIGIP):
        return False
    event["message"] = message
    return _sign(event)


def _pam(text: str, event: Event) -> bool:
    """`sshd(pam_audit): user=ana(ana) partition=[All] level=Administrator tty=ssh host=10.0.0.9 attempts=1 ...`."""
    found = _PAM.search(text)
    user = found[2] if found is not None else None
    if found is not None:
        event["network.application"] = found[1]
    else:
        bare = _PAM_BARE.match(text)
        if bare is None:
            return False
        user = bare[1]
    put_user(event, user)
    host = _HOST.search(text)
    if host is not None and host[1] != "(unknown)":
        put_end(event, "source", host[1])
    failed = "failed to login" in text
    _login(event, failed=failed)
    if not failed and " end=" in text:
        _say(event, "logged-out", "success", ["session"], ["end"])
    return True


def _coded(text: str, event: Event) -> None:
    if text.startswith("AUDIT - "):
        _audit(text, event)
        return
    session = _SESSION.match(text)
    if session is not None:
        event["event.dataset"] = "f5.apm"
        event["almena.f5.session_id"] = session[3]
        if session[1]:
            event["rule.ruleset"] = session[1]
        _access(text[session.end() :], event)
        return
    pool = _POOL.search(text[:1_024])
    if pool is not None:
        put_end(event, "destination", pool[2], pool[3])
        up = pool[4] == "up"
        _say(event, f"monitor-{pool[4]}", "success" if up else "failure", ["network"], ["info"])
        return
    ends = _PAIR.search(text[:1_024])
    if ends is not None:
        put_end(event, "source", ends[1], ends[2])
        put_end(event, "destination", ends[3], ends[4])
    if text.startswith("RST sent "):
        _say(event, "connection-reset", None, ["network"], ["connection", "end"])
        event["event.reason"] = text.rpartition("] ")[2]
    elif "handshake failed" in text.lower() or "Connection error" in text:
        _say(event, "connection-failed", "failure", ["network"], ["connection", "error"])


def _audit(text: str, event: Event) -> None:
    tmsh = _TMSH.match(text)
    if tmsh is not None:
        put_user(event, tmsh[1])
        event["process.command_line"] = tmsh[3].rstrip(".")
        outcome = "success" if tmsh[2] == "Command OK" else "failure"
        _say(event, "command-executed", outcome, ["configuration"], ["change"])
        return
    audit = _AUDIT.match(text)
    if audit is None:
        return
    put_user(event, audit["user"])
    if audit["client"]:
        event["network.application"] = audit["client"]
    rest = audit["rest"]
    if rest.startswith("RAW: ") and _pam(rest[5:], event):
        return
    status = _STATUS.search(rest)
    event["process.command_line"] = rest
    outcome = "failure" if status is not None and status[1] != "Command OK" else "success"
    _say(event, "configuration-changed", outcome, ["configuration"], ["change"])


def _access(text: str, event: Event) -> None:
    """What the access policy manager says of a session."""
    new = _NEW_SESSION.match(text)
    if new is not None:
        put_end(event, "source", new[1])
        put_end(event, "destination", new[2])
        return _say(event, "session-started", "success", ["session", "network"], ["start"])
    if (name := _USERNAME.match(text)) is not None:
        put_user(event, name[1])
        return _say(event, "username", None, ["authentication"], ["info"])
    if (agent := _AGENT.match(text)) is not None:
        event["user_agent.original"] = agent[1]
    if (result := _RESULT.match(text)) is not None:
        denied = "Deny" in result[1]
        event["event.reason"] = result[1]
        types = ["denied" if denied else "allowed"]
        return _say(event, "access-policy", "failure" if denied else "success", ["authentication"], types)
    if (module := _MODULE.match(text)) is not None:
        put_user(event, module[1])
        if module[3]:
            event["event.reason"] = module[3]
        failed = module[2] == "failed"
        return _login(event, failed=failed)
    return _traffic(text, event)


def _traffic(text: str, event: Event) -> None:
    if (given := _ASSIGNED.match(text)) is not None:
        put_end(event, "source", given[2])
        put_nat(event, "source", given[1])
        return _say(event, "address-assigned", "success", ["network", "session"], ["start"])
    if (counts := _BYTES.match(text)) is not None:
        put_count(event, "source.bytes", counts[1])
        put_count(event, "destination.bytes", counts[2])
        put_total(event, "bytes")
        return _say(event, "session-statistics", None, ["session"], ["info"])
    if (deleted := _DELETED.match(text)) is not None:
        if deleted[1]:
            event["event.reason"] = deleted[1]
        return _say(event, "session-ended", "success", ["session", "network"], ["end"])
    if (address := _CLIENT_IP.search(text[:512])) is not None:
        put_end(event, "source", address[1])
    return None


FORMAT = Format(
    name="f5",
    dataset="f5.bigip",
    read=read,
    convert=f5_telemetry.convert,
    fits=f5_telemetry.fits,
    words=False,
    programs=("ASM", *_BIGIP, *(f"tmm{at}" for at in range(64))),
    begins=(
        "ASM:",
        'unit_hostname="',
        'acl_policy_name="',
        'hostname="',
        "action=Blocking;",
        "action=Transparent;",
        "action=None;",
        *(f"{level} {program}" for level in _LEVELS for program in _PROGRAMS),
    ),
)
