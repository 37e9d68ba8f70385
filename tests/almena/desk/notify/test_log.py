"""The terminal channel writes one safe line per message."""

from __future__ import annotations

import sys
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.desk.notify import Log, Message
from almena.desk.notify.base import NotifyError


def message(title: str = "t", text: str = "a\nb") -> Message:
    named: dict[str, Any] = {"level": "high", "agency": "fin", "alert": "a", "group": "g", "rule": "r", "time": "t"}
    return Message(key="k", title=title, text=text, **named)


def test_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    Log().send(message())
    Log().send(message("otro"))
    lines = capsys.readouterr().err.splitlines()
    told = [msgspec.json.decode(line)["notification"] for line in lines]
    assert [each["title"] for each in told] == ["t", "otro"]
    assert told[0]["text"] == ["a", "b"]
    assert told[0]["key"] == "k"


@given(st.text(), st.text())
def test_nothing_moves_the_cursor_or_starts_a_line(title: str, text: str) -> None:
    lines: list[str] = []

    class Terminal:
        def write(self, line: str) -> None:
            lines.append(line)

        def flush(self) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", Terminal())
        Log().send(message(title, text))
    (line,) = lines
    assert line.endswith("\n")
    assert not any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in line[:-1])
    assert not set(line) & set("\u200e\u200f\u202a\u202e\u2066\u2069")


def test_a_closed_terminal_is_an_error_to_try_again() -> None:
    class Closed:
        def write(self, line: str) -> None:
            raise ValueError("I/O operation on closed file")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", Closed())
        with pytest.raises(NotifyError):
            Log().send(message())
