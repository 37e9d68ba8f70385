"""Detection over real attacks with all 3,132 rules of SigmaHQ, one core, from JSON bytes to alerts."""

from __future__ import annotations

import lzma
import resource
import time

from corpora import CORPORA

from almena.event import Batch, decode
from bench.measure import show
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.loader import load_rules

_ROUNDS = 3
_STEP = 500


def main() -> None:
    """Load, then every event; JSON decoding alone beside it."""
    rules, events = CORPORA / "sigmahq" / "rules-994da16.tar.xz", CORPORA / "otrf" / "events.ndjson.xz"
    if not rules.exists() or not events.exists():
        print("rules: the corpora are not beside the repository; nothing measured")
        return
    began = time.perf_counter()
    ruleset = load_rules([rules], mode="native")
    print(f"{'rules: load 3,132 from YAML':<58} {time.perf_counter() - began:>14.2f} s   ({len(ruleset.rules)} loaded)")
    with lzma.open(events) as file:
        lines = file.read().splitlines()
    rates, floor = [], []
    matches = 0
    for _ in range(_ROUNDS):
        detector = SigmaDetector(ruleset)
        began = time.perf_counter()
        matches = 0
        for start in range(0, len(lines), _STEP):
            part = lines[start : start + _STEP]
            matches += sum(map(len, detector.match_all(Batch(map(decode, part), part))))
        rates.append(len(lines) / (time.perf_counter() - began))
        began = time.perf_counter()
        for line in lines:
            decode(line)
        floor.append(len(lines) / (time.perf_counter() - began))
    show(f"rules: OTRF, 3,132 rules, native, events ({matches:,} matches)", rates)
    show("  beside JSON decoding alone", floor)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{'rules: peak memory of this process':<58} {peak:>14,} MB   (all lines held)")
