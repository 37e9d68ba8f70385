"""Accounts and groups of Linux as the tools say that change them: useradd, usermod, groupadd, passwd, gpasswd, chage.

    useradd[811]: new user: name=soporte2, UID=1002, GID=1002, home=/home/soporte2, shell=/bin/bash, from=/dev/pts/0
    usermod[812]: add 'soporte2' to group 'sudo'

These lines do not tell who acted, so the user is the one acted upon, under `user.name` as under `user.target.name`;
where they tell both, `user.name` is who acted.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from almena.event import Event
from collectors.base import Context
from collectors.parsers import pam
from collectors.parsers.format import Format

_USER, _GROUP = r"[`'\"]?(?P<user>[^\s`'\",]{1,256})[`'\"]?", r"[`'\"]?(?P<group>[^\s`'\",]{1,256})[`'\"]?"
_BY = r"[`'\"]?(?P<by>[^\s`'\",]{1,256})[`'\"]?"
_NEW_USER = (
    r"new user: name=(?P<user>[^,]{1,256}), UID=(?P<uid>\d{1,10}), GID=(?P<gid>\d{1,10})"
    r"(?:, home=(?P<home>[^,]{0,512}), shell=(?P<shell>[^,]{0,256}))?"
)
_SUSE_USER = (
    r"new account added - account=(?P<user>[^,]{1,256}), uid=(?P<uid>\d{1,10}), gid=(?P<gid>\d{1,10})"
    r"(?:, home=(?P<home>[^,]{0,512}), shell=(?P<shell>[^,]{0,256}))?"
)
_SUSE_MEMBER = (
    r"account added to group - account=(?P<user>[^,]{1,256}), group=(?P<group>[^,]{1,256})(?:, gid=(?P<gid>\d{1,10}))?"
)
_CHANGED = (
    rf"change user {_USER} (?P<what>[^']{{1,64}}?) from '(?P<old>[^']{{0,512}})' to "
    r"'(?P<new_value>[^']{0,512})'"
)


class _Sentence(NamedTuple):
    """One kind of message; its groups are user, group, by, uid, gid, from, to and what."""

    pattern: re.Pattern[str]
    action: str
    type: tuple[str, ...]
    outcome: str


def _table(rows: tuple[tuple[str, str, str], ...]) -> tuple[_Sentence, ...]:
    found = []
    for pattern, action, kind in rows:
        outcome = "failure" if action.startswith("!") else "success"
        found.append(_Sentence(re.compile(pattern, re.ASCII), action.lstrip("!"), tuple(kind.split()), outcome))
    return tuple(found)


_SENTENCES = _table(
    (
        (_NEW_USER, "user-created", "user creation"),
        (_SUSE_USER, "user-created", "user creation"),
        (_SUSE_MEMBER, "group-member-added", "group change"),
        (r"account deleted - account=(?P<user>[^,]{1,256})", "user-deleted", "user deletion"),
        (
            r"(?:new )?group added - group=(?P<group>[^,]{1,256})(?:, gid=(?P<gid>\d{1,10}))?",
            "group-created",
            "group creation",
        ),
        (r"group deleted - group=(?P<group>[^,]{1,256})", "group-deleted", "group deletion"),
        (rf"failed adding user {_USER}", "!user-created", "user creation"),
        (r"new group: name=(?P<group>[^,]{1,256}), GID=(?P<gid>\d{1,10})", "group-created", "group creation"),
        (
            r"group added to \S{1,64}: name=(?P<group>[^,\s]{1,256})(?:, GID=(?P<gid>\d{1,10}))?",
            "group-created",
            "group creation",
        ),
        (rf"add {_USER} to (?:shadow )?group {_GROUP}", "group-member-added", "group change"),
        (rf"delete {_USER} from (?:shadow )?group {_GROUP}", "group-member-removed", "group change"),
        (rf"user {_USER} added by {_BY} to group {_GROUP}", "group-user-added", "group change"),
        (rf"user {_USER} removed by {_BY} from group {_GROUP}", "group-user-removed", "group change"),
        (rf"members of group {_GROUP} set by {_BY} to", "modified-group-account", "group change"),
        (rf"administrators of group {_GROUP} set by {_BY} to", "modified-group-account", "group change"),
        (rf"password of group {_GROUP} (?:changed|removed) by {_BY}", "modified-group-account", "group change"),
        (rf"group {_GROUP} (?:administrators|password) .{{0,64}}?by {_BY}", "modified-group-account", "group change"),
        (rf"delete user {_USER}", "user-deleted", "user deletion"),
        (rf"removed (?:shadow )?group {_GROUP}(?: owned by {_USER})?", "group-deleted", "group deletion"),
        (rf"remove group {_GROUP}", "group-deleted", "group deletion"),
        (rf"group {_GROUP} removed", "group-deleted", "group deletion"),
        (rf"lock user {_USER} password", "locked-account", "user change"),
        (rf"unlock user {_USER} password", "unlocked-account", "user change"),
        (rf"change user {_USER} password", "password-changed", "user change"),
        (rf"change user name {_USER} to [`'\"]?(?P<new>[^\s`'\"]{{1,256}})", "modified-user-account", "user change"),
        (_CHANGED, "modified-user-account", "user change"),
        (rf"change group {_GROUP} ", "modified-group-account", "group change"),
        (rf"change (?:user )?{_USER} ", "modified-user-account", "user change"),
        (
            r"group changed in \S{1,64} \(group (?P<group>[^\s/,]{1,256})/(?P<gid>\d{1,10})",
            "modified-group-account",
            "group change",
        ),
        (rf"password for {_USER} changed by {_BY}", "password-changed", "user change"),
        (rf"(?:password changed for|changed password for) {_USER}", "password-changed", "user change"),
        (rf"changed (?:password )?expiry (?:information )?for {_USER}", "modified-user-account", "user change"),
        (rf"changed user {_USER} (?:shell|information)", "modified-user-account", "user change"),
        (
            rf"can(?:no|')t (?:change|view or modify) \S{{1,32}} \S{{0,32}} ?for {_USER}",
            "!password-changed",
            "user change",
        ),
        (rf"user {_USER} (?:already exists|does not exist)", "!modified-user-account", "user change"),
    )
)
_FIELDS = (
    ("group.name", "group"),
    ("group.id", "gid"),
    ("user.changes.name", "new"),
)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of these tools into the event; False when it is not known."""
    for sentence in _SENTENCES:
        match = sentence.pattern.match(message)
        if match is not None:
            _say(event, sentence, match.groupdict())
            return True
    return pam.read(message, event, context)


def _say(event: Event, sentence: _Sentence, found: dict[str, str | None]) -> None:
    event |= {
        "event.category": ["iam"],
        "event.type": [*sentence.type],
        "event.action": sentence.action,
        "event.outcome": sentence.outcome,
    }
    by, user = found.get("by"), found.get("user")
    if user is not None:
        event["user.target.name"] = user
        if by is None:
            event["user.name"] = user
    if by is not None:
        event["user.name"] = by
    for field, name in _FIELDS:
        if (value := found.get(name)) is not None:
            event[field] = value
    if (uid := found.get("uid")) is not None:
        event["user.target.id"] = event["user.id"] = uid
    for name in ("home", "shell"):
        if value := found.get(name):
            event[f"system.auth.useradd.{name}"] = value
    if (what := found.get("what")) is not None:
        event["event.reason"] = f"{what} from {found['old']} to {found['new_value']}"


_PROGRAMS = ("useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "passwd", "gpasswd", "chage", "chfn")

FORMAT = Format(
    name="accounts",
    dataset="system.auth",
    read=read,
    programs=(*_PROGRAMS, "chsh", "chpasswd", "newusers", "adduser", "addgroup", "deluser", "delgroup"),
)
