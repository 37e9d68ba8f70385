"""Tells messages on the terminal: one line of JSON each, safe to look at."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import msgspec

from almena.desk.notify.base import Common, Message, NotifyError
from almena.words import safe

_LONGEST = 4_000


@dataclass(kw_only=True)
class Log(Common):
    """One line of JSON on standard error for every message; what is used when nothing else is configured."""

    def send(self, message: Message) -> None:
        """Write the line; raises NotifyError when nobody reads standard error any more."""
        told = {
            name: safe(value, _LONGEST) if isinstance(value, str) else value
            for name, value in msgspec.structs.asdict(message).items()
        } | {"text": [safe(line, _LONGEST) for line in message.text.split("\n")]}
        try:
            sys.stderr.write(msgspec.json.encode({"notification": told}).decode() + "\n")
            sys.stderr.flush()
        except (OSError, ValueError) as error:
            raise NotifyError(f"standard error cannot be written: {error}") from None
