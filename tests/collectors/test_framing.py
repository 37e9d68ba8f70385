from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.framing import Frame, Framer

LIMIT = 64


def cut(pieces: list[bytes], limit: int = LIMIT) -> list[Frame]:
    framer = Framer(limit)
    frames = [frame for piece in pieces for frame in framer.feed(piece)]
    return frames + framer.end()


def texts(*pieces: bytes, limit: int = LIMIT) -> list[bytes]:
    return [frame.data for frame in cut(list(pieces), limit)]


def counted(message: bytes) -> bytes:
    return b"%d %s" % (len(message), message)


def test_lines() -> None:
    assert texts(b"<13>one\n<13>two\r\n\n\r\n\0\n<13>three\0\n<13>rest") == [
        b"<13>one",
        b"<13>two",
        b"<13>three",
        b"<13>rest",
    ]


def test_counted_messages_may_hold_line_breaks() -> None:
    stream = counted(b"<13>one\ntwo") + counted(b"<13>three") + b"\n" + counted(b"<13>four\n")
    assert texts(stream) == [b"<13>one\ntwo", b"<13>three", b"<13>four"]


def test_one_stream_may_mix_both() -> None:
    assert texts(counted(b"<13>one") + b"<13>two\n" + counted(b"<13>three")) == [b"<13>one", b"<13>two", b"<13>three"]


@pytest.mark.parametrize(
    "line", [b"2026 began", b"12", b"12 ", b"12 x", b"012 <13>x", b"1234567890 <13>x", b"1", b" <13>"]
)
def test_a_line_that_begins_with_a_number_is_a_line(line: bytes) -> None:
    assert texts(line + b"\n<13>next\n") == [line, b"<13>next"]


def test_a_count_that_is_too_small_costs_only_its_own_message() -> None:
    assert texts(b"6 <13>one and more\n" + counted(b"<13>two")) == [b"<13>on", b"e and more", b"<13>two"]


def test_a_count_that_is_too_large_takes_what_follows_and_no_more() -> None:
    stream = b"20 <13>one\n<13>two\n" + b"<13>three\n<13>four\n"
    assert texts(stream) == [b"<13>one\n<13>two\n<13>"[:20], b"three", b"<13>four"]


def test_a_count_beyond_belief_is_read_as_a_line() -> None:
    assert texts(b"999999999 <13>one\n<13>two\n") == [b"999999999 <13>one", b"<13>two"]


def test_a_counted_message_that_never_ends_is_flagged() -> None:
    assert cut([b"60 <13>cut"]) == [Frame(b"<13>cut", True)]


def test_what_is_too_long_is_cut_flagged_and_skipped() -> None:
    long = b"<13>" + b"x" * 500
    short = Frame(b"<13>short", False)
    assert cut([long + b"\n<13>short\n"]) == [Frame(long[:LIMIT], True), short]
    assert cut([counted(long) + b"<13>short\n"]) == [Frame(long[:LIMIT], True), short]
    assert cut([long]) == [Frame(long[:LIMIT], True)]


@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_itself_still_fits(over: int) -> None:
    message = b"<" + b"x" * (LIMIT - 1 + over)
    assert cut([message + b"\n"]) == [Frame(message[:LIMIT], bool(over))]
    assert cut([counted(message)]) == [Frame(message[:LIMIT], bool(over))]


def test_ten_megabytes_without_a_line_break_stay_small() -> None:
    framer = Framer(1 << 20)
    frames = [frame for _ in range(160) for frame in framer.feed(b"x" * 65_536)]
    assert [len(frame.data) for frame in frames] == [1 << 20]
    assert frames[0].truncated
    assert len(framer._buffer) == 0
    assert framer.feed(b"end\n<13>next\n") == [Frame(b"<13>next", False)]


def test_a_long_line_in_single_bytes_takes_linear_time() -> None:
    framer = Framer(1 << 20)
    began = time.perf_counter()
    for _ in range(200_000):
        framer.feed(b"x")
    assert time.perf_counter() - began < 3.0


STREAMS = st.lists(
    st.one_of(
        st.binary(max_size=100),
        st.binary(max_size=100).map(lambda data: data + b"\n"),
        st.binary(max_size=100).map(lambda data: counted(b"<13>" + data)),
        st.tuples(st.integers(0, 10**12), st.binary(max_size=20)).map(lambda pair: b"%d <%s" % pair),
        st.sampled_from([b"\n", b"\r\n", b"\0", b"1", b"12 ", b"5 <", b"<", b"x" * 200]),
    ),
    max_size=12,
).map(b"".join)


@settings(max_examples=400)
@given(STREAMS, st.lists(st.integers(0, 400), max_size=20))
@example(b"x" * LIMIT + b"\r\n", [LIMIT + 1])
@example(b"65 <" + b"x" * 64, [4, 5])
def test_any_chunking_gives_the_same_messages(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, *(place for place in cuts if place < len(stream)), len(stream)})
    pieces = [stream[start:end] for start, end in itertools.pairwise(places)]
    whole = cut([stream])
    assert cut(pieces) == whole
    assert cut([stream[place : place + 1] for place in range(len(stream))]) == whole
    assert all(0 < len(frame.data) <= LIMIT for frame in whole)


@given(
    st.lists(
        st.binary(min_size=1, max_size=LIMIT - 4).map(lambda data: b"<13>" + data.replace(b"\n", b" ")), max_size=10
    ),
    st.data(),
)
def test_what_is_sent_arrives(messages: list[bytes], data: st.DataObject) -> None:
    framed = [counted(message) if data.draw(st.booleans()) else message + b"\n" for message in messages]
    assert texts(b"".join(framed)) == [message.rstrip(b"\r\n\0") for message in messages]
