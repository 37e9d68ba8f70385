"""The product on a real Kafka and a real Elasticsearch, beside bare clients and a peer: `make bench-cluster`.

Docs/benchmarks.md says how it is measured. `python -m bench cluster produce recovery` measures these parts alone,
`--scale 0.1 --rounds 1` is a look. The servers are those of $ALMENA_TEST_KAFKA and $ALMENA_TEST_ELASTICSEARCH, or
started for the run.
"""

from __future__ import annotations

import argparse
import lzma
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from corpora import CORPORA

from bench import cluster_bus, cluster_flow, cluster_recovery, cluster_store, engine_report
from bench.cluster_place import Place, place
from bench.cluster_report import BEGIN, FEWEST_ROUNDS, Section, keep, kept, markdown, page
from bench.correlation import PAGE
from deploy.dev.jars import StackError

KEPT = Path(__file__).parents[1] / ".bench" / "cluster.json"
"""What was measured so far, part by part, out of version control."""

Part = Callable[[Place, Sequence[bytes], int, float], Section]

PARTS: Mapping[str, Part] = {
    "produce": cluster_bus.produce,
    "consume": cluster_bus.consume,
    "bulk": cluster_store.bulk,
    "latency": cluster_store.latency,
    "recovery": cluster_recovery.recovery,
    "otrf": cluster_flow.otrf,
    "mix": cluster_flow.mix,
}
"""Every part, in the order of the page."""


def otrf_lines() -> list[bytes]:
    """The events of OTRF; none where the corpora are not beside the repository."""
    path = CORPORA / "otrf" / "events.ndjson.xz"
    if not path.exists():
        return []
    with lzma.open(path) as file:
        return file.read().splitlines()


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench cluster", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all unless named")
    parser.add_argument("--rounds", type=int, default=FEWEST_ROUNDS)
    parser.add_argument("--scale", type=float, default=1.0, help="how large everything is, 1 for the whole")
    found = parser.parse_args(given)
    for name in found.parts:
        if name not in PARTS:
            parser.error(f"no part {name!r}; there are {', '.join(PARTS)}")
    found.parts = [name for name in PARTS if name in found.parts] or list(PARTS)
    return found


def main(given: Sequence[str] | None = None) -> None:
    """Measure what is asked for, print it, and write it down where it is whole."""
    asked = arguments(given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    lines = otrf_lines()
    if not lines:
        asked.parts = [name for name in asked.parts if name != "otrf"]
        print("the corpora are not beside the repository: OTRF is not measured", flush=True)
    whole = asked.scale == 1 and asked.rounds >= FEWEST_ROUNDS
    try:
        with place() as found:
            for name in asked.parts:
                _measure(name, found, lines, asked.rounds, asked.scale, whole)
    except StackError as error:
        sys.exit(f"no servers to measure on: {error}")
    if not whole:
        print(f"not kept and not written: that takes full size and {FEWEST_ROUNDS} rounds")


def _measure(name: str, found: Place, lines: Sequence[bytes], rounds: int, scale: float, whole: bool) -> None:
    print(f"-- {name}", flush=True)
    before = os.getloadavg()[0]
    section = PARTS[name](found, lines, rounds, scale)
    section.load = (before + os.getloadavg()[0]) / 2
    print(f"\n{markdown(section)}\n", flush=True)
    if whole:
        sections = kept(KEPT) | {name: section}
        keep(KEPT, sections)
        engine_report.write(PAGE, page(sections, list(PARTS)), BEGIN)
        print(f"written to docs/{PAGE.name}", flush=True)


if __name__ == "__main__":
    main()
