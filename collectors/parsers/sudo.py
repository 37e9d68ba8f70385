"""The lines of sudo, su, pkexec and polkit: who became somebody else, to run what, and who was refused.

A bare message, such as `ana : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls`, gets the time of its receipt.
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import pam, sudo_json, sudo_polkit
from collectors.parsers.format import Format

_COMMAND = " ; COMMAND="
_FIELD = re.compile(r"(HOST|TTY|CHROOT|PWD|USER|GROUP|TSID|ENV)=", re.ASCII)
_DOAS = re.compile(
    r"(?:failed auth|tty required) for (?P<failed>\S{1,256})$"
    r"|command not permitted for (?P<denied>\S{1,256}): (?P<what>.{1,4096})$"
    r"|(?P<user>\S{1,256}) ran command (?P<command>.{1,4096}) as (?P<to>\S{1,256}) from (?P<place>/.{0,1024})$",
    re.ASCII | re.DOTALL,
)
_POLKIT = ("polkitd", "polkitd(authority=local)", "polkit-agent-helper-1", "pkexec")
_REFUSALS = (
    "incorrect password attempt",
    "command not allowed",
    "NOT in sudoers",
    "NOT authorized",
    "a password is required",
    "no tty present",
    "must have a tty",
    "not allowed to",
    "unknown user",
    "invalid user",
)
# `(to root) ana on pts/0` (util-linux), `Successful su for root by ana` and `+ /dev/pts/0 ana:root` (shadow), and BSD
_SU = (
    re.compile(r"(FAILED SU )?\(to (?P<to>[^)]{1,256})\) (?P<by>\S{1,256}) on (?P<tty>\S{1,256})$", re.ASCII),
    re.compile(r"(FAILED |Successful )su for (?P<to>\S{1,256}) by (?P<by>\S{1,256})$", re.ASCII),
    re.compile(r"('su )(?P<to>\S{1,256})' failed for (?P<by>\S{1,256}) on (?P<tty>\S{1,256})$", re.ASCII),
    re.compile(r"(BAD SU )?(?P<by>\S{1,256}) to (?P<to>\S{1,256}) on (?P<tty>/\S{1,256})$", re.ASCII),
    re.compile(r"([+-]) (?P<tty>\S{1,256}) (?P<by>[^\s:]{1,256})[:-](?P<to>\S{1,256})$", re.ASCII),
)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of sudo or su into the event; False when it is not known."""
    program = event.get("process.name")
    if program in ("su", "su-l", "runuser"):
        return read_su(message, event, context)
    if program == "doas":
        return _doas(message, event) or pam.read(message, event, context)
    if program in _POLKIT:
        return sudo_polkit.read(message, event) or pam.read(message, event, context)
    if message.startswith('@cee:{"sudo":'):
        return sudo_json.read(message[5:], event)
    user, found, rest = message.lstrip(" ").partition(" : ")
    if not found or " " in user or not ("COMMAND=" in rest or "USER=" in rest or _refusal(rest)):
        return pam.read(message, event, context)
    # The command is last and may itself hold ` ; `; what stands before it is split there.
    before, found, command = rest.partition(_COMMAND)
    if not found and rest.startswith("COMMAND="):
        before, command = "", rest[8:]
    reasons = []
    for part in before.split(" ; ", 64):
        match = _FIELD.match(part)
        if match is None:
            reasons.append(part)
        else:
            _field(event, match[1], part[match.end() :])
    event["user.name"] = user
    if command:
        event["process.command_line"] = command
        event["process.executable"] = command.partition(" ")[0]
    reason = " ; ".join(reasons).strip()
    refused = _refusal(reason)
    event |= {
        "event.category": ["process"],
        "event.type": ["start", "denied"] if refused else ["start"],
        "event.action": "sudo_refused" if refused else "sudo_command",
        "event.outcome": "failure" if refused else "success",
    }
    if reason:
        event["event.reason"] = reason
    return True


def _doas(message: str, event: Event) -> bool:
    """OpenBSD's way of sudo, which Alpine has too: `ana ran command ls as root from /home/ana`."""
    match = _DOAS.match(message)
    if match is None:
        return False
    refused = match["user"] is None
    event |= {"event.category": ["process"], "event.type": ["start", "denied"] if refused else ["start"]}
    event |= {"event.action": "sudo_refused" if refused else "sudo_command"}
    event |= {"event.outcome": "failure" if refused else "success"}
    event["user.name"] = match["user"] or match["denied"] or match["failed"]
    if (command := match["command"] or match["what"]) is not None:
        event["process.command_line"], event["process.executable"] = command, command.partition(" ")[0]
    if not refused:
        event["user.effective.name"], event["process.working_directory"] = match["to"], match["place"]
    return True


def _refusal(reason: str) -> bool:
    return any(words in reason for words in _REFUSALS)


def _field(event: Event, name: str, value: str) -> None:
    match name:
        case "PWD":
            event["process.working_directory"] = value
        case "USER":
            event["user.effective.name"] = value
        case "GROUP":
            event["user.effective.group.name"] = value
        case "TTY":
            event["system.auth.sudo.tty"] = value
        case "ENV":
            event["system.auth.sudo.env"] = value


def read_su(message: str, event: Event, context: Context) -> bool:
    """Read a message of su into the event; False when it is not known."""
    for pattern in _SU:
        match = pattern.match(message)
        if match is None:
            continue
        failed = match[1] in ("FAILED SU ", "FAILED ", "'su ", "BAD SU ", "-")
        event |= {
            "event.category": ["authentication"],
            "event.type": ["start"],
            "event.action": "su",
            "event.outcome": "failure" if failed else "success",
            "user.name": match["by"],
            "user.effective.name": match["to"],
        }
        return True
    return pam.read(message, event, context)


FORMAT = Format(
    name="sudo",
    dataset="system.auth",
    read=read,
    programs=("sudo", "su", "su-l", "runuser", "doas", *_POLKIT),
)
