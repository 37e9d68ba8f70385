"""Timing for all benchmarks: repeat, take the median, say the spread; a peer runs in the same rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

ROUNDS = 5


def rate(count: int, work: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """`count` per second in each round."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        found.append(count / (time.perf_counter() - began))
    return found


def show(name: str, rates: list[float], unit: str = "/s") -> None:
    """One line: median and spread."""
    print(f"{name:<58} {statistics.median(rates):>14,.0f}{unit}   ({min(rates):,.0f} to {max(rates):,.0f})", flush=True)


def beside(name: str, count: int, ours: Callable[[], object], peer: str, theirs: Callable[[], object]) -> None:
    """Ours and a peer in alternating rounds, and the ratio of each round."""
    mine, others = [], []
    for _ in range(ROUNDS):
        mine += rate(count, ours, 1)
        others += rate(count, theirs, 1)
    show(name, mine)
    show(f"  beside {peer}", others)
    ratios = [a / b for a, b in zip(mine, others, strict=True)]
    print(
        f"{'  ratio':<58} {statistics.median(ratios):>14.2f}     ({min(ratios):.2f} to {max(ratios):.2f})", flush=True
    )


def percentiles(name: str, seconds: list[float]) -> None:
    """p50 and p99 of delays."""
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    print(f"{name:<58} p50 {p50 * 1000:,.0f} ms, p99 {p99 * 1000:,.0f} ms   ({len(ordered)} samples)", flush=True)
