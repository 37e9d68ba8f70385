"""The lines of Linux's login modules (PAM), which sshd, sudo, su, login and others write in their own name.

    pam_unix(sshd:session): session opened for user ana(uid=1000) by ana(uid=0)
    sshd(pam_unix)[811]: authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=root

Actions are named as the standard pipelines for Linux name them: logged-on, logged-off, authentication_failure,
password-changed, account-locked.
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, given, number, put_source
from collectors.parsers.format import Format

_MODULE = re.compile(r"pam_[a-z0-9_]{1,32}\(([^():]{1,64}):([a-z]{1,16})\): ?", re.ASCII)
_SESSION = re.compile(
    r"session (opened|closed) for user ([^\s(]{1,256})(?:\(uid=(\d{1,10})\))?"
    r"(?: by ([^\s(]{0,256})(?:\(uid=(\d{1,10})\))?)?",
    re.ASCII,
)
_PAIR = re.compile(r"\b(logname|uid|euid|tty|ruser|rhost|user)=(\S*)", re.ASCII)
_MORE = re.compile(r"PAM \d{1,9} more authentication failures?; ", re.ASCII)
_ERROR = re.compile(
    r"PAM: (.{1,128}?) for (illegal user |invalid user )?(.{0,256}) from (\S{1,256})(?: via \S{1,256})?$", re.ASCII
)
_RECEIVED = re.compile(r"received for user ([^\s:]{1,256}): (\d{1,4}) \((.{1,128})\)", re.ASCII)
_ABSENT = re.compile(r"user [\"']?([^\s\"']{1,256})[\"']? does not exist", re.ASCII)
_WHO = re.compile(
    r"(?:for user |by user |Refused user |user )?[\"'`\[(]?([^\s\"'`\[\]():;,]{1,256})[\"'`\])]?", re.ASCII
)
_SAID = (
    # words in the message, what stands before the user's name, action, outcome, category and type
    ("password changed for ", "password changed for ", "password-changed", "success", "iam", "change"),
    ("new password not acceptable", "", "password-changed", "failure", "iam", "change"),
    ("authentication succeeds for ", "succeeds for ", "pam_authentication", "success", "authentication", "start"),
    ("granted access", "user ", "pam_authentication", "success", "authentication", "start"),
    ("Accepted google_authenticator code", "for ", "pam_authentication", "success", "authentication", "start"),
    ("Consecutive login failures for user ", "for user ", "account-locked", "failure", "authentication", "info"),
    ("account temporarily locked", "for user ", "account-locked", "failure", "authentication", "info"),
    ("deny=", "user ", "account-locked", "failure", "authentication", "info"),
    (" tally ", "user ", "account-locked", "failure", "authentication", "info"),
    ("authentication fails for ", "fails for ", "authentication_failure", "failure", "authentication", "info"),
    ("password check failed for user ", "for user ", "authentication_failure", "failure", "authentication", "info"),
    ("Authentication failure)", "for user ", "authentication_failure", "failure", "authentication", "info"),
    ("(Permission denied)", "for user ", "authentication_failure", "failure", "authentication", "info"),
    ("User not known", "for user ", "authentication_failure", "failure", "authentication", "info"),
    ("access denied for user ", "for user ", "authentication_failure", "failure", "authentication", "info"),
    ("denied access", "user ", "authentication_failure", "failure", "authentication", "info"),
    ("Refused user ", "Refused user ", "authentication_failure", "failure", "authentication", "info"),
    ("Invalid verification code", "for ", "authentication_failure", "failure", "authentication", "info"),
    ("error trying to bind as user ", "as user ", "authentication_failure", "failure", "authentication", "info"),
    ("has expired", "account ", "authentication_failure", "failure", "authentication", "info"),
    ("bad username [", "username ", "authentication_failure", "failure", "authentication", "info"),
    ("requirement ", "by user ", "", "", "authentication", "info"),
)
_ASKED = re.compile(r" for \[([^\]\s]{1,256})\]", re.ASCII)
_BARE = ("check pass", "auth could not identify", "conversation failed", "could not identify user")


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of PAM into the event; False when it is none."""
    module = _MODULE.match(message) or _MORE.match(message)
    if module is None:
        error = _ERROR.match(message)
        if error is None:
            return False
        _failed(event, error[3], error[4], error[1])
        return True
    rest = message[module.end() :]
    of = module[2] if module.lastindex == 2 else "auth"
    if of == "session" or rest.startswith("session "):
        session = _SESSION.match(rest)
        if session is not None:
            _session(session, event)
            return True
    if of == "chauthtok" and (absent := _ABSENT.match(rest)) is not None:
        event |= {"event.category": ["iam"], "event.type": ["change"], "event.action": "password-changed"}
        event |= {"event.outcome": "failure", "event.reason": "no such user"}
        event["user.name"] = event["user.target.name"] = absent[1]
        return True
    return _authentication(rest, event, message[: module.end() + 32])


def _authentication(rest: str, event: Event, begin: str) -> bool:
    event["event.category"] = ["authentication"]
    if "authentication failure" in begin or rest.startswith("logname="):
        event |= {"event.action": "authentication_failure", "event.type": ["info"], "event.outcome": "failure"}
        _pairs(rest, event)
    elif rest.startswith("authentication success"):
        event |= {"event.action": "pam_authentication", "event.type": ["start"], "event.outcome": "success"}
        _pairs(rest, event)
    elif rest.startswith(_BARE):
        event |= {"event.action": "authentication_failure", "event.type": ["info"], "event.outcome": "failure"}
        if (asked := _ASKED.search(rest[:512])) is not None:
            event["user.name"] = asked[1]
    elif (received := _RECEIVED.match(rest)) is not None:
        event |= {"event.action": "authentication_failure", "event.type": ["info"], "event.outcome": "failure"}
        event |= {"user.name": received[1], "event.code": received[2], "event.reason": received[3]}
    elif not _said(rest, event):
        event["event.type"] = ["info"]
    return True


def _said(rest: str, event: Event) -> bool:
    """What modules say in sentences."""
    for words, before, action, outcome, category, kind in _SAID:
        if words not in rest:
            continue
        if action:
            event |= {"event.action": action, "event.outcome": outcome}
        event["event.category"], event["event.type"] = [category], [kind]
        at = rest.find(before) if before else -1
        user = _WHO.match(rest, at + len(before)) if at >= 0 else None
        if user is not None:
            domain, _, name = user[1].rpartition("\\")
            event["user.name"] = name
            if domain:
                event["user.domain"] = domain
            if action == "password-changed":
                event["user.target.name"] = name
        return True
    return False


def _failed(event: Event, user: str, host: str, reason: str) -> None:
    event |= {
        "event.category": ["authentication"],
        "event.type": ["info"],
        "event.action": "authentication_failure",
        "event.outcome": "failure",
        "event.reason": reason,
    }
    if user:
        event["user.name"] = user
    put_source(event, host)


def _session(session: re.Match[str], event: Event) -> None:
    what, user, uid, by, by_uid = session.groups()
    event |= {
        "event.category": ["session"],
        "event.type": ["start" if what == "opened" else "end"],
        "event.action": "logged-on" if what == "opened" else "logged-off",
        "event.outcome": "success",
    }
    by = given(by)
    if by is not None and by not in (user, "LOGIN"):
        event |= {"user.name": by, "user.effective.name": user}
        if by_uid:
            event["user.id"] = by_uid
        if uid:
            event["user.effective.id"] = uid
    else:
        event["user.name"] = user
        if uid:
            event["user.id"] = uid


def _pairs(rest: str, event: Event) -> None:
    # The user comes last and may hold what looks like a pair: of equal ones the first counts.
    found = {name: value for name, value in reversed(_PAIR.findall(rest[:2_048])) if value}
    if "user" in found:
        event["user.name"] = found["user"]
    if number(found.get("uid")) is not None and "user" not in found and "ruser" in found:
        event["user.name"] = found["ruser"]
    host = found.get("rhost")
    if host is not None:
        found_address = address(host.removeprefix("::ffff:"))
        put_source(event, found_address or host)


_OLD = ("unix", "unix_auth", "tally", "tally2", "google_authenticator", "krb5", "ldap", "winbind", "sss", "rhosts_auth")
_PROGRAMS = ("sshd", "su", "sudo", "login", "passwd", "gdm", "crond", "cron", "ftpd", "vsftpd", "remote", "system-auth")


def read_old(message: str, event: Event, context: Context) -> bool:
    """Read a line that a module signs beside its program, as `sshd(pam_unix)[811]: ...`, into the event."""
    program = str(event.get("process.name", ""))
    if "(pam_" in program:
        event["process.name"] = program.partition("(")[0]
        session = _SESSION.match(message)
        if session is not None:
            _session(session, event)
            return True
        return _authentication(message, event, message[:32])
    if program == "unix_chkpwd":
        return _said(message, event)
    return read(message, event, context)


FORMAT = Format(
    name="pam",
    dataset="system.auth",
    read=read_old,
    programs=("unix_chkpwd", *(f"{program}(pam_{module})" for program in _PROGRAMS for module in _OLD)),
    begins=("pam_unix(", "pam_sss(", "pam_faillock(", "pam_winbind(", "pam_krb5(", "pam_succeed_if("),
)
