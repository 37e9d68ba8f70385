"""From the records of one audit event to its fields: who did what, with which program, to which file or peer."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from almena.event import Event
from collectors.parsers.auditd_meanings import CALLS, RECORDS
from collectors.parsers.auditd_names import SYSCALLS
from collectors.parsers.common import address, number
from collectors.parsers.network import put_end, put_port, put_transport

if TYPE_CHECKING:
    from collectors.parsers.auditd import Record

_UNSET = frozenset(("4294967295", "-1", "unset"))
_UNKNOWN = frozenset(("(unknown)", "(unknown user)", "(invalid user)", "unknown", "UNKNOWN", "?"))
_TARGETS = frozenset(
    (
        *("ADD_USER", "DEL_USER", "USER_MGMT", "USER_CHAUTHTOK", "ACCT_LOCK", "ACCT_UNLOCK"),
        *("ROLE_ASSIGN", "ROLE_REMOVE"),
    )
)
"""Types whose account is not who acts but who is acted upon."""
_GROUPS = frozenset(("ADD_GROUP", "DEL_GROUP", "GRP_MGMT", "GRP_CHAUTHTOK", "GRP_AUTH"))
_TOLD = ("USER_", "CRED_", "CRYPTO_", "ANOM_LOGIN", "ADD_", "DEL_", "GRP_", "ACCT_", "ROLE_")
"""How the types begin that a program tells of somebody else; its own user is the system's."""
_OWN = frozenset(("USER_CMD", "USER_TTY", "USER_AVC"))
_FROM = (
    "USER_LOGIN",
    "USER_LOGOUT",
    "USER_AUTH",
    "USER_ACCT",
    "USER_START",
    "USER_END",
    "USER_ERR",
    "CRED_",
    "ANOM_LOGIN",
)
"""How the types begin whose host is the one that somebody comes from."""
_INBOUND = frozenset(("accept", "accept4", "recvfrom", "recvmsg", "recv", "recvmmsg"))
_PROGRAM = (
    ("process.name", "comm"),
    ("process.executable", "exe"),
    ("process.working_directory", "cwd"),
    ("process.title", "proctitle"),
)
_ARGUMENT = re.compile(r"a(\d{1,5})(?:\[(\d{1,5})\])?", re.ASCII)
_LOOKED_UP = re.compile(r"\bladdr=(\S{2,64}) lport=(\d{1,5})", re.ASCII)
_MOST_ARGUMENTS = 1_024
_KEYS = "\x01"


def build(event: Event, records: list[Record]) -> None:
    """Set the fields of an event from its records, at least one; the first says what kind of event it is."""
    fields, known = _merged(records)
    main = records[0].type
    call = _call(fields, known)
    types = list(dict.fromkeys(record.type for record in records))
    event["auditd.log.record_type"] = types[0] if len(types) == 1 else types
    for name, value in fields.items():
        event[f"auditd.log.{name}"] = value
    if call is not None:
        event["auditd.log.syscall"] = call
    if _KEYS in fields.get("key", ""):
        event["auditd.log.key"] = [key for key in fields["key"].split(_KEYS) if key]
    if len(records) > 1:
        for name in ("name", "nametype"):
            values = [record.fields[name] for record in records if record.type == "PATH" and name in record.fields]
            if values:
                event[f"auditd.log.{name}"] = values[0] if len(values) == 1 else values
    _meaning(event, main, call, fields)
    _outcome(event, fields)
    _program(event, records, fields)
    _users(event, main, fields, known)
    _paths(event, records, fields)
    _peers(event, records, fields, call)
    _rest(event, fields)


def _merged(records: list[Record]) -> tuple[dict[str, str], dict[str, str]]:
    """All fields; of equal ones the main record's counts, except that arguments are those of the program."""
    if len(records) == 1:
        return records[0].fields, records[0].known
    fields: dict[str, str] = {}
    known: dict[str, str] = {}
    for record in reversed(records):
        if record.type in ("SYSCALL", "PATH"):
            continue
        fields |= record.fields
        known |= record.known
    for record in records:
        if record.type == "SYSCALL":
            executed = any(other.type == "EXECVE" for other in records)
            fields |= {name: text for name, text in record.fields.items() if not (executed and name in fields)}
            known |= record.known
    return fields, known


def _call(fields: dict[str, str], known: dict[str, str]) -> str | None:
    """The system call's name."""
    call = fields.get("syscall")
    if call is None:
        return None
    named = known.get("SYSCALL")
    if named is not None and not named.startswith("unknown"):
        return named
    return SYSCALLS.get(fields.get("arch", ""), {}).get(call, call)


def _meaning(event: Event, main: str, call: str | None, fields: dict[str, str]) -> None:
    meaning = RECORDS.get(main)
    if meaning is None and main == "SYSCALL" and call is not None:
        meaning = CALLS.get(call)
    if meaning is not None:
        event["event.action"] = meaning.action
        event["event.category"], event["event.type"] = [*meaning.category], [*meaning.type]
    elif "seresult" in fields or "apparmor" in fields:
        event["event.action"] = f"violated-{'selinux' if 'seresult' in fields else 'apparmor'}-policy"
        denied = fields.get("seresult") == "denied" or fields.get("apparmor") == "DENIED"
        event["event.category"], event["event.type"] = ["process"], ["denied" if denied else "info"]
    else:
        event["event.action"] = main.lower()
        if main in ("SYSCALL", "EXECVE", "PROCTITLE"):
            event["event.category"] = ["process"]
            event["event.type"] = ["start" if main == "EXECVE" else "info"]


_OUTCOMES = {"yes": "success", "success": "success", "1": "success", "granted": "success", "ALLOWED": "success"}
_OUTCOMES |= {"no": "failure", "failed": "failure", "0": "failure", "denied": "failure", "DENIED": "failure"}


def _outcome(event: Event, fields: dict[str, str]) -> None:
    for name in ("success", "res", "result", "seresult", "apparmor"):
        value = fields.get(name)
        if value is not None:
            event["event.outcome"] = _OUTCOMES.get(value, "unknown")
            return


def _program(event: Event, records: list[Record], fields: dict[str, str]) -> None:
    for name in ("process.name", "process.pid"):
        event.pop(name, None)  # who signed the line of syslog is the audit daemon
    for field, name in _PROGRAM:
        if name in fields:
            event[field] = fields[name].replace("\x00", " ")
    for field, name in (("process.pid", "pid"), ("process.parent.pid", "ppid")):
        digits = number(fields.get(name))
        if digits is not None and digits >= 0:
            event[field] = digits
    for record in records:
        if record.type == "EXECVE":
            arguments = _arguments(record.fields)
            if arguments:
                event["process.args"] = arguments
                event["process.args_count"] = number(record.fields.get("argc")) or len(arguments)
                event["process.command_line"] = " ".join(arguments)
            return
    command = fields.get("cmd")
    if command is not None:
        event["process.command_line"] = command
        event["process.args"] = command.split(None, _MOST_ARGUMENTS)[:_MOST_ARGUMENTS]
    elif "process.title" in event:
        event["process.command_line"] = event["process.title"]


def _arguments(fields: dict[str, str]) -> list[str]:
    """The arguments of a program, those in parts put together."""
    parts: dict[tuple[int, int], str] = {}
    for name, value in fields.items():
        match = _ARGUMENT.fullmatch(name)
        if match is not None:
            parts[int(match[1]), int(match[2] or 0)] = value
    whole: dict[int, list[str]] = {}
    for place, _ in sorted(parts):
        whole.setdefault(place, [])
    for (place, _part), value in sorted(parts.items()):
        whole[place].append(value)
    return ["".join(texts) for texts in list(whole.values())[:_MOST_ARGUMENTS]]


def _users(event: Event, main: str, fields: dict[str, str], known: dict[str, str]) -> None:
    account = fields.get("acct")
    if account in _UNKNOWN:
        account = None
    told = main.startswith(_TOLD) and main not in _OWN
    actor = "auid" if told or not _set(fields.get("uid")) else "uid"
    _user(event, "user", fields.get(actor), known.get(actor.upper()))
    if "euid" in fields:
        _user(event, "user.effective", fields["euid"], known.get("EUID"))
    if _set(fields.get("gid")):
        event["user.group.id" if fields["gid"].isdigit() else "user.group.name"] = fields["gid"]
        if _named(known.get("GID")):
            event["user.group.name"] = known["GID"]
    if main in _GROUPS:
        _group(event, fields, account)
    elif main in _TARGETS:
        _user(event, "user.target", fields.get("id"), account or known.get("ID"))
        if "grp" in fields:
            event["group.name"] = fields["grp"]
    elif account is not None or "id" in fields:
        # A program tells of whom it speaks, which is who signs in.
        for name in ("user.id", "user.name"):
            event.pop(name, None)
        _user(event, "user", fields.get("id"), account or known.get("ID"))
        if account is not None:
            event["user.effective.name"] = account
    elif main == "VIRT_CONTROL":
        _user(event, "user", None, fields.get("user"))
    elif main == "LOGIN":
        _user(event, "user", fields.get("auid"), known.get("AUID"))


def _group(event: Event, fields: dict[str, str], account: str | None) -> None:
    name = fields.get("grp") or fields.get("new_group") or account
    if name is not None:
        event["group.name"] = name
    if _set(fields.get("id")):
        event["group.id"] = fields["id"]
    if account is not None and "grp" in fields:
        event["user.target.name"] = account


def _user(event: Event, prefix: str, uid: str | None, name: str | None) -> None:
    if uid is not None and _set(uid):
        if uid.isdigit():
            event[f"{prefix}.id"] = uid
        elif name is None:
            name = uid  # as `ausearch -i` writes it
    if name is not None and _named(name):
        event[f"{prefix}.name"] = name


def _set(uid: str | None) -> bool:
    return uid is not None and uid not in _UNSET and uid not in _UNKNOWN


def _named(name: str | None) -> bool:
    return name is not None and name not in _UNSET and name not in _UNKNOWN and not name.startswith("unknown(")


def _paths(event: Event, records: list[Record], fields: dict[str, str]) -> None:
    """The file that an event is about: the last that is no directory of another."""
    chosen: Record | None = None
    for record in records:
        if record.type != "PATH" or "name" not in record.fields:
            continue
        if chosen is None or record.fields.get("nametype") != "PARENT":
            executed = event.get("event.action") == "executed"
            if chosen is None or not executed:
                chosen = record
    path = chosen.fields.get("name") if chosen is not None else None
    if path is None and records[0].type in ("AVC", "USER_AVC", "ANOM_LINK"):
        path = fields.get("path") or fields.get("name")
        if path is not None and "/" not in path:
            event["file.name"] = path
            return
    if path is None:
        return
    directory = fields.get("cwd")
    if path[:1] != "/" and directory is not None:
        path = f"{directory.rstrip('/')}/{path.removeprefix('./')}"
    event["file.path"] = path
    if (name := path.rstrip("/").rpartition("/")[2]) != "":
        event["file.name"] = name
    if chosen is not None:
        _inode(event, chosen)


def _inode(event: Event, record: Record) -> None:
    for field, name, known in (
        ("file.inode", "inode", ""),
        ("file.uid", "ouid", "OUID"),
        ("file.gid", "ogid", "OGID"),
    ):
        if name in record.fields:
            event[field] = record.fields[name]
        if known and _named(record.known.get(known)):
            event["file.owner" if known == "OUID" else "file.group"] = record.known[known]
    mode = record.fields.get("mode", "")
    if mode[-4:].isdigit() and len(mode) <= 12:
        event["file.mode"] = mode[-4:]


def _peers(event: Event, records: list[Record], fields: dict[str, str], call: str | None) -> None:
    for side, name, port in (("source", "addr", "rport"), ("destination", "laddr", "lport")):
        if (value := fields.get(name)) is not None:
            put_end(event, side, value, fields.get(port))
    host = fields.get("hostname")
    if host is not None and records[0].type.startswith(_FROM):
        if "source.address" not in event:
            put_end(event, "source", host)
        elif address(host) is None:
            event["source.domain"] = host
    for side, name, port in (("source", "src", "sport"), ("destination", "dst", "dport")):
        if (value := fields.get(name)) is not None:
            put_end(event, side, value, fields.get(port))
    for record in records:
        if record.type == "SOCKADDR" and "saddr" in record.fields:
            _socket(event, "source" if call in _INBOUND else "destination", record.fields)
            if call is not None:
                event["network.direction"] = "ingress" if call in _INBOUND or call == "bind" else "egress"
        elif record.type == "NETFILTER_PKT":
            put_end(event, "source", record.fields.get("saddr"), record.fields.get("sport"))
            put_end(event, "destination", record.fields.get("daddr"), record.fields.get("dport"))
            put_transport(event, record.fields.get("proto"))


def _socket(event: Event, side: str, fields: dict[str, str]) -> None:
    """A socket's address as the kernel holds it, in hexadecimal, or as `ausearch -i` writes it."""
    written = _LOOKED_UP.search(fields["saddr"][:512])
    if written is not None:
        put_end(event, side, written[1], written[2])
        return
    try:
        raw = bytes.fromhex(fields["saddr"][:512])
    except ValueError:
        return
    family = int.from_bytes(raw[:2], "little")
    found: Any = None
    if family == 2 and len(raw) >= 8:
        found = ipaddress.IPv4Address(raw[4:8])
    elif family == 10 and len(raw) >= 24:
        found = ipaddress.IPv6Address(raw[8:24])
    elif family == 1:
        path = raw[2:].lstrip(b"\x00").partition(b"\x00")[0].decode("utf-8", "backslashreplace")
        if path:
            event["auditd.log.socket_path"] = path
    if found is not None:
        put_end(event, side, str(found))
        put_port(event, f"{side}.port", int.from_bytes(raw[2:4], "big"))


def _rest(event: Event, fields: dict[str, str]) -> None:
    if "unit" in fields:
        event["service.name"] = fields["unit"]
    if "arch" in fields:
        event["host.architecture"] = fields["arch"]
    reason = fields.get("reason") or fields.get("error")
    if reason is not None:
        event["event.reason"] = reason
    if "msg" in fields:
        event["message"] = fields["msg"]
