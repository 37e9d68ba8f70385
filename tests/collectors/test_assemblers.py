"""Lines become the records that belong together; from the lines that are needed still, anybody goes on alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import ConfigError
from collectors.assemble import LONGEST, MOST_LINES, Assembler, Line, Record
from collectors.assemble_lines import Indented
from collectors.assemblers import ASSEMBLERS, assembler_for


def lines(*texts: bytes) -> list[Line]:
    """The lines as they follow each other in a file."""
    found, place = [], 0
    for number, text in enumerate(texts, 1):
        found.append(Line(text, place, place + len(text) + 1, False, number))
        place += len(text) + 1
    return found


def put_together(assembler: Assembler, given: Sequence[Line]) -> list[Record]:
    return [record for line in given for record in assembler.add(line)] + list(assembler.end())


def records(parser: str, *texts: bytes, multiline: str = "") -> list[bytes]:
    make = assembler_for(parser, multiline)
    assert make is not None
    return [record.data for record in put_together(make(), lines(*texts))]


IIS = (b"#Software: Microsoft Internet Information Services 10.0", b"#Version: 1.0", b"#Date: 2026-11-22 19:34:00")


def test_w3c_records_carry_the_header_with_their_columns() -> None:
    found = records(
        "iis",
        b"2026-11-22 19:33:00 before any header",
        *IIS,
        b"#Fields: date time c-ip",
        b"2026-11-22 19:34:00 192.0.2.7",
        b"",
        b"#Fields: date time cs-method",
        b"2026-11-22 19:34:01 GET",
        *IIS,
        b"2026-11-22 19:34:02 no columns yet",
    )
    assert found == [
        b"2026-11-22 19:33:00 before any header",
        IIS[0] + b"\n#Fields: date time c-ip\n2026-11-22 19:34:00 192.0.2.7",
        IIS[0] + b"\n#Fields: date time cs-method\n2026-11-22 19:34:01 GET",
        IIS[0] + b"\n2026-11-22 19:34:02 no columns yet",
    ]


def test_zeek_records_carry_what_their_header_says_of_columns_and_types() -> None:
    header = [
        rb"#separator \x09",
        b"#set_separator\t,",
        b"#empty_field\t(empty)",
        b"#unset_field\t-",
        b"#path\tconn",
        b"#fields\tts\tuid",
        b"#types\ttime\tstring",
    ]
    first = [
        *header[:5],
        b"#open\t2026-11-22-13-00-00",
        *header[5:],
        b"1795376040.1\tC1",
        b"#close\t2026-11-22-14-00-00",
    ]
    other = [header[0], b"#path\tdns", b"#fields\tts", b"1795376041.1"]
    assert records("zeek", *first, *other) == [
        b"\n".join([*header, b"1795376040.1\tC1"]),
        b"\n".join(other),
    ]


def test_a_header_too_long_is_left_off_and_costs_no_record() -> None:
    found = records("iis", b"#Fields: " + b"x" * 20_000, b"2026 a", b"#Fields: date", b"2026 b")
    assert found == [b"2026 a", b"#Fields: date\n2026 b"]


def audit(kind: bytes, number: int, second: int = 0) -> bytes:
    return b"type=%s msg=audit(%d.243:%d): a=1" % (kind, 1_795_376_040 + second, number)


def test_records_of_one_audit_event_come_together_through_others() -> None:
    found = records(
        "auditd",
        audit(b"SYSCALL", 1),
        audit(b"USER_LOGIN", 2),
        audit(b"SYSCALL", 3),
        audit(b"CWD", 1),
        audit(b"EXECVE", 3),
        audit(b"PROCTITLE", 1),
        b"something else",
        audit(b"EOE", 3),
    )
    assert found == [
        audit(b"USER_LOGIN", 2),
        b"\n".join([audit(b"SYSCALL", 1), audit(b"CWD", 1), audit(b"PROCTITLE", 1)]),
        b"something else",
        b"\n".join([audit(b"SYSCALL", 3), audit(b"EXECVE", 3), audit(b"EOE", 3)]),
    ]


def test_an_audit_event_that_never_ends_is_complete_when_a_younger_one_comes() -> None:
    found = records("auditd", audit(b"AVC", 1), audit(b"SYSCALL", 2, 1), audit(b"SYSCALL", 3, 2), audit(b"CWD", 2, 1))
    assert found == [audit(b"AVC", 1), audit(b"SYSCALL", 2, 1) + b"\n" + audit(b"CWD", 2, 1), audit(b"SYSCALL", 3, 2)]


def test_audit_events_of_different_nodes_and_in_syslog_lines() -> None:
    prefix = b"<13>Nov 22 13:34:00 web1 audispd: "
    found = records(
        "auditd",
        b"node=a " + audit(b"SYSCALL", 1),
        b"node=b " + audit(b"SYSCALL", 1),
        prefix + audit(b"SYSCALL", 2),
        b"node=a " + audit(b"PROCTITLE", 1),
        prefix + audit(b"PROCTITLE", 2),
    )
    assert found == [
        b"node=a " + audit(b"SYSCALL", 1) + b"\n" + b"node=a " + audit(b"PROCTITLE", 1),
        prefix + audit(b"SYSCALL", 2) + b"\n" + audit(b"PROCTITLE", 2),
        b"node=b " + audit(b"SYSCALL", 1),
    ]


def test_unfinished_audit_events_are_few() -> None:
    assembler = ASSEMBLERS["auditd"]()
    given = lines(*(audit(b"SYSCALL", number) for number in range(5_000)))
    most = 0
    found: list[Record] = []
    for line in given:
        found += assembler.add(line)
        most = max(most, len(assembler.spans()))
    assert most <= 64
    assert len([*found, *assembler.end()]) == 5_000
    assert not assembler.waiting()


def test_a_stack_trace_is_one_record() -> None:
    trace = [
        b"2026-11-22 13:34:00,123 ERROR [app] it failed",
        b"java.lang.IllegalStateException: no",
        b"\tat mx.gob.App.main(App.java:7)",
        b"Caused by: java.io.IOException: disk",
        b"\t... 3 more",
    ]
    assert records("java", *trace, b"2026-11-22 13:34:01,000 INFO [app] fine", *trace) == [
        b"\n".join(trace),
        b"2026-11-22 13:34:01,000 INFO [app] fine",
        b"\n".join(trace),
    ]


def test_postgresql_continues_by_tabs_and_in_csv_by_quotes() -> None:
    plain = [
        b"2026-11-22 13:34:00.123 CST [811] ERROR:  bad",
        b"\tcontinued",
        b"2026-11-22 13:34:00.124 CST [811] LOG:  x",
    ]
    assert records("postgresql", *plain) == [b"\n".join(plain[:2]), plain[2]]
    quoted = [
        b'2026-11-22 13:34:00.123 CST,"ana","db",1,"a ""b',
        b"2026 is within",
        b'","end"',
        b"2026-11-22 13:34:01.000 CST,,",
    ]
    assert records("postgresql", *quoted) == [b"\n".join(quoted[:3]), quoted[3]]


SLOW = (
    b"# Time: 2026-11-22T19:34:00.123456Z",
    b"# User@Host: root[root] @ localhost []  Id:     8",
    b"# Query_time: 2.000212  Lock_time: 0.000001 Rows_sent: 1  Rows_examined: 0",
    b"SET timestamp=1795376040;",
    b"SELECT sleep(2),",
    b"",
    b"{1};",
)


def test_mysql_statements_of_the_slow_log_are_one_record_each() -> None:
    assert records("mysql", b"/usr/sbin/mysqld, Version: 8.0.40. started with:", *SLOW, *SLOW[1:], *SLOW) == [
        b"/usr/sbin/mysqld, Version: 8.0.40. started with:",
        b"\n".join(SLOW),
        b"\n".join(SLOW[1:]),
        b"\n".join(SLOW),
    ]


def test_mysql_error_general_and_xml_logs() -> None:
    general = [
        b"2026-11-22T19:34:00.123456Z\t    8 Query\tSELECT 1,",
        b"2",
        b"2026-11-22T19:34:01.123456Z\t    8 Quit\t",
    ]
    assert records("mysql", *general) == [b"\n".join(general[:2]), general[2]]
    xml = [b"<AUDIT_RECORD>", b"  <NAME>Connect</NAME>", b" </AUDIT_RECORD>"]
    assert records("mysql", b'<?xml version="1.0"?>', b"<AUDIT>", *xml, *xml, b"</AUDIT>") == [b"\n".join(xml)] * 2
    assert records("mysql", b'{"a":1}', b'{"a":2}') == [b'{"a":1}', b'{"a":2}']


def test_an_alert_of_snort_in_full_ends_with_an_empty_line() -> None:
    full = [
        b"[**] [1:1:0] Prueba [**]",
        b"[Priority: 0] ",
        b"11/22-13:34:00.123456 10.0.0.5:1 -> 10.0.0.6:2",
        b"TCP TTL:1",
    ]
    short = b"11/22-13:34:00.123456  [**] [1:1:0] Prueba [**] [Priority: 0] {UDP} 10.0.0.5:1 -> 10.0.0.6:2"
    assert records("snort", *full, b"", short, short, *full) == [
        b"\n".join(full),
        short,
        short,
        b"\n".join(full),
    ]


def test_a_transaction_of_modsecurity_ends_with_its_own_last_section_alone() -> None:
    transaction = [
        b"--a1b2c3d4-A--",
        b"[22/Nov/2026:13:34:00 --0600] id 192.0.2.7 1 198.51.100.2 80",
        b"--a1b2c3d4-C--",
        b"--ffffffff-Z--",
        b"--ffffffff-A--",
        b"",
        b"{",
        b"--a1b2c3d4-Z--",
    ]
    other = [line.replace(b"a1b2c3d4", b"-4KBqWAhf-") for line in transaction]
    assert records("modsecurity", *transaction, b"", *other, b'{"transaction":{}}', b'{"transaction":{}}') == [
        b"\n".join(transaction),
        b"\n".join(other),
        b'{"transaction":{}}',
        b'{"transaction":{}}',
    ]


def test_oracle_text_and_xml() -> None:
    title = [
        b"Audit file /u01/app/oracle/admin/orcl/adump/orcl_ora_1.aud",
        b"Oracle Database 19c",
        b"ORACLE_HOME:    /u01",
        b"",
    ]
    block = [b"Sun Nov 22 13:34:00 2026 -06:00", b"LENGTH : '160'", b"ACTION :[7] 'CONNECT'"]
    assert records("oracle", *title, *block, b"", *block) == [b"\n".join(block)] * 2
    xml = [b"<AuditRecord><Audit_Type>1</Audit_Type>", b"<Sql_Text>a", b"b</Sql_Text>", b"</AuditRecord>"]
    frame = b'<Audit xmlns="x">'
    assert records("oracle", b'<?xml version="1.0"?>', frame, *xml, *xml, b"</Audit>") == [b"\n".join(xml)] * 2


def test_lines_without_a_time_continue() -> None:
    given = [b"2026-11-22 13:34:00.12 Logon       Error: 18456", b"more of it", b"2026-11-22 13:34:00.12 Logon  x"]
    assert records("mssql", *given) == [b"\n".join(given[:2]), given[2]]


def test_titles_of_windows_files_are_no_records() -> None:
    dns = [b"11/22/2026 1:34:00 PM 0F30 PACKET  0001 UDP Rcv 192.0.2.7  0002   Q", b"  Offset = 0x000c", b""]
    title = [
        b"DNS Server log file creation at 11/22/2026",
        b"Message logging key (for packets):",
        b"\tField #  Information",
    ]
    assert records("windows_dns", *title, b"\t-------", *dns, *dns) == [b"\n".join(dns[:2])] * 2
    dhcp = b"11,11/22/26,13:34:00,Renew,10.0.0.55,pc1.dif.example,00005E005302,"
    title = [
        b"\t\tMicrosoft DHCP Service Activity Log",
        b"",
        b"Event ID  Meaning",
        b"00\tThe log was started.",
        b"50+\tCodes",
    ]
    assert records("dhcp_windows", *title, b"ID,Date,Time,Description,IP Address", dhcp, dhcp, b"x") == [
        dhcp,
        dhcp,
        b"x",
    ]


def test_an_expression_of_the_operators_own() -> None:
    assert records("json", b"rest", b"BEGIN 1", b"a", b"BEGIN 2", multiline="^BEGIN ") == [
        b"rest",
        b"BEGIN 1\na",
        b"BEGIN 2",
    ]
    assert records("json", b"one", b" two", b"\tthree", b"four", multiline="indented") == [
        b"one\n two\n\tthree",
        b"four",
    ]
    assert assembler_for("iis", "lines") is None
    assert assembler_for("nginx") is None
    for wrong in ("(", "(?=a)", "a" * 2_000, r"\1"):
        with pytest.raises(ConfigError, match="multiline: "):
            assembler_for("json", wrong)


def test_formats_are_recognised_by_what_each_line_says() -> None:
    zeek = [b"#separator \\x09", b"#fields\ta"]
    assert records("auto", b"# x", *zeek, b"1") == [b"# x", b"\n".join([*zeek, b"1"])]
    assert records("auto", audit(b"SYSCALL", 1), audit(b"EOE", 1)) == [audit(b"SYSCALL", 1) + b"\n" + audit(b"EOE", 1)]


@pytest.mark.parametrize("multiline", ["indented", "java", "timed", "^NEVER"])
def test_records_have_a_bound_in_lines_and_bytes_and_nothing_is_lost(multiline: str) -> None:
    many = [b"\t%d" % number for number in range(3 * MOST_LINES)]
    found = records("x", *many, multiline=multiline)
    assert b"\n".join(found).split(b"\n") == many
    assert max(record.count(b"\n") for record in found) == MOST_LINES - 1
    large = [b"\t" + bytes([65 + number]) * (LONGEST // 3) for number in range(7)]
    found = records("x", *large, multiline=multiline)
    assert b"\n".join(found).split(b"\n") == large
    assert max(map(len, found)) <= LONGEST


WORDS: dict[str, list[bytes]] = {
    "exchange": [*IIS, b"#Fields: a", b"#Fields: b", b"#x", b"1", b"2", b""],
    "auditd": [
        audit(kind, number, number % 4) for kind in (b"SYSCALL", b"CWD", b"EOE", b"USER_X") for number in range(6)
    ],
    "postgresql": [b'2026-11-22 13:34:00.123 CST,"a"', b'2026-11-22 13:34:00.123 CST,"a', b'"', b"\tx", b"x", b""],
    "mysql": [*SLOW, b"<AUDIT_RECORD>", b"</AUDIT_RECORD>", b"<AUDIT>", b'{"a":1}', b""],
    "modsecurity": [b"--a1b2c3d4-A--", b"--a1b2c3d4-Z--", b"--ffffffff-A--", b"--ffffffff-Z--", b"{", b"x", b""],
    "snort": [b"[**] [1:1:0] x [**]", b"[Priority: 0] ", b"11/22-13:34:00.123456 x", b"{", b""],
    "oracle": [b"<AuditRecord>", b"</AuditRecord>", b"<Audit >", b"Sun Nov 22 13:34:00 2026 x", b"x", b"{", b""],
    "java": [b"x", b"\tat", b"Caused by: x", b"a.b.CException: x", b""],
    "mssql": [b"2026-11-22 13:34:00 x", b"x", b"{", b""],
    "auto": [*IIS[:1], b"#Fields: b", audit(b"SYSCALL", 1), audit(b"EOE", 1), b"1", b""],
    "iis": [*IIS, b"#Fields: a", b"1"],
    "keycloak": [b"x", b"\tat", b"Caused by: x", b""],
    "dhcp_windows": [b"11,x", b"ID,Date,Time", b"00\tx", b""],
    "windows_dns": [b"11/22", b"\tx", b"  x", b"Log file wrap", b""],
    "zeek": [b"#separator x", b"#path y", b"#close", b"1"],
}


NOISE = st.binary(max_size=8).map(lambda data: data.replace(b"\n", b""))


def test_every_assembler_is_held_to_its_promise() -> None:
    assert set(WORDS) == set(ASSEMBLERS)


def is_title(assembler: Assembler, data: bytes) -> bool:
    return assembler.ignored(data) if isinstance(assembler, Indented) else data.startswith(b"#")


@pytest.mark.parametrize("parser", sorted(ASSEMBLERS))
@examples(60)
@given(data=st.data())
def test_going_on_from_the_lines_that_are_needed_still_gives_the_same(parser: str, data: st.DataObject) -> None:
    """Restarts anywhere, as often as wanted; every line is in a record, or in a header."""
    given = lines(*data.draw(st.lists(st.sampled_from(WORDS[parser]) | NOISE, max_size=40)))
    make = ASSEMBLERS[parser]
    calm = put_together(make(), given)
    by_start = {line.start: line for line in given}
    assembler = make()
    found: list[Record] = []
    for line in given:
        found += assembler.add(line)
        if data.draw(st.booleans()):
            spans, waiting = assembler.spans(), assembler.waiting()
            assembler = make()
            for start, end in spans:
                assert by_start[start].end == end
                assert not assembler.add(by_start[start]), "nothing that is needed still completes anything"
            assert (assembler.spans(), assembler.waiting()) == (spans, waiting)
    assert found + list(assembler.end()) == calm
    assert not assembler.waiting()
    together = b"\n".join(record.data for record in calm)
    for line in given:
        assert line.data in together or is_title(make(), line.data), line


HOSTILE: dict[str, Callable[[int], list[bytes]]] = {
    "one letter": lambda size: [b"a" * size],
    "dots": lambda size: [b"a." * (size // 2)],
    "exceptions": lambda size: [b"a.bException" * (size // 12)],
    "audit": lambda size: [b"audit(" * (size // 6)],
    "node": lambda size: [b"node=a " * (size // 7)],
    "dashes": lambda size: [b"-" * size],
    "short": lambda size: [b"x"] * (size // 2),
    "empty": lambda size: [b""] * size,
    "events": lambda size: [audit(b"SYSCALL", number) for number in range(size // 60)],
    "headers": lambda size: [b"#Fields: a"] * (size // 11),
}


@pytest.mark.parametrize("shape", sorted(HOSTILE))
def test_hostile_lines_take_linear_time(shape: str) -> None:
    given = lines(*HOSTILE[shape](1 << 18))
    began = time.process_time()
    for make in {*ASSEMBLERS.values(), assembler_for("x", "(a*)*b|c$")}:
        assert make is not None
        put_together(make(), given)
    assert time.process_time() - began < 20.0
