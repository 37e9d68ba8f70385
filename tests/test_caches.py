"""What strangers send is not remembered for long: no cache keeps a long text, however it comes in."""

from __future__ import annotations

import functools
import gc
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from almena import ecs
from almena.app import detectors_of, ruleset
from almena.config import Config
from almena.errors import ParseError
from almena.masking import Masker
from collectors.base import Context
from collectors.parsers import PARSERS
from detectors.sigma.detector import SigmaDetector

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 1_100
NOW = 1_790_000_000_000_000


def caches() -> Iterator[tuple[str, Any]]:
    """Every cache of functions in the product."""
    for package in ("almena", "collectors", "detectors"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if name.endswith("__main__"):
                continue
            module = importlib.import_module(name.removesuffix(".__init__"))
            for attribute, value in vars(module).items():
                if isinstance(value, functools._lru_cache_wrapper):
                    yield f"{name}.{attribute}", value


def texts(key: object) -> Iterator[str]:
    if isinstance(key, str):
        yield key
    elif isinstance(key, (list, tuple)):
        for item in key:
            yield from texts(item)


def hostile() -> Iterator[bytes]:
    """Records whose names and values are as long as they may be."""
    long = "1" * 4_000
    begin = {"@timestamp": "2026-09-21T00:00:00Z", "event.dataset": "app.identity", "event.action": "login"}
    names = sorted(ecs.fields())
    for place in range(0, len(names), 20):
        fields = dict.fromkeys(names[place : place + 20], long) | {"n" * 4_000: "x", long: long}
        yield msgspec.json.encode(fields | begin)
    for channel in ("Security", "Microsoft-Windows-Sysmon/Operational", "System"):
        data = {"IpAddress": long, "Image": "C:\\" + long, "a" * 4_000: "x", "NewProcessName": long + "\\" + long}
        for code in (1, 3, 4624, 4688):
            winlog = {"channel": channel, "event_id": code, "event_data": data}
            yield msgspec.json.encode({"winlog": winlog, "@timestamp": begin["@timestamp"]})
    for part in (long, f"10.0.0.1{long}", "f" * 4_000):
        yield f'{part} - - [22/Nov/2026:13:34:00 -0600] "GET /{part} HTTP/1.1" 200 5 "{part}" "{part}"'.encode()
        yield f'10.0.0.1 - {part} [22/Nov/2026:13:34:00 -0600] "GET /{part} HTTP/1.1" 200 5 "-" "{part}"'.encode()
        yield f"<38>1 2026-09-21T00:00:00Z {part} sshd 1 - - Failed password for {part} from {part} port 1".encode()
        yield f"<38>Sep 21 00:00:00 host sudo: {part} : TTY={part} ; PWD={part} ; USER=root ; COMMAND={part}".encode()


def test_no_cache_keeps_a_long_text() -> None:
    context = Context(received=NOW, origin="192.0.2.1:514")
    mask = Masker(bytes(32)).mask
    config = Config()
    selectors = [SigmaDetector(ruleset(config)), *detectors_of(config)]
    understood = 0
    for raw in hostile():
        for parser in PARSERS.values():
            try:
                event = mask(parser(raw, context))
            except ParseError:
                continue
            understood += 1
            event |= {"event.id": "s:l:0", "event.ingested": "2026-09-21T00:00:00.000000Z", "organization.id": "a"}
            for selector in selectors:
                list(selector.select([event]))
            ecs.check(event)
    assert understood > 100
    gc.collect()
    kept = {
        name: [
            text for table in gc.get_referents(cache) if isinstance(table, dict) for key in table for text in texts(key)
        ]
        for name, cache in caches()
        if "compile_pattern" not in name  # of rules
    }
    assert sum(len(found) > 20 for found in kept.values()) > 2, "caches are in use"
    assert [name for name, found in kept.items() if any(len(text) > LONGEST for text in found)] == []
