"""The elements of a JSON array of any length, one by one and in little memory, with the place each stands at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

_BLOCK = 1 << 16
_ARRAY = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\[[ \t\r\n]*(?:[{\]]|$)")
_ENVELOPE = re.compile(
    rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\{[ \t\r\n]*"
    rb'(?:"(?:@odata\.[a-zA-Z]{1,32}|kind|etag|nextPageToken|count|total)"[ \t\r\n]*:[ \t\r\n]*'
    rb'(?:"[^"\\]{0,2048}+"|[0-9]{1,18}+)[ \t\r\n]*,[ \t\r\n]*){0,8}'
    rb'"(?:Records|records|value|items|events)"[ \t\r\n]*:[ \t\r\n]*(?=\[[ \t\r\n]*[{\]])'
)
"""How clouds wrap the array in their files and answers: CloudTrail in S3, Azure in storage accounts, Microsoft Graph,
Google's reports."""
_STRUCTURE = re.compile(rb'["\[\]{},]')
_END_OF_TEXT = re.compile(rb'["\\]')
_SPACE = b" \t\r\n"


def begins(head: bytes) -> bool:
    """Whether a file that begins with `head` is an array of objects, alone or as the one field of an object, and no log
    whose lines begin with a bracket."""
    envelope = _ENVELOPE.match(head)
    return _ARRAY.match(head, envelope.end() if envelope is not None else 0) is not None


def elements(file: BinaryIO, longest: int) -> Iterator[tuple[int, int, bytes]]:
    """(number from 1, offset, bytes) of each element; one longer than `longest` comes cut, one byte over.

    Only brackets, commas and quotes are looked at: an element that is no JSON comes as it is, for its parser to
    refuse. So does what stands outside of arrays; several arrays one after the other are read as one.
    """
    splitter = _Splitter(longest)
    number = 0
    block = file.read(_BLOCK)
    envelope = _ENVELOPE.match(block)
    if envelope is not None:
        block = b" " * envelope.end() + block[envelope.end() :]
    while block:
        for offset, data in splitter.feed(block):
            number += 1
            yield number, offset, data
        block = file.read(_BLOCK)
    if envelope is None or splitter.within:  # what closes the object is no element
        for offset, data in splitter.end():
            yield number + 1, offset, data


class _Splitter:
    """Cuts at the commas of the outermost array, whatever the blocks it is fed."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._element = bytearray()
        self._start = 0  # offset of the element's first byte
        self._read = 0  # bytes fed before this block
        self._depth = 0
        self._quoted = False
        self._escaped = False  # the block ended behind a backslash

    @property
    def within(self) -> bool:
        """Whether an array is open."""
        return self._depth > 0

    def feed(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        """The elements that are complete now."""
        begin, place = 0, int(self._escaped)
        self._escaped = False
        while (match := (_END_OF_TEXT if self._quoted else _STRUCTURE).search(block, place)) is not None:
            place = match.end()
            if match[0] == b"\\":
                self._escaped = place == len(block)
                place += 1
            elif match[0] == b'"':
                self._quoted = not self._quoted
            elif self._cuts(match[0]):
                self._keep(block[begin : match.start()], begin)
                yield from self.end()
                begin = place
        self._keep(block[begin:], begin)
        self._read += len(block)

    def end(self) -> Iterator[tuple[int, bytes]]:
        """The element so far, unless it is blank."""
        element, self._element = bytes(self._element), bytearray()
        text = element.lstrip(_SPACE)
        if text:
            yield self._start + len(element) - len(text), text.rstrip(_SPACE)

    def _cuts(self, sign: bytes) -> bool:
        """Whether an element ends, or the first begins, at a sign outside of texts."""
        if sign == b",":
            return self._depth == 1
        if sign in b"[{":
            if self._depth == 0 and sign == b"{":
                return False
            self._depth += 1
            return self._depth == 1
        if self._depth == 0:
            return False
        self._depth -= 1
        return self._depth == 0

    def _keep(self, data: bytes, begin: int) -> None:
        if not self._element:
            data = data.lstrip(_SPACE) if data.isspace() else data
            self._start = self._read + begin
        self._element += data[: self._longest + 1 - len(self._element)]
