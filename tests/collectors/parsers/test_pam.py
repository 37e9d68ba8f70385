from __future__ import annotations

from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS
from collectors.parsers.pam import read

CONTEXT = Context(received=1_795_376_040_000_000)


def test_who_opened_a_session_for_whom() -> None:
    event: Event = {}
    assert read("pam_unix(sudo:session): session opened for user root(uid=0) by ana(uid=1000)", event, CONTEXT)
    assert (event["user.name"], event["user.id"]) == ("ana", "1000")
    assert (event["user.effective.name"], event["user.effective.id"]) == ("root", "0")


def test_failures_name_the_user_and_the_host() -> None:
    event: Event = {}
    assert read(
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 rhost=192.0.2.7  user=root", event, CONTEXT
    )
    assert (event["event.outcome"], event["user.name"], event["source.ip"]) == ("failure", "root", "192.0.2.7")


def test_other_modules_are_known_and_other_lines_are_not() -> None:
    event: Event = {}
    assert read("pam_sss(sshd:auth): authentication success; logname= uid=0 user=ana", event, CONTEXT)
    assert event["event.outcome"] == "success"
    assert not read("pam something", {}, CONTEXT)


def test_a_chosen_user_cannot_pass_for_the_host() -> None:
    event: Event = {}
    line = "pam_unix(sshd:auth): authentication failure; logname= uid=0 ruser= rhost=192.0.2.7  user=x rhost=10.0.0.1"
    assert read(line, event, CONTEXT)
    assert event["source.ip"] == "192.0.2.7"
    assert event["user.name"] == "x"


def test_a_chosen_user_cannot_pass_for_the_peer_of_a_failure() -> None:
    event: Event = {}
    assert read("PAM: Authentication failure for x from 10.0.0.1 from 192.0.2.7", event, CONTEXT)
    assert (event["user.name"], event["source.ip"]) == ("x from 10.0.0.1", "192.0.2.7")


def test_a_module_that_signs_beside_its_program_is_not_the_program() -> None:
    line = b"Nov 22 13:34:00 combo sshd(pam_unix)[811]: session opened for user ana by (uid=0)"
    event = PARSERS["syslog"](line, CONTEXT)
    assert (event["process.name"], event["event.action"], event["user.name"]) == ("sshd", "logged-on", "ana")
