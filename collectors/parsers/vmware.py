"""VMware ESXi and vCenter over syslog: sign-ins, tasks, the firewall of the hosts, and every other service's lines.

<166>2026-11-22T19:34:00.123Z esx1 Hostd: info hostd[2099] [Originator@6876 sub=Vimsvc.ha-eventmgr] Event 120 :
    User root@203.0.113.9 logged in as VMware-client/6.5.0
<14>2026-11-22T19:34:00.123Z vc1 vpxd 4242 - - Event [51233] [1-1] [2026-11-22T19:33:59Z] [vim.event...]
    [info] [VSPHERE.LOCAL\\ana] [DC] [51233] [User VSPHERE.LOCAL\\ana@203.0.113.9 logged in as JAX-WS RI 2.2.9]
"""

from __future__ import annotations

import contextlib
import re

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import vmware_sso
from collectors.parsers.common import instant
from collectors.parsers.format import Format
from collectors.parsers.network import put_end, put_user

_HEAD = re.compile(
    r"(?:(info|verbose|warning|error|trivia|panic|debug|In\(\d{1,3}\)|Wa\(\d{1,3}\)|Er\(\d{1,3}\)|Db\(\d{1,3}\)) )?"
    r"([A-Za-z][A-Za-z0-9_.-]{0,63})\[([A-F0-9]{1,16}|\d{1,10})\](?::)? ",
    re.ASCII,
)
_ORIGIN = re.compile(r"\[Originator@6876 ([^\]]{0,512})\] ?", re.ASCII)
_PART = re.compile(r"\b(sub|opID|user)=([^\s\]]{1,256})", re.ASCII)
_VPXD = re.compile(
    r"Event \[(\d{1,12})\] \[\d{1,6}-\d{1,6}\] \[([^\]]{10,40})\] \[([A-Za-z0-9_.]{1,128})\] \[(\w{1,16})\]"
    r" \[([^\]]{0,256})\] \[([^\]]{0,256})\] \[\d{0,12}\] \[(.*?)\]?$",
    re.ASCII | re.DOTALL,
)
_EVENT = re.compile(r"Event (\d{1,12}) : ", re.ASCII)
_LOGIN = re.compile(
    r"User (\S{1,256}?)@([0-9A-Fa-f:.]{2,45}) logged (in|out)(?: as (.{1,256})|.{0,256}?user agent: (.{1,256}?)\))?",
    re.ASCII,
)
_FULLY = re.compile(r"User \{Name: ([^,}]{1,256}), Domain: ([^,}]{1,256})\}.{0,256}? logged (in|out)", re.ASCII)
_FAILED = re.compile(r"Failed login (\S{1,256}) from ([0-9A-Fa-f:.]{2,45})", re.ASCII)
_ALLOWED = re.compile(
    r"Authorization Result: User=([^,\s]{1,256}), priv=([^,\s]{1,128}), authorized=(True|False)", re.ASCII
)
_KNOWN = re.compile(r"Authenticated user (\S{1,256})|Logged in user: \"?([^\"\s]{1,256})", re.ASCII)
_SESSION = re.compile(
    r"(?:SSH|ESXi Shell|DCUI) (?:session|login)s? .{0,64}?'?\b([\w.\\-]{1,128})@([0-9A-Fa-f:.]{2,45})'?", re.ASCII
)
_SHELL = re.compile(r"\[shell\.\w{1,16}@6876 ((?:[a-z]{1,16}=\"(?:[^\"\\]++|\\.)*+\" ?){1,8})\]", re.ASCII | re.DOTALL)
_SHELL_PART = re.compile(r"([a-z]{1,16})=\"((?:[^\"\\]++|\\.)*+)\"", re.ASCII | re.DOTALL)
_TYPED = re.compile(r"\[([\w.@\\-]{1,128})\]: (.{1,4096})$", re.ASCII | re.DOTALL)
_VOB = re.compile(r"\s{0,4}\[\w{1,64}\] \d{1,20}us: \[((?:vob|esx)\.[\w.]{1,128})\] {0,2}", re.ASCII)
_CORRELATORS = ("[UserLevelCorrelator] ", "[GenericCorrelator] ")
_CANNOT = re.compile(r"Cannot login (?:user )?(\S{1,256}?)@([0-9A-Fa-f:.]{2,45})(?:: (.{1,256}))?", re.ASCII)
_ACCEPTED = re.compile(r"Accepted password for user (\S{1,256}) from ([0-9A-Fa-f:.]{2,45})", re.ASCII)
_REJECTED = re.compile(r"Rejected password for user (\S{1,256}) from ([0-9A-Fa-f:.]{2,45})", re.ASCII)
_LOCKED = re.compile(r"user account '([^']{1,128})' has been locked", re.ASCII)
_CONSOLE = re.compile(r"authentication of user (\S{1,256}) (succeeded|failed)", re.ASCII)
_STS = re.compile(r"Authentication succeeded for user \[([^\]\s]{1,256})\]", re.ASCII)
_REFUSED = re.compile(r"Failed to authenticate principal \[([^\]\s]{1,256})\]", re.ASCII)
_AUDIT = re.compile(r"log\.syslog\.structured_data\.([\w.]{1,64})@6876\.(\w{1,32})", re.ASCII)
_SSO = re.compile(r"Authentication (?:of|for) user \[?([^\]\s]{1,256})\]? (?:failed|rejected)", re.ASCII)
_PROGRAMS = (
    *("Hostd", "hostd", "Vpxa", "vpxa", "vpxd", "vpxd-main", "vpxd-svcs", "Rhttpproxy", "rhttpproxy", "Fdm", "fdm"),
    *("vmkernel", "vmkwarning", "vobd", "hostd-probe", "esxupdate", "shell", "ESXShell", "VSANMGMTSVC", "vsansystem"),
    *("vmauthd", "sfcb-vmware_base", "envoy-access", "vsphere-ui", "sso-websso", "vcenter-server", "vmafdd", "vmdird"),
    *("sso-audit", "sso-events", "vmware-sso", "healthd"),
    *("applmgmt-audit", "updatemgr", "vmcad", "vmware-sts-idmd", "sso", "rsyslogd-vc", "vsan-health", "vapi-endpoint"),
    *("applmgmt", "vmon", "eam", "snmpd-esx", "vpxd-profiler", "vmsyslogd", "dcui", "crx-cli", "usbarb", "nfcd"),
)
_FILES = tuple(
    f"{level} {program}[" for level in ("info", "warning", "error", "verbose") for program in ("hostd", "vpxa", "vpxd")
)
"""How lines go on behind their time in the files of the services, before ESXi 8."""
_LEVELS = {"verbose": "debug", "trivia": "trace", "In": "info", "Wa": "warning", "Er": "error", "Db": "debug"}
_KINDS = {
    "UserLoginSessionEvent": "login",
    "UserLogoutSessionEvent": "logout",
    "BadUsernameSessionEvent": "login",
    "VmPoweredOnEvent": "vm-powered-on",
    "VmPoweredOffEvent": "vm-powered-off",
    "VmCreatedEvent": "vm-created",
    "VmRemovedEvent": "vm-removed",
    "VmClonedEvent": "vm-cloned",
    "VmReconfiguredEvent": "vm-reconfigured",
    "VmMigratedEvent": "vm-migrated",
    "PermissionAddedEvent": "permission-added",
    "PermissionRemovedEvent": "permission-removed",
    "PermissionUpdatedEvent": "permission-updated",
    "RoleAddedEvent": "role-added",
    "AccountCreatedEvent": "account-created",
    "AccountRemovedEvent": "account-removed",
    "AccountUpdatedEvent": "account-updated",
}


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of one of the services into the event."""
    if message[-1:] == "}" and vmware_sso.read(message, event):
        return True
    body = message
    head = _HEAD.match(body)
    if head is not None:
        level = head[1]
        if level is not None:
            short = level.partition("(")[0]
            event["log.level"] = _LEVELS.get(short, short)
        event.setdefault("process.name", head[2])
        body = body[head.end() :]
    origin = _ORIGIN.match(body)
    if origin is not None:
        for name, value in _PART.findall(origin[1]):
            if name == "user":
                # `vpxuser:DOMAIN\name`: vCenter's account, and for whom it acts.
                put_user(event, value.partition(":")[2] or value)
            else:
                event["log.logger" if name == "sub" else "almena.vmware.operation"] = value
        body = body[origin.end() :]
    if head is None and origin is None and event.get("process.name") not in _PROGRAMS:
        if not body.startswith(_CORRELATORS):
            return False
        event["process.name"] = "vobd"
    event["message"] = body = body.lstrip(" ")
    event["event.category"], event["event.type"] = ["host"], ["info"]
    event["observer.vendor"] = "VMware"
    if not body and "log.syslog.version" in event:
        _recorded(event)
    vcenter = _VPXD.match(body)
    if vcenter is not None:
        _vcenter(vcenter, event, context)
    else:
        number = _EVENT.match(body)
        if number is not None:
            event["event.id"] = number[1]
        _said(body[number.end() :] if number else body, event)
    return True


def _vcenter(found: re.Match[str], event: Event, context: Context) -> None:
    number, moment, kind, level, who, place, text = found.groups()
    event["event.id"] = number
    if "@timestamp" not in event:  # the header's is of the same clock
        with contextlib.suppress(ParseError):
            event["@timestamp"] = format_time(instant(moment, "UTC"))
    name = kind.rpartition(".")[2]
    event["event.dataset"] = "vmware.vcenter"
    event["event.code"] = kind
    event["log.level"] = level
    event["event.action"] = _KINDS.get(name, name)
    put_user(event, who)
    if place:
        event["almena.vmware.place"] = place
    event["message"] = text
    if name.startswith(("Permission", "Role", "Account")):
        event["event.category"], event["event.type"] = ["iam"], ["change"]
    elif name.startswith("Vm"):
        event["event.category"], event["event.type"] = ["host"], ["change"]
    _said(text, event)


def _said(text: str, event: Event) -> None:
    """What sentences say of sign-ins and commands, which hosts and vCenter word alike."""
    text = text[:8_192]
    login = _LOGIN.search(text)
    if login is not None:
        _signs(event, login[1], login[2], "logout" if login[3] == "out" else "login", "success")
        agent = login[4] or login[5]
        if agent is not None:
            event["user_agent.original"] = agent.rstrip("])")
        return
    for pattern, outcome in _SENTENCES:
        found = pattern.search(text)
        if found is not None:
            _signs(event, found[1], found[2], "login", outcome)
            return
    _more(text, event)


def _more(text: str, event: Event) -> None:
    fully, known, sso, allowed = (each.search(text) for each in (_FULLY, _KNOWN, _SSO, _ALLOWED))
    shell, vob = _SHELL.match(text), _VOB.match(text)
    if fully is not None:
        _signs(event, f"{fully[2]}\\{fully[1]}", None, "logout" if fully[3] == "out" else "login", "success")
    elif known is not None:
        _signs(event, known[1] or known[2], None, "login", "success")
    elif sso is not None:
        _signs(event, sso[1], None, "login", "failure")
    elif allowed is not None:
        put_user(event, allowed[1])
        event |= {"event.category": ["iam"], "event.action": "authorization", "almena.vmware.privilege": allowed[2]}
        event["event.type"] = ["allowed"] if allowed[3] == "True" else ["denied"]
        event["event.outcome"] = "success" if allowed[3] == "True" else "failure"
    elif shell is not None:
        facts = dict(_SHELL_PART.findall(shell[1]))
        _types(event, facts.get("subject"), facts.get("command"), facts.get("result"))
    elif vob is not None:
        event["event.code"] = event["event.action"] = vob[1]
        _opened(text, event)
        _locked(text, event)
    elif "uthenticat" in text and (console := _CONSOLE.match(text)) is not None:
        _signs(event, console[1], None, "login", "success" if console[2] == "succeeded" else "failure")
    elif "uthenticat" in text and (named := _STS.search(text) or _REFUSED.search(text)) is not None:
        _signs(event, named[1], None, "login", "success" if named.re is _STS else "failure")
    elif event.get("process.name") in ("shell", "ESXShell") and (typed := _TYPED.match(text)) is not None:
        _types(event, typed[1], typed[2], None)
    else:
        _locked(text, event)


def _locked(text: str, event: Event) -> None:
    locked = _LOCKED.search(text) if " been locked" in text else None
    if locked is not None:
        put_user(event, locked[1])
        event |= {"event.category": ["authentication"], "event.type": ["info"], "event.outcome": "failure"}


def _recorded(event: Event) -> None:
    """An audit record of ESXi 8, which is all in the structured data of its header."""
    facts: dict[str, str] = {}
    for name, value in list(event.items()):
        found = _AUDIT.fullmatch(name)
        if found is not None:
            event["event.action"] = event["event.code"] = found[1]
            facts[found[2]] = str(value)
    if not facts:
        return
    put_user(event, facts.get("subject"))
    put_end(event, "source", facts.get("subjectSource"))
    if "command" in facts:
        event["process.command_line"] = facts["command"]
    if "result" in facts:
        event["event.outcome"] = "success" if facts["result"] == "success" else "failure"


def _opened(text: str, event: Event) -> None:
    """A session of a person at the host's shell, which its correlator tells."""
    session = _SESSION.search(text)
    if session is not None:
        put_user(event, session[1])
        put_end(event, "source", session[2])
        event |= {"event.category": ["session"], "event.type": ["end" if "closed" in text else "start"]}


def _signs(event: Event, who: str, whence: str | None, action: str, outcome: str) -> None:
    put_user(event, who)
    put_end(event, "source", whence)
    event |= {"event.category": ["authentication"], "event.type": ["end" if action == "logout" else "start"]}
    event |= {"event.action": action, "event.outcome": outcome}


def _types(event: Event, who: str | None, command: str | None, result: str | None) -> None:
    put_user(event, who)
    event |= {"event.category": ["process"], "event.type": ["start"], "event.action": "command"}
    if command is not None:
        event["process.command_line"] = command
    if result is not None:
        event["event.outcome"] = "success" if result == "success" else "failure"


_SENTENCES = ((_CANNOT, "failure"), (_FAILED, "failure"), (_REJECTED, "failure"), (_ACCEPTED, "success"))


FORMAT = Format(
    name="vmware",
    dataset="vmware.esxi",
    read=read,
    programs=_PROGRAMS,
    begins=(*_CORRELATORS, *_FILES),
    convert=vmware_sso.convert,
    fits=vmware_sso.fits,
)
