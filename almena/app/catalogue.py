"""The rules and models of an installation as the console shows them."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from almena.app import detectors_of, rule_folders
from almena.config import Config
from almena.console import RuleInfo
from almena.errors import RuleError
from almena.store import ALL, LEDGER, Store
from almena.words import KEYS
from almena.yamlfile import load_all

log = logging.getLogger("almena.console")

INTERVAL = 2.0
"""Seconds between two looks at what the detectors say."""

_PIPELINES = "pipelines"


class Catalogue:
    """The rules as people read about them; read again when the detectors say that they run others.

    So a change that the detectors refuse, and a file that is half written, never show.
    """

    def __init__(self, config: Config, store: Store) -> None:
        """Reads all rules once."""
        self._config = config
        self._store = store
        self._seen = self._said()
        self._rules = catalogue(config)

    def __call__(self) -> list[RuleInfo]:
        """The rules as they were read last."""
        return self._rules

    def seen(self) -> object:
        """What the detectors said when the rules were read last; another value when they run others."""
        return self._seen

    def look(self) -> bool:
        """Read the rules again if the detectors run others since the last look; True then."""
        said = self._said()
        if said == self._seen:
            return False
        self._seen, self._rules = said, catalogue(self._config)
        return True

    @contextmanager
    def following(self, interval: float = INTERVAL) -> Iterator[None]:
        """Look every `interval` seconds meanwhile."""
        stop = threading.Event()

        def follow() -> None:
            while not stop.wait(interval):
                try:
                    self.look()
                except Exception as error:  # the store is locked, a folder is gone: those read before stay
                    log.warning("the rules could not be read again: %r", error)

        thread = threading.Thread(target=follow, name="catalogue", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _said(self) -> object:
        found = self._store.get(LEDGER, "rules", scope=ALL)
        said = found.document if found is not None else {}
        return said.get("almena.rules.hash"), said.get("almena.rules.rejected")


def catalogue(config: Config) -> list[RuleInfo]:
    """Every rule that states an id, and every anomaly detector; texts are templates."""
    found = [model_info(detector) for detector in detectors_of(config)]
    for folder in rule_folders(config):
        for path in sorted(folder.rglob("*.yml")):
            if _PIPELINES not in path.relative_to(folder).parts:
                found.extend(_of_file(path, folder))
    return found


def _of_file(path: Path, folder: Path) -> list[RuleInfo]:
    """The rules of one file; a broken file has none, its reason stands among the rejected."""
    try:
        text = path.read_text("utf-8")
        documents = load_all(text)
    except (OSError, UnicodeDecodeError, RuleError):
        return []
    parts = text.split("\n---\n")
    sources = parts if len(parts) == len(documents) else [text] * len(documents)
    named = zip(documents, sources, strict=True)
    return [
        rule_info(document, str(path.relative_to(folder)), source)
        for document, source in named
        if isinstance(document, dict) and document.get("id")
    ]


def rule_info(document: Mapping[str, Any], file: str, source: str) -> RuleInfo:
    """One Sigma document as people read about it."""
    words = {
        language: {name: _text(block[key]) for key, name in keys.items() if key in block}
        for language, keys in KEYS.items()
        if isinstance(block := document.get(language), dict)
    }
    title = str(document.get("title", ""))
    logsource = document.get("logsource") or {}
    tests = document.get("tests") or {}
    return RuleInfo(
        id=str(document["id"]),
        title={"en": title, **{language: said["title"] for language, said in words.items() if "title" in said}},
        level=str(document.get("level", "medium")),
        status=str(document.get("status", "experimental")),
        kind="correlation" if "correlation" in document else "sigma",
        tags=tuple(map(str, document.get("tags") or ())),
        file=file,
        logsource=", ".join(str(logsource[name]) for name in ("product", "category", "service") if logsource.get(name)),
        tests=sum(len(tests.get(kind) or ()) for kind in ("alerts", "silent")),
        description={"en": str(document.get("description", ""))},
        words=words,
        references=tuple(map(str, document.get("references") or ())),
        source=source,
    )


def model_info(detector: Any) -> RuleInfo:
    """One anomaly detector as people read about it; its module states `RULE` and `WORDS`."""
    module = sys.modules[type(detector).__module__]
    return RuleInfo(
        id=module.RULE["id"],
        title={language: said["title"] for language, said in module.WORDS.items()},
        level=detector.level,
        status="stable",
        kind="model",
        tags=tuple(module.RULE.get("tags", ())),
        file=f"{module.__name__.replace('.', '/')}.py",
        description={"en": (type(detector).__doc__ or "").split("\n\n")[0]},
        words=module.WORDS,
    )


def _text(value: object) -> str:
    return "; ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
