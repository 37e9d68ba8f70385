"""sudo's own JSON (`log_format=json`): what was accepted, rejected or ended, with the command's arguments apart.

sudo[812]: @cee:{"sudo":{"accept":{"submituser":"ana","runuser":"root","command":"/usr/bin/id", ...}}}
"""

from __future__ import annotations

from typing import Any

from almena.errors import ParseError
from almena.event import Event
from collectors.parsers.common import as_text, given, json_object

_FIELDS = (
    ("user.name", "submituser"),
    ("user.effective.name", "runuser"),
    ("user.effective.group.name", "rungroup"),
    ("host.name", "submithost"),
    ("process.executable", "command"),
    ("process.working_directory", "runcwd"),
    ("process.working_directory", "submitcwd"),
    ("system.auth.sudo.tty", "ttyname"),
    ("event.reason", "reason"),
    ("event.reason", "signal"),
)
_KINDS = {
    "accept": ("sudo_command", ["start"], "success"),
    "reject": ("sudo_refused", ["start", "denied"], "failure"),
    "alert": ("sudo_alert", ["error"], "failure"),
    "exit": ("sudo_command_ended", ["end"], "success"),
}


def read(message: str, event: Event) -> bool:
    """Read a document of sudo into the event; False when it is none. Raises ParseError when it is damaged."""
    document = json_object(message.encode()).get("sudo")
    if not isinstance(document, dict):
        return False
    for kind, (action, types, outcome) in _KINDS.items():
        details = document.get(kind)
        if isinstance(details, dict):
            event |= {"event.category": ["process"], "event.type": [*types]}
            event |= {"event.action": action, "event.outcome": outcome}
            _fields(event, details)
            return True
    raise ParseError("JSON of sudo that says neither accept, reject, alert nor exit")


def _fields(event: Event, details: dict[str, Any]) -> None:
    for field, name in _FIELDS:
        value = details.get(name)
        if not isinstance(value, (dict, list)) and (text := given(value)) is not None:
            event[field] = text
    arguments = details.get("runargv")
    if isinstance(arguments, list) and arguments:
        event["process.args"] = [as_text(argument) for argument in arguments[:1_024]]
        event["process.command_line"] = " ".join(event["process.args"])
    elif "process.executable" in event:
        event["process.command_line"] = event["process.executable"]
