from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_040_000_000)
HEAD = "msg=audit(1795376040.243:24287): "
CALL = (
    f"type=SYSCALL {HEAD}arch=c000003e syscall={{call}} success=yes exit=0 a0=1 a1=2 a2=3 a3=4 items=2 ppid=2686 "
    'pid=3538 auid=1000 uid=33 gid=33 euid=33 tty=(none) ses=1 comm="sh" exe="/usr/bin/dash" key={key}\n'
)


def parse(text: str) -> Event:
    return PARSERS["auditd"](text.encode(), CONTEXT)


def test_the_records_of_an_execution_are_one_event() -> None:
    event = parse(
        CALL.format(call=59, key="6578656301726F6F74")
        + f'type=EXECVE {HEAD}argc=3 a0="sh" a1="-c" a2=63757263206120622220\n'
        + f'type=CWD {HEAD}cwd="/var/www"\n'
        + f'type=PATH {HEAD}item=0 name="/usr/bin/sh" inode=1 mode=0100755 ouid=0 ogid=0 nametype=NORMAL\n'
        + f'type=PATH {HEAD}item=1 name="/lib64/ld-linux-x86-64.so.2" inode=2 ouid=0 ogid=0 nametype=NORMAL\n'
        + f"type=PROCTITLE {HEAD}proctitle=7368002D63\n"
        + f"type=EOE {HEAD}"
    )
    assert event["event.action"] == "executed"
    assert event["process.args"] == ["sh", "-c", 'curc a b" ']
    assert event["file.path"] == "/usr/bin/sh"
    assert event["auditd.log.record_type"] == ["SYSCALL", "EXECVE", "CWD", "PATH", "PROCTITLE"]
    assert event["auditd.log.key"] == ["exec", "root"]
    assert event["auditd.log.a1"] == "-c"
    assert event["process.working_directory"] == "/var/www"
    assert event["process.title"] == "sh -c"
    assert (event["user.id"], event["auditd.log.auid"]) == ("33", "1000")
    assert event["@timestamp"] == "2026-11-22T19:34:00.243000Z"


@pytest.mark.parametrize(
    ("call", "saddr", "side", "ip", "port"),
    [
        (42, "020001BBCB00710A0000000000000000", "destination", "203.0.113.10", 443),
        (43, "0200C374CB0071090000000000000000", "source", "203.0.113.9", 50036),
        (42, "0A0001BB0000000020010DB8000000000000000000000001" + "00000000", "destination", "2001:db8::1", 443),
    ],
)
def test_peers_of_sockets(call: int, saddr: str, side: str, ip: str, port: int) -> None:
    event = parse(CALL.format(call=call, key="(null)") + f"type=SOCKADDR {HEAD}saddr={saddr}")
    assert (event[f"{side}.ip"], event[f"{side}.port"]) == (ip, port)
    assert event["network.direction"] == ("egress" if side == "destination" else "ingress")


def test_a_local_socket_has_a_path() -> None:
    event = parse(f"type=SOCKADDR {HEAD}saddr=01002F6465762F6C6F6700000000")
    assert event["auditd.log.socket_path"] == "/dev/log"
    assert "destination.address" not in event


def test_of_a_new_file_the_file_counts_and_not_its_directory() -> None:
    event = parse(
        CALL.format(call=257, key='"etc"')
        + f'type=CWD {HEAD}cwd="/etc"\n'
        + f'type=PATH {HEAD}item=0 name="cron.d/" inode=1 nametype=PARENT\n'
        + f'type=PATH {HEAD}item=1 name="cron.d/new" inode=2 nametype=CREATE'
    )
    assert event["file.path"] == "/etc/cron.d/new"
    assert event["auditd.log.nametype"] == ["PARENT", "CREATE"]


def test_long_arguments_in_parts_are_put_together() -> None:
    event = parse(f'type=EXECVE {HEAD}argc=2 a0="x" a1_len=8 a1[0]=6161 a1[1]=6262')
    assert event["process.args"] == ["x", "aabb"]


@pytest.mark.parametrize("separator", ["\x1d", " "])
def test_what_the_daemon_looked_up_is_used(separator: str) -> None:
    event = parse(
        CALL.format(call=2, key='"a"').strip() + f'{separator}ARCH=x86_64 SYSCALL=open AUID="ana" UID="www-data"'
    )
    assert event["user.name"] == "www-data"
    assert event["auditd.log.syscall"] == "open"
    assert "auditd.log.UID" not in event


@given(name=st.text(min_size=1, max_size=20))
def test_an_account_cannot_pass_for_another_field(name: str) -> None:
    plain = all("!" <= char <= "~" and char not in "\"'" for char in name)
    written = f'"{name}"' if plain else name.encode("utf-8", "surrogatepass").hex().upper()
    event = parse(
        f'type=USER_LOGIN {HEAD}pid=1 uid=0 auid=4294967295 ses=1 msg=\'op=login acct={written} exe="/usr/sbin/sshd" '
        "hostname=? addr=203.0.113.9 terminal=ssh res=failed'"
    )
    assert event["source.ip"] == "203.0.113.9"
    assert event["event.outcome"] == "failure"
    assert event["process.executable"] == "/usr/sbin/sshd"


def test_the_journal_and_the_kernel_speak_of_the_same() -> None:
    kernel = (
        "<6>Nov 22 13:34:00 web1 kernel: audit: type=1112 audit(1795376040.243:7): pid=1 uid=0 auid=1000 ses=1 "
        "msg='op=login id=1000 addr=192.0.2.9 res=success'"
    )
    event = PARSERS["syslog"](kernel.encode(), CONTEXT)
    assert (event["event.dataset"], event["event.action"], event["source.ip"]) == (
        "auditd.log",
        "logged-in",
        "192.0.2.9",
    )
    assert event["user.id"] == "1000"


def test_too_many_fields_are_refused() -> None:
    pairs = " ".join(f"a{index}=1" for index in range(5_000))
    with pytest.raises(ParseError, match="more than"):
        parse(f"type=EXECVE {HEAD}{pairs}")
