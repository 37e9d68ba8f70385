"""Lines of Linux's daily programs, recognised inside of syslog by who signs them."""

from __future__ import annotations

import pytest

from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_040_000_000)


def parse(text: str) -> Event:
    return PARSERS["syslog"](f"<38>Nov 22 13:34:00 web1 {text}".encode(), CONTEXT)


@pytest.mark.parametrize(
    ("line", "action", "user"),
    [
        (
            "useradd[8]: new user: name=ana, UID=1002, GID=1002, home=/home/ana, shell=/bin/sh",
            "user-created",
            "ana",
        ),
        ("usermod[8]: add 'ana' to group 'sudo'", "group-member-added", "ana"),
        ("gpasswd[8]: user beto added by root to group sudo", "group-user-added", "root"),
        ("passwd[8]: pam_unix(passwd:chauthtok): password changed for ana", "password-changed", "ana"),
        ("login[8]: FAILED LOGIN 1 FROM 192.0.2.7 FOR ana, Authentication failure", "login", "ana"),
        ("systemd-logind[8]: New session 4 of user ana.", "started-session", "ana"),
        ("CRON[8]: (ana) CMD (/bin/true)", "cron_command", "ana"),
        ("crontab[8]: (ana) REPLACE (ana)", "crontab_replaced", "ana"),
        ("systemd[1]: Started Session 4 of user ana.", "started-session", "ana"),
        ("pkexec[8]: ana: Executing command [USER=root] [TTY=x] [CWD=/] [COMMAND=/bin/id]", "sudo_command", "ana"),
    ],
)
def test_what_happened_and_to_whom(line: str, action: str, user: str) -> None:
    event = parse(line)
    assert (event["event.action"], event["user.name"]) == (action, user)
    assert event["message"] == line.partition(": ")[2], "the sentence is kept for people"


def test_the_kernel_is_shared_by_several_formats() -> None:
    assert parse("kernel: usb 1-2: USB disconnect, device number 5")["event.action"] == "device-disconnected"
    assert parse("kernel: something new")["event.dataset"] == "system.syslog"


def test_a_command_of_cron_may_hold_anything() -> None:
    event = parse("CRON[8]: (www-data) CMD (echo ') CMD (root)' # (x))")
    assert event["user.name"] == "www-data"
    assert event["process.command_line"] == "echo ') CMD (root)' # (x)"


def test_a_unit_is_the_service_and_not_its_description() -> None:
    event = parse("systemd[1]: Stopped rsyslog.service - System Logging Service.")
    assert (event["service.name"], event["process.name"]) == ("rsyslog", "systemd")
