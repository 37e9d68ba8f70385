"""Each stage alone on the demo's traffic, one core, in memory: intake, detect, correlate."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from almena.app import detectors_of, operators_of
from almena.bus import HITS, Stored
from almena.clock import now
from almena.config import Config
from almena.correlate import Correlate
from almena.demo.play import past
from almena.demo.settings import PARSERS as PARSER_OF
from almena.demo.settings import agency_of, source_name
from almena.detect import Detect
from almena.event import encode
from almena.masking import Masker
from almena.paths import rules_dir
from almena.state import Partition
from bench.measure import show
from collectors.base import Raw, Source
from collectors.intake import event_of
from collectors.parsers import PARSERS
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.loader import load_rules

ROUNDS = 3
STEP = 1_000


def raws() -> list[tuple[Source, Raw]]:
    """The records of the demo's past, as collectors hand them on."""
    names = {
        name: Source(name=source_name(name), agency=agency_of(name), parser=kind) for name, kind in PARSER_OF.items()
    }
    simulation = past(1, minutes=45, rate=8, end=now())
    return [
        (names[item.source], Raw(data=item.data, lane="l", seq=number, received=item.time))
        for number, item in enumerate(simulation)
        if not item.broken
    ]


def steps(records: list[Stored]) -> Iterator[list[Stored]]:
    """Records in steps of a usual size."""
    for start in range(0, len(records), STEP):
        yield records[start : start + STEP]


def main() -> None:
    """Three rounds over the same records, each stage on what the one before it gave."""
    masker, rules = Masker(os.urandom(32)), load_rules([rules_dir()])
    records = raws()
    intake, detect, correlate = [], [], []
    hits = 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        values = [encode(event_of(source, raw, PARSERS[source.parser], masker.mask)) for source, raw in records]
        intake.append(len(records) / (time.perf_counter() - began))
        stored = [
            Stored(
                "events", 0, number, raw.received, "", value, {"source": source.name, "lane": "l", "seq": str(number)}
            )
            for number, ((source, raw), value) in enumerate(zip(records, values, strict=True))
        ]
        models = detectors_of(Config())
        work = Detect(
            0, Partition(), selectors=[SigmaDetector(rules), *models], hit_partitions=1, lateness={}, seal=lambda _: ""
        )
        found: list[Stored] = []
        began = time.perf_counter()
        outputs = [work.step(part) for part in steps(stored)]
        detect.append(len(stored) / (time.perf_counter() - began))
        for output in outputs:
            for record in output.get(HITS, []):
                found.append(Stored("hits", 0, len(found), 0, record.key, record.value, record.headers))
        hits = sum("watermark" not in record.headers for record in found)
        other = Correlate(0, Partition(), operators=operators_of(detectors_of(Config()), rules), event_partitions=1)
        began = time.perf_counter()
        for part in steps(found):
            other.step(part)
        correlate.append(hits / (time.perf_counter() - began))
    show("stage intake: parse, mask, encode, demo mix, events", intake)
    show(f"stage detect: {len(rules.rules)} rules and 3 models, demo mix, events", detect)
    show(f"stage correlate: {hits / len(records):.2f} hits an event, hits", correlate)
