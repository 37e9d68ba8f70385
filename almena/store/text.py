"""Cuts text into the words that search knows, so that every store gives the same answer to the same question.

A word is a run of letters, digits and `_`, joined by `.`, `-`, `@`, `+` or `$`: `svc_backup`, `10.0.0.5`, `cmd.exe`,
`ana@finanzas.gob.mx` are words; so is what has two or more colons between hexadecimal digits (`fe80::1`, a MAC).
Everything else separates: a path is found by its parts. A document is also found by the pieces of its words (`cmd`,
`backup`, `finanzas`), except that addresses are not taken apart. Case and accents do not count. The ñ does for
whoever types it: `contraseña` finds only itself, `contrasena` (a keyboard without ñ) finds both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

LONGEST_TEXT = 65_536
"""Characters of one value that are searched."""

LONGEST_WORD = 128
"""Characters of a word that count; two words with the same beginning of this length are one."""

MOST_WORDS = 4_096
"""Words of one document; later ones are not found."""

_WORD = re.compile(
    r"(?<![\w:])(?=[0-9a-f:]*:[0-9a-f]*:)[0-9a-f:]{3,64}(?![\w:])"  # fe80::1, 00:1b:44:11:3a:b7
    r"|\w+(?:[.\-@+$]+\w+)*"
)
_JOINT = re.compile(r"[_.\-@+$:]+")
_MARKS = re.compile(r"[\u0300-\u036f]")


def tokens(text: str) -> list[str]:
    """The words of a question, each once, in order.

    >>> tokens(r'Contraseña de SVC_BACKUP en "C:\\Temp\\cmd.exe"')
    ['contraseña', 'de', 'svc_backup', 'en', 'c', 'temp', 'cmd.exe']
    """
    found = (word[:LONGEST_WORD] for word in _WORD.findall(fold(text[:LONGEST_TEXT])))
    return list(dict.fromkeys(found))


def index_tokens(values: Iterable[str]) -> list[str]:
    """Every word under which a document with these texts is found: its words, their pieces, and both without ñ.

    >>> index_tokens(["Contraseña svc_backup 10.0.0.5"])
    ['contraseña', 'contrasena', 'svc_backup', 'svc', 'backup', '10.0.0.5']
    """
    whole: dict[str, None] = {}
    for value in values:
        whole.update(dict.fromkeys(tokens(value)))
        if len(whole) >= MOST_WORDS:
            break
    found: dict[str, None] = {}
    for word in whole:
        for name in (word, *_pieces(word)):
            found[name] = None
            if "ñ" in name:
                found[name.replace("ñ", "n")] = None
        if len(found) >= MOST_WORDS:
            break
    return list(found)


def fold(text: str) -> str:
    """The text in lower case without accents; ñ stays.

    >>> fold("ÁRBOL, Año")
    'arbol, año'
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.lower()).lower().replace("n\u0303", "ñ")
    return _MARKS.sub("", plain)


def _pieces(word: str) -> list[str]:
    if word.isalnum() or ":" in word:
        return []
    pieces = [piece for piece in _JOINT.split(word) if piece]
    return [] if all(piece.isdigit() for piece in pieces) else pieces
