"""What is said to who posts: an answer in JSON, or why there is none."""

from __future__ import annotations

import msgspec
from starlette.responses import Response


class Refusal(Exception):
    """An answer other than success, in words for who posts."""

    def __init__(self, status: int, reason: str, *, retry: int | None = None, at: int | None = None) -> None:
        """`retry` is the number of seconds after which to come back, `at` the byte where the body broke."""
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry = retry
        self.at = at

    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        return {} if self.retry is None else {"Retry-After": str(self.retry)}


def answer(status: int, content: object, headers: dict[str, str] | None = None) -> Response:
    """A response in JSON."""
    return Response(msgspec.json.encode(content), status, headers, "application/json")
