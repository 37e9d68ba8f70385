"""Regular expressions of rules: RE2 alone, linear in what strangers send, silent when it refuses one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

import re2
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RegexEngine, RegexPattern

from almena.errors import RuleError

_FLAGS = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s"}


def options() -> Any:
    """How RE2 takes every pattern of a rule: in silence, and asked only whether it matches.

    A new object each time, since RE2 lets anybody change one.
    """
    found = re2.Options()
    found.log_errors = False
    found.never_capture = True
    return found


@lru_cache(maxsize=16_384)
def compile_pattern(pattern: str) -> Any:
    """An RE2 pattern over UTF-8 bytes; raises RuleError with RE2's reason."""
    try:
        return re2.compile(pattern.encode("utf-8"), options=options())
    except (re2.error, UnicodeEncodeError) as error:
        raise RuleError(f"RE2 refuses the regular expression {pattern[:200]!r}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(error)


def escape(text: str) -> str:
    """`text` as a pattern that matches exactly it."""
    return "".join(char if char.isalnum() or char == "_" or not char.isascii() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 32 or ord(char) == 127 else "\\" + char


class _Refused(Exception):
    """RE2 does not take a pattern."""


class _Quiet(RegexEngine):
    """What pySigma checks patterns with, so that it neither prints nor accepts what RE2 cannot run."""

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
        prefix = "".join(letter for flag, letter in _FLAGS.items() if flags & flag)
        options = re2.Options()
        options.log_errors = False
        try:
            return cast(RegexPattern, re2.compile(f"(?{prefix}){pattern}" if prefix else pattern, options=options))
        except (re2.error, UnicodeEncodeError) as error:
            raise _Refused(_reason(error)) from None

    @property
    def error(self) -> type[Exception]:
        return _Refused


POLICY = SigmaPolicy(regex_engine=_Quiet())
"""Given to pySigma wherever it takes one: no templates, no files, no network, RE2 without a word."""
