"""The lines of polkit and pkexec: who gained, or was refused, a right by the desktop's way to become somebody else.

polkitd[611]: Operator of unix-session:2 FAILED to authenticate to gain authorization for action ... [pkexec id] ...
pkexec[812]: ana: Executing command [USER=root] [TTY=/dev/pts/0] [CWD=/home/ana] [COMMAND=/usr/bin/id]
"""

from __future__ import annotations

import re

from almena.event import Event

_OPERATOR = re.compile(
    r"Operator of (\S{1,256}) (successfully authenticated as unix-user:(?P<as>\S{1,256})|FAILED to authenticate) to "
    r"gain (?:(?:TEMPORARY|ONE-SHOT) )?authorization for action (?P<action>\S{1,256}) for \S{1,256} "
    r"\[(?P<command>.{0,4096})\](?: \(owned by unix-user:(?P<owner>[^)\s]{1,256})\))?",
    re.ASCII | re.DOTALL,
)
_PKEXEC = re.compile(
    r"(?P<by>[^\s:]{1,256}): (?P<said>.{1,256}?) \[USER=(?P<to>[^\]]{1,256})\] \[TTY=(?P<tty>[^\]]{0,256})\] "
    r"\[CWD=(?P<cwd>[^\]]{0,4096})\] \[COMMAND=(?P<command>.{0,8192})\]$",
    re.ASCII | re.DOTALL,
)


def read(message: str, event: Event) -> bool:
    """Read a message of polkitd or pkexec into the event; False when it is not known."""
    match = _OPERATOR.match(message)
    if match is not None:
        failed = match[2].startswith("FAILED")
        event |= {
            "event.category": ["authentication"],
            "event.type": ["start"],
            "event.action": "polkit_authorization",
            "event.outcome": "failure" if failed else "success",
            "event.reason": match["action"],
            "process.command_line": match["command"],
        }
        owner = match["owner"] or match["as"]
        if owner is not None:
            event["user.name"] = owner
        if match["as"] is not None and match["as"] != owner:
            event["user.effective.name"] = match["as"]
        return True
    match = _PKEXEC.match(message)
    if match is None:
        return False
    ran = match["said"] == "Executing command"
    event |= {
        "event.category": ["process"],
        "event.type": ["start"] if ran else ["start", "denied"],
        "event.action": "sudo_command" if ran else "sudo_refused",
        "event.outcome": "success" if ran else "failure",
        "user.name": match["by"],
        "user.effective.name": match["to"],
        "process.command_line": match["command"],
        "process.executable": match["command"].partition(" ")[0],
        "process.working_directory": match["cwd"],
    }
    if not ran:
        event["event.reason"] = match["said"]
    return True
