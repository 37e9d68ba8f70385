"""Jobs that cron and anacron run, and who changes which table.

CRON[811]: (root) CMD (/usr/lib/sysstat/sa1 1 1)
crontab[812]: (ana) REPLACE (ana)
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import pam
from collectors.parsers.format import Format

_LINE = re.compile(r"\(([^()\s]{1,256})\) ([A-Za-z][A-Za-z -]{1,64}?) \((.{0,8192})\)?$", re.ASCII | re.DOTALL)
_NUMBERED = re.compile(r"\[\d{1,10}\] ", re.ASCII)
_ANACRON = re.compile(
    r"(?:Job|Will run job) [`'\"]?([^`'\"\s]{1,256})[`'\"]? ?(started|terminated|in \d{1,6} min\.)?", re.ASCII
)
_BUSYBOX = re.compile(
    r"(?:crond: )?USER (?P<user>\S{1,256}) pid {1,4}\d{1,10} cmd (?P<command>.{1,8192})$", re.ASCII | re.DOTALL
)
"""How the cron of Alpine and of routers tells of a job."""
_AT = re.compile(r"Starting job \d{1,10} \(\w{1,64}\) for user '?(?P<user>[^'\s]{1,256})'? \(\d{1,10}\)", re.ASCII)
_MEANINGS = {
    "CMD": ("cron_command", "process", "start", "success"),
    "CMDOUT": ("cron_output", "process", "info", None),
    "CMDEND": ("cron_command_ended", "process", "end", "success"),
    "LIST": ("crontab_listed", "configuration", "access", "success"),
    "BEGIN EDIT": ("crontab_edited", "configuration", "access", "success"),
    "END EDIT": ("crontab_edited", "configuration", "change", "success"),
    "REPLACE": ("crontab_replaced", "configuration", "change", "success"),
    "DELETE": ("crontab_deleted", "configuration", "deletion", "success"),
    "RELOAD": ("crontab_reloaded", "configuration", "change", "success"),
    "AUTH": ("crontab_refused", "configuration", "denied", "failure"),
    "STARTUP": ("cron_started", "process", "start", None),
    "INFO": ("cron_info", "process", "info", None),
    "MAIL": ("cron_mailed", "process", "info", None),
    "FAILED": ("cron_failed", "process", "error", "failure"),
    "ERROR": ("cron_failed", "process", "error", "failure"),
    "ORPHAN": ("crontab_ignored", "configuration", "info", "failure"),
    "BAD FILE MODE": ("crontab_ignored", "configuration", "info", "failure"),
    "WRONG FILE OWNER": ("crontab_ignored", "configuration", "info", "failure"),
    "WRONG INODE INFO": ("crontab_ignored", "configuration", "info", "failure"),
}
_NOBODY = frozenset(("CRON", "*system*", "crond", "cron", "null"))


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of cron, anacron or crontab into the event; False when it is not known."""
    match = _LINE.match(message)
    if match is None:
        return _busybox(message, event) or _anacron(message, event) or pam.read(message, event, context)
    user, what, rest = match.groups()
    rest = rest.removesuffix(")")
    what = "FAILED" if what.startswith("FAILED ") else what.upper()
    action, category, kind, outcome = _MEANINGS.get(what, ("cron_info", "process", "info", None))
    event |= {"event.action": action, "event.category": [category], "event.type": [kind]}
    if outcome is not None:
        event["event.outcome"] = outcome
    if user not in _NOBODY:
        event["user.name"] = user
    if action in ("cron_command", "cron_command_ended"):
        number = _NUMBERED.match(rest)
        event["process.command_line"] = rest[number.end() :] if number is not None else rest
    elif category == "configuration" and rest and rest != user and action != "crontab_refused":
        event["user.target.name" if "/" not in rest and " " not in rest else "file.path"] = rest
    elif outcome == "failure":
        event["event.reason"] = rest
    return True


def _busybox(message: str, event: Event) -> bool:
    match = _BUSYBOX.match(message) or _AT.match(message)
    if match is None:
        return False
    event |= {"event.category": ["process"], "event.type": ["start"], "event.action": "cron_command"}
    event |= {"event.outcome": "success", "user.name": match["user"]}
    if match.re is _BUSYBOX:
        event["process.command_line"] = match["command"]
    return True


def _anacron(message: str, event: Event) -> bool:
    match = _ANACRON.match(message)
    if match is None:
        return False
    ended = match[2] == "terminated"
    event |= {
        "event.category": ["process"],
        "event.type": ["end" if ended else "start" if match[2] == "started" else "info"],
        "event.action": "anacron_job_ended" if ended else "anacron_job",
        "process.command_line": match[1],
    }
    return True


FORMAT = Format(
    name="cron",
    dataset="system.syslog",
    read=read,
    programs=(
        "CRON",
        "crond",
        "cron",
        "/usr/sbin/cron",
        "anacron",
        "crontab",
        "CROND",
        "/USR/SBIN/CRON",
        "atd",
        "fcron",
    ),
)
