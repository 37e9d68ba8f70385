"""RELP's frames come out the same however the stream is cut, whatever strangers send."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors.relpframes import Command, Frames, response

COMMANDS = st.builds(
    Command,
    st.integers(0, 999_999_999),
    st.sampled_from([b"open", b"syslog", b"close", b"x", b"y" * 32]),
    st.binary(max_size=60),
    st.just(False),
)
CUTS = st.lists(st.integers(1, 40), max_size=30)


def encode(command: Command) -> bytes:
    data = b" " + command.data if command.data else b""
    return b"%d %s %d%s\n" % (command.number, command.name, len(command.data), data)


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    found = []
    for cut in cuts:
        found.append(stream[:cut])
        stream = stream[cut:]
    return [*found, stream]


def fed(stream: bytes, cuts: list[int], limit: int) -> tuple[list[Command], str]:
    frames = Frames(limit)
    commands: list[Command] = []
    for piece in pieces(stream, cuts):
        commands += frames.feed(piece)
        assert len(frames._buffer) <= limit + len(piece) + 60
    return commands, frames.broken


@given(st.lists(COMMANDS, max_size=8), CUTS)
def test_what_was_sent_comes_out_whatever_the_pieces(sent: list[Command], cuts: list[int]) -> None:
    assert fed(b"".join(map(encode, sent)), cuts, 100) == (sent, "")


@given(st.lists(COMMANDS, max_size=8), CUTS, st.integers(0, 30))
def test_data_over_the_limit_is_cut_and_flagged(sent: list[Command], cuts: list[int], limit: int) -> None:
    kept = [Command(each.number, each.name, each.data[:limit], len(each.data) > limit) for each in sent]
    assert fed(b"".join(map(encode, sent)), cuts, limit) == (kept, "")


ALMOST = st.lists(
    st.one_of(st.binary(max_size=12), COMMANDS.map(encode), st.sampled_from([b"1 ", b"syslog ", b"9", b"\n", b" "])),
    max_size=8,
).map(b"".join)


@given(st.one_of(st.binary(max_size=200), ALMOST), CUTS)
@example(b"1 syslog 5 abc\n2 syslog 1 x\n", [3])
@example(b"1 syslog 0 \n", [])
@example(b"1 syslog 3\nabc\n", [])
def test_any_bytes_cut_anywhere_give_the_same(stream: bytes, cuts: list[int]) -> None:
    assert fed(stream, cuts, 20) == fed(stream, [], 20)


@pytest.mark.parametrize(
    ("stream", "broken"),
    [
        (b"1234567890 syslog 1 x\n", "no RELP frame"),
        (b" 1 syslog 1 x\n", "no RELP frame"),
        (b"-1 syslog 1 x\n", "no RELP frame"),
        (b"1 " + b"y" * 33 + b" 1 x\n", "no RELP frame"),
        (b"1 syslog 1000000000 x\n", "no RELP frame"),
        (b"1 syslog x x\n", "no RELP frame"),
        (b"<13>in the clear\n", "no RELP frame"),
        (b"\x16\x03\x01\x02", "no RELP frame"),
        (b"1 syslog 1 xx\n", "a length that is not true"),
        (b"1 syslog 9 x\n2 syslog 1 x\n", "a length that is not true"),
        (b"1 syslog 1\nx\n", "a length, and no data behind it"),
    ],
)
def test_what_is_no_relp_is_said_and_not_followed(stream: bytes, broken: str) -> None:
    good = b"7 syslog 4 good\n"
    assert fed(good + stream + good, [], 100) == ([Command(7, b"syslog", b"good", False)], broken)


def test_a_client_may_leave_out_the_space_before_no_data_or_not() -> None:
    assert [each.data for each in Frames(9).feed(b"1 close 0\n2 close 0 \n")] == [b"", b""]


def test_answers_read_as_commands_do() -> None:
    assert response(7) == b"7 rsp 6 200 OK\n"
    assert response(8, b"") == b"8 rsp 0\n"
    assert Frames(100).feed(response(7, b"500 no")) == [Command(7, b"rsp", b"500 no", False)]
