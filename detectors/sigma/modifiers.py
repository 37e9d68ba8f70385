"""What pySigma lacks: UTF-16 beyond ASCII and in chains, all five dashes, `cased` on references, exact whole numbers.

Importing this module teaches them to pySigma; `ordered` writes a key so that pySigma understands it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

from sigma.modifiers import SigmaModifier, SigmaValueModifier, modifier_mapping, reverse_modifier_mapping
from sigma.types import (
    SigmaCasedString,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNumber,
    SigmaString,
    SigmaStringPartType,
    type_map,
)

from almena.errors import RuleError

CASED = 2
"""Added to `SigmaFieldReference.starts_with`, which pySigma carries through field mappings untouched."""

OF_TEXT = frozenset(
    {"base64", "base64offset", "cased", "contains", "endswith", "expand", "fieldref", "re", "startswith"}
    | {"utf16", "utf16be", "utf16le", "wide", "windash"}
)
"""Modifiers that take text: a number or boolean under them is the text it is written as."""


DASHES = "-/\u2013\u2014\u2015"
"""What Windows takes for the dash before an option."""

MOST_DASHES = 3
"""Dashes of one value that `windash` permutes; each makes five times as many values."""

LARGEST = 10**300
"""Whole numbers of rules stay below it."""

_OPTION = re.compile(rf"(?<!\w)([{DASHES}])(?=\w)")
_OPTION_OR_LAST = re.compile(rf"(?<!\w)([{DASHES}])(?=\w|\Z)")


class Encoded(SigmaString):
    """Text whose characters stand for bytes, so that base64 sees the bytes; surrogates stand for what is no UTF-8."""

    def __bytes__(self) -> bytes:
        return self.to_plain(regex=True).encode("utf-8", "surrogateescape")


class _Encode(SigmaValueModifier[SigmaString, SigmaString]):
    encoding: ClassVar[str] = "utf-16-le"
    mark: ClassVar[bytes] = b""

    def modify(self, val: SigmaString) -> SigmaString:
        encoded = Encoded()
        encoded.s = [
            part.encode(self.encoding).decode("utf-8", "surrogateescape") if isinstance(part, str) else part
            for part in val.s
        ]
        if self.mark:
            encoded.s.insert(0, self.mark.decode("utf-8", "surrogateescape"))
            encoded._merge_strs()
        return encoded


class Utf16le(_Encode):
    """The text's bytes in UTF-16, little end first."""


class Utf16be(_Encode):
    """The text's bytes in UTF-16, big end first."""

    encoding = "utf-16-be"


class Utf16(_Encode):
    """The text's bytes in UTF-16, little end first, behind a byte order mark."""

    mark = b"\xff\xfe"


class Cased(SigmaValueModifier[SigmaString | SigmaFieldReference, SigmaString | SigmaFieldReference]):
    """Upper and lower case differ."""

    def modify(self, val: SigmaString | SigmaFieldReference) -> SigmaString | SigmaFieldReference:
        """The value, marked."""
        if isinstance(val, SigmaFieldReference):
            flags: Any = int(val.starts_with) | CASED
            return SigmaFieldReference(val.field, flags, val.ends_with)
        return SigmaCasedString.from_sigma_string(val)


class Windash(SigmaValueModifier[SigmaString, SigmaExpansion]):
    """Any dash that opens an option may be any other; wildcards, also behind a dash, stay what they are."""

    def modify(self, val: SigmaString) -> SigmaExpansion:
        """The value with every choice of dashes."""
        choices: list[tuple[SigmaStringPartType, ...]] = []
        for number, part in enumerate(val.s, start=1):
            option = _OPTION if number == len(val.s) else _OPTION_OR_LAST
            pieces = option.split(part) if isinstance(part, str) else [part]
            choices += [tuple(DASHES) if place % 2 else (piece,) for place, piece in enumerate(pieces)]
        if sum(len(choice) > 1 for choice in choices) > MOST_DASHES:
            raise RuleError(f"windash permutes at most {MOST_DASHES} dashes of one value; write several values")
        return SigmaExpansion([_joined(parts) for parts in product(*choices)])


def _joined(parts: tuple[SigmaStringPartType, ...]) -> SigmaString:
    joined = SigmaString()
    joined.s = [part for part in parts if part != ""]
    return joined._merge_strs()


@dataclass
class Whole(SigmaNumber):
    """A whole number as it was written, where pySigma's own loses what a float cannot hold."""

    def __post_init__(self, init_number: int) -> None:
        """Raises RuleError for a number beyond all measure."""
        if abs(init_number) >= LARGEST:
            raise RuleError("a whole number of more than 300 digits")
        self.number = init_number


type_map[int] = Whole

_OURS: dict[str, type[SigmaModifier[Any, Any]]] = {
    "cased": Cased,
    "utf16": Utf16,
    "utf16be": Utf16be,
    "utf16le": Utf16le,
    "wide": Utf16le,
    "windash": Windash,
}
modifier_mapping.update(_OURS)
reverse_modifier_mapping.update({kind.__name__: name for name, kind in _OURS.items()})


def ordered(key: str) -> str:
    """The key with `fieldref` before, and `cased` behind, the modifiers they combine with in any order.

    >>> ordered("Image|cased|endswith|fieldref")
    'Image|fieldref|endswith|cased'
    """
    name, *modifiers = key.split("|")
    if not modifiers:
        return key
    front = [modifier for modifier in modifiers if modifier == "fieldref"]
    back = [modifier for modifier in modifiers if modifier == "cased"]
    middle = [modifier for modifier in modifiers if modifier not in ("fieldref", "cased")]
    return "|".join([name, *front, *middle, *back])


def plain(definition: Any, where: str) -> Any:
    """A selection as pySigma takes it; raises RuleError for what it would take in silence."""
    if isinstance(definition, dict):
        changed = {}
        for key, value in definition.items():
            if not isinstance(key, str):
                raise RuleError(f"{where}: the field name {key!r} is no text")
            name = ordered(key)
            while name in changed:  # two orders of the same modifiers: the last one, said again, changes nothing
                name += "|" + name.rpartition("|")[2]
            changed[name] = _values(name, value, where)
        return changed
    if isinstance(definition, list):
        if not definition:
            raise RuleError(f"{where}: an empty list")
        return [plain(item, where) for item in definition]
    if definition is None:
        raise RuleError(f"{where}: null without a field")
    return definition


def _values(key: str, value: Any, where: str) -> Any:
    if isinstance(value, list) and not value:
        raise RuleError(f"{where}: {key} has an empty list of values")
    if OF_TEXT.isdisjoint(key.split("|")[1:]):
        return value
    if isinstance(value, list):
        return [_text(item) for item in value]
    return _text(value)


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value
