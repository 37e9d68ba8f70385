"""Personal identifiers and secrets out of events before anything is stored: equal values give equal tokens.

    Masker(key).mask_text("CURP BOXW310820HNERXN09")  ->  "CURP curp-d41f3c0a9b7e6521"

Found everywhere are CURP, RFC, CLABE, payment cards, and secrets (passwords in fields and texts, tokens in URLs,
`Authorization` and `Cookie`). A token is one word for full-text search and never an identifier itself, so that
masking twice changes nothing. It is a keyed hash (HMAC-SHA256) of the normalised value: whoever has no key can
neither read it nor try identifiers out.
"""

from __future__ import annotations

import hmac
import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from almena.errors import ConfigError
from almena.event import Event
from almena.identifiers import (
    GENERIC_RFCS,
    HINT,
    IDENTIFIER,
    TOKEN,
    compile_hint,
    in_guid,
    is_card,
    is_clabe,
    may_identify,
)

SHORTEST_KEY = 16
"""Bytes a key must have at least."""

DEEPEST = 32
"""Levels of nested values that are masked; deeper ones, which no parser gives, are dropped."""

# Letters, digits, spaces, `+`, `-` and Ñ as URLs (encoded up to three times), web servers and JSON escape them.
_ESCAPED = re.compile(
    r"%(?:25){0,2}C3%(?:25){0,2}(?:91|B1)|\\xC3\\x(?:91|B1)|\\u00[DF]1|N\u0303"
    r"|(?:%(?:25){0,2}|\\x|\\u00)(?:3[0-9]|[46][1-9A-F]|[57][0-9A]|20|2[BD])",
    re.IGNORECASE | re.ASCII,
)
_ESCAPE_HINT = (
    r"(?i:%(?:25|C3|3[0-9]|[4-7][0-9A-F]|20|2[BD])|\\x(?:C3|3[0-9]|[4-7][0-9A-F]|20|2[BD])|\\u00)|N\xcc\x83|n\xcc\x83"
)

_STRONG = r"password|passwd|passphrase|contrase(?:n|ñ|Ñ|%C3%B1|%C3%91)a"
_NAMES = (  # `pwd` is first, for the hint leaves it out: every line of sudo has a `PWD=/...`
    r"pwd|secret|token|nip|(?:client|api)[_-]?secret|secret[_-]?key|(?:api|private|access)[_-]?key"
    r"|(?:access|refresh|id|auth|session|bearer|csrf)[_-]?token"
)
_OPTIONS = r"password|passwd|passphrase|pass|pwd|token|secret|api-?key"
_PARAMETERS = (
    r"key|sig|signature|session|session_?id|sid|phpsessid|jsessionid|code|auth|pass|clave|otp|ticket|token|pwd|secret"
    r"|state"
)
_SIGN = r"""(?:["']?[ ]?(?:=|%3D)[ ]?|["'][ ]?:[ ]?|:[ ]|>)"""
_VALUE = r"""(?:"[^"]*"|'[^']*'|["']?[^\s&"'<>;]+)"""
_SCHEMES = r"bearer|basic|digest|negotiate|ntlm|token|apikey"
_SECRET = re.compile(
    r"""(?:set-)?cookie["']?:[ ]?["']?(?P<cookies>[^"'\r\n]+)"""
    rf"""|authorization["']?[ ]?[:=][ ]?["']?(?:(?:{_SCHEMES})[ ]{{1,2}})?(?P<credentials>[^\s"']+)"""
    r"""|\bbearer[ ]{1,2}(?P<borne>(?=[a-z._~+/=-]{0,256}[0-9])[a-z0-9._~+/=-]{8,})"""
    r"""|(?<![a-z0-9_-])(?P<jwt>eyj[a-z0-9_-]{8,}\.[a-z0-9_-]{8,}(?:\.[a-z0-9_-]*)?)"""
    rf"""|(?:{_STRONG}|(?<![a-z0-9])(?:{_NAMES})(?!=/)){_SIGN}(?P<value>{_VALUE})"""
    rf"""|(?<![a-z0-9])(?:--?|/)(?:{_OPTIONS})[ :=](?P<option>{_VALUE})"""
    rf"""|(?:[?&;]|%3F|%26|%3B)(?:{_PARAMETERS})(?:=|%3D)(?P<parameter>[^&#\s"';]+)"""
    r"""|://[^\s/:@"']+:(?P<account>[^\s/@"']+)(?=@)""",
    re.IGNORECASE | re.ASCII,
)
_SECRET_HINT = (
    r"""(?i:cookie["']?:|authorization["']? ?[:=]|bearer [ a-z0-9._~+/=-]{8}|eyj[a-z0-9_-]{8,}\."""
    rf"""|(?:{_STRONG}|{_NAMES[4:]}){_SIGN}|pwd(?:=[^/]|[^=a-z]|$)|[-/](?:{_OPTIONS})[ :=]"""
    rf"""|(?:[?&;]|%3F|%26|%3B)(?:{_PARAMETERS})(?:=|%3D)|://[^\s/:@"']+:[^\s/@"']+@)"""
)


_ANY = compile_hint(f"{HINT}|{_SECRET_HINT}|{_ESCAPE_HINT}")
"""One pass over an event's whole text; nine of ten events end here."""
_MAY_BE_SECRET = compile_hint(_SECRET_HINT)
_MAY_BE_ESCAPED = compile_hint(_ESCAPE_HINT)

_WHOLE = {
    "almena.citizen.curp": "curp",
    "almena.citizen.rfc": "rfc",
    "almena.account.clabe": "clabe",
    "almena.account.previous_clabe": "clabe",
    "almena.account.holder_rfc": "rfc",
}
_CITIZEN = ("almena.citizen.", "almena.app.citizen.")
_SECRET_FIELD = re.compile(
    r"(?:.*(?:password|passwd|passphrase|pwd|contrase[nñ]a|secret|(?:api|private|access|secret)_?key|authorization|cookie"
    r"|(?:access|refresh|id|auth|session|bearer|csrf)_?token)|token|nip|clave|cvv|cvc)",
    re.DOTALL,
)
_OPAQUE_NAMES = frozenset(
    ("@timestamp", "event.id", "event.ingested", "trace.id", "span.id", "transaction.id", "winlog.record_id")
)
_OPAQUE = re.compile(r"(?:\.hash\.|\.pe\.imphash$|guid$|\.entity_id$|^winlog\.keywords$)", re.IGNORECASE)


_LONGEST_NAME = 256
"""Longer names of fields, which strangers may send at will, are not remembered."""


@lru_cache(maxsize=8_192)
def _kind(name: str) -> str:
    """How a field is treated: `text`, `query`, `opaque` (left as it is), or the token its whole value becomes."""
    if name in _WHOLE:
        return _WHOLE[name]
    if name.startswith(_CITIZEN):
        return "citizen"
    if name in _OPAQUE_NAMES or _OPAQUE.search(name) is not None:
        return "opaque"
    if _SECRET_FIELD.fullmatch(name.rpartition(".")[2].lower().replace("-", "_")) is not None:
        return "secret"
    return "query" if name == "url.query" else "text"


@lru_cache(maxsize=8_192)
def _clean(name: str) -> bool:
    """Whether a field's name itself has nothing to mask, as all but hostile ones."""
    return _ANY.search(_utf8(name)) is None


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _gather(value: Any, texts: list[str]) -> bool:
    """Put a plain value's texts on the pile; False for one that must be looked at by itself."""
    if isinstance(value, str):
        texts.append(value)
        return True
    if isinstance(value, list):
        return all(_gather(item, texts) for item in value if not isinstance(item, list)) and list not in map(
            type, value
        )
    if isinstance(value, (int, float)):
        return -1e12 < value < 1e12
    return value is None


def _plain(text: str) -> tuple[str, list[int], list[int]]:
    """`text` with its escapes undone, and for each of its parts where it begins here and where in the original."""
    parts: list[str] = []
    here, there = [0], [0]
    at = last = 0
    for match in _ESCAPED.finditer(text):
        code = match[0][-2:]
        parts += (
            text[last : match.start()],
            "Ñ" if code[1] == "\u0303" or code[0] not in "234567" else chr(int(code, 16)),
        )
        at += match.start() - last
        here += (at, at + 1)
        there += (match.start(), match.end())
        at, last = at + 1, match.end()
    parts.append(text[last:])
    return "".join(parts), here, there


class Masker:
    """Masks events and texts under one key."""

    def __init__(self, key: bytes) -> None:
        """`key` is 16 bytes or more (32 random ones are right); tokens of another key have nothing in common."""
        if len(key) < SHORTEST_KEY:
            raise ConfigError(
                f"the masking key has {len(key)} bytes; use {SHORTEST_KEY} or more, better 32 random ones"
            )
        self._key = bytes(key)

    def __repr__(self) -> str:
        return "Masker(key=…)"

    def token(self, kind: str, value: str) -> str:
        """The token of a normalised value."""
        digest = hmac.digest(self._key, _utf8(f"{kind}:{value}"), "sha256")
        return f"{kind}-{'abcdef'[digest[8] % 6]}{digest.hex()[:15]}"

    def mask(self, event: Event) -> Event:
        """The event without identifiers and secrets; the very same object when it had none."""
        texts: list[str] = []
        for name, value in event.items():
            if len(name) > _LONGEST_NAME:
                break
            kind = _kind(name)
            if kind == "opaque":
                continue
            if kind == "query" and isinstance(value, str):
                texts.append("?" + value)
            elif kind != "text" or not _clean(name) or not _gather(value, texts):
                break
        else:
            if _ANY.search(_utf8("\n".join(texts))) is None:
                return event
        return {self._name(name): self._field(name, value, 0) for name, value in event.items()}

    def mask_text(self, text: str) -> str:
        """The text without identifiers and secrets, also where they are percent-encoded or written as escapes."""
        data = _utf8(text)
        if _ANY.search(data) is None:
            return text
        if _MAY_BE_SECRET.search(data) is not None:
            text = _SECRET.sub(self._secret, text)
        if _MAY_BE_ESCAPED.search(data) is not None:
            text = self._escaped(text)
        if may_identify(data):
            parts: list[str] = []
            last = 0
            for start, end, token in self._found(text):
                parts += (text[last:start], token)
                last = end
            text = "".join((*parts, text[last:]))
        return text

    def _found(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Start, end and token of every identifier."""
        at = 0
        while (match := IDENTIFIER.search(text, at)) is not None:
            length, token = self._identifier(match)
            at = match.start() + length
            if token:
                yield match.start(), at, token

    def _escaped(self, text: str) -> str:
        """Mask what shows once escapes are undone; escapes elsewhere stay as they are, for they are evidence."""
        plain, here, there = _plain(text)
        if len(here) == 1 or not may_identify(_utf8(plain)):
            return text
        parts: list[str] = []
        last = 0
        for start, end, token in self._found(plain):
            first, behind = bisect_right(here, start) - 1, bisect_right(here, end) - 1
            parts += (text[last : there[first] + start - here[first]], token)
            last = there[behind] + end - here[behind]
        return "".join((*parts, text[last:]))

    def _name(self, name: str) -> str:
        clean = _clean if len(name) <= _LONGEST_NAME else _clean.__wrapped__
        return name if clean(name) else self.mask_text(name)

    def _field(self, name: str, value: Any, depth: int) -> Any:
        kind = (_kind if len(name) <= _LONGEST_NAME else _kind.__wrapped__)(name)
        return value if kind == "opaque" else self._value(kind, value, depth)

    def _value(self, kind: str, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._string(kind, value)
        if value is None or isinstance(value, (bool, int, float)):
            return self._scalar(kind, value)
        if depth >= DEEPEST:
            return None
        if not isinstance(value, dict):
            return [self._value(kind, item, depth + 1) for item in value]
        inner = kind in ("text", "query")
        return {
            self._name(str(name)): self._field(str(name), item, depth + 1)
            if inner
            else self._value(kind, item, depth + 1)
            for name, item in value.items()
        }

    def _scalar(self, kind: str, value: float | None) -> Any:
        """A number or a boolean: it stays one unless it had to be masked."""
        if value is None or (kind in ("text", "query") and -1e12 < value < 1e12):
            return value
        written = str(value)
        masked = self._string(kind, written)
        return value if masked == written else masked

    def _string(self, kind: str, value: str) -> str:
        if kind == "text":
            return self.mask_text(value)
        if kind == "query":
            return self.mask_text("?" + value)[1:]
        if not value or TOKEN.fullmatch(value) is not None:
            return value
        if kind in ("curp", "rfc", "clabe"):
            value = value.strip().upper().replace("-", "").replace(" ", "")
            if value in GENERIC_RFCS:
                return value
        return self.token(kind, value)

    def _identifier(self, match: re.Match[str]) -> tuple[int, str]:
        """How much of the match is done with, and its token; no token where it stays."""
        found, kind = match[0], match.lastgroup
        if kind == "digits":
            return self._digits(found)
        normal = found.replace("-", "").upper()
        if kind == "curp" or (kind == "rfc" and normal not in GENERIC_RFCS and not in_guid(match)):
            return len(found), self.token(kind, normal)
        return len(found), ""

    def _digits(self, found: str) -> tuple[int, str]:
        """A CLABE or a card, also with a group of other digits behind it, such as the date it is valid to."""
        groups = re.split("[ +-]", found)
        shorter = len(found) - len(groups[-1]) - 1
        for length in (len(found), shorter) if len(groups) > 1 else (len(found),):
            digits = re.sub("[ +-]", "", found[:length])
            if is_clabe(digits):
                return length, self.token("clabe", digits)
            if 13 <= len(digits) <= 19 and is_card(digits):
                return length, self.token("card", digits)
        # Nothing, but something may begin at the next group.
        return len(groups[0]), ""

    def _secret(self, match: re.Match[str]) -> str:
        whole, value = match[0], match[str(match.lastgroup)]
        quote = value[0] if value[0] in "\"'" else ""
        closing = quote if len(value) > 1 and value[-1] == quote else ""
        inner = value[len(quote) : len(value) - len(closing)]
        if not inner or TOKEN.fullmatch(inner) is not None:
            return whole
        return f"{whole[: len(whole) - len(value)]}{quote}{self.token('secret', inner)}{closing}"
