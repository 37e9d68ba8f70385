"""Units that systemd starts and stops, and those that fail.

systemd[1]: nginx.service: Main process exited, code=exited, status=1/FAILURE
systemd[1]: Stopped rsyslog.service - System Logging Service.
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import pam
from collectors.parsers.format import Format

_UNIT = re.compile(
    r"(?:Unit )?([\w@:.\\-]{1,256}\.(?:service|socket|timer|mount|scope|slice|target|path|swap))(?::|\b)", re.ASCII
)
_STATE = re.compile(
    r"(Stopped target|Started|Starting|Stopped|Stopping|Failed to start|Reloaded|Reloading|Restarted|Mounted|Mounting"
    r"|Unmounted|Unmounting|Finished|Listening on|Closed|Reached target|Created slice|Removed slice"
    r"|Condition check resulted in|Dependency failed for|Activating|Deactivated) (.{1,512}?)\.{0,3}$",
    re.ASCII | re.DOTALL,
)
_STATES = {
    "Started": ("service-start", ["start"], "success"),
    "Starting": ("starting-service", ["start"], None),
    "Stopped": ("service-stop", ["end"], "success"),
    "Stopping": ("stopping-service", ["end"], None),
    "Failed to start": ("service-start", ["start"], "failure"),
    "Dependency failed for": ("service-start", ["start"], "failure"),
    "Reloaded": ("service-reload", ["change"], "success"),
    "Restarted": ("service-restart", ["change"], "success"),
    "Finished": ("finished-service", ["end"], "success"),
}
_SESSION = re.compile(r"Session (\S{1,64}) of [uU]ser ([^\s.]{1,256})", re.ASCII)
_EXITED = re.compile(r"code=(\w{1,32}),? status=(\d{1,3})", re.ASCII)
_RESULT = re.compile(r"[Ff]ailed with result '([\w-]{1,64})'", re.ASCII)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of systemd into the event; False when it is not known."""
    state = _STATE.match(message)
    if state is not None:
        _state(state[1], state[2], event)
        return True
    unit = _UNIT.match(message)
    if unit is not None:
        _unit(unit[1], message[unit.end() :], event)
        return True
    return pam.read(message, event, context)


def _state(what: str, of: str, event: Event) -> None:
    action, kind, outcome = _STATES.get(what, ("changed-service", ["info"], None))
    event |= {"event.category": ["process"], "event.type": [*kind], "event.action": action}
    if outcome is not None:
        event["event.outcome"] = outcome
    session = _SESSION.match(of)
    if session is not None:
        event |= {"event.category": ["session"], "almena.linux.session": session[1], "user.name": session[2]}
        event["event.action"] = "started-session" if what == "Started" else "ended-session"
        return
    # Since systemd 249: `Stopped rsyslog.service - System Logging Service`; before, the description alone.
    unit = _UNIT.match(of)
    event["service.name"] = unit[1].removesuffix(".service") if unit is not None else of


def _unit(unit: str, rest: str, event: Event) -> None:
    event |= {"event.category": ["process"], "service.name": unit.removesuffix(".service")}
    exited, result = _EXITED.search(rest[:512]), _RESULT.search(rest[:512])
    if exited is not None:
        failed = exited[2] != "0" or exited[1] != "exited"
        event |= {"event.type": ["end"], "event.action": "service-exited", "process.exit_code": int(exited[2])}
        event["event.outcome"] = "failure" if failed else "success"
    elif result is not None or "entered failed state" in rest:
        event |= {"event.type": ["end"], "event.action": "service-failed", "event.outcome": "failure"}
        if result is not None:
            event["event.reason"] = result[1]
    elif "Deactivated successfully" in rest or "Succeeded" in rest:
        event |= {"event.type": ["end"], "event.action": "service-stop", "event.outcome": "success"}
    elif "Scheduled restart job" in rest:
        event |= {"event.type": ["change"], "event.action": "service-restart"}
    else:
        event["event.type"] = ["info"]


FORMAT = Format(name="systemd", dataset="system.syslog", read=read, programs=("systemd",))
