"""Runs all benchmarks, or those named: `python -m bench startup bus parsers stages rules flow latency fresh netflow`.

`python -m bench correlation`, `cluster`, `listeners` and `parse` take longer, have options, and run alone.
"""

from __future__ import annotations

import os
import platform
import sys

from bench import (
    bus,
    cluster,
    correlation,
    flow,
    fresh,
    latency,
    listeners,
    netflow,
    parse,
    parsers,
    rules,
    stages,
    startup,
)

ALL = {
    "startup": startup.main,
    "bus": bus.main,
    "parsers": parsers.main,
    "stages": stages.main,
    "rules": rules.main,
    "flow": flow.main,
    "latency": latency.main,
    "fresh": fresh.main,
    "netflow": netflow.main,
}


def main() -> None:
    """Run what was named, in the order of the list."""
    if sys.argv[1:2] == ["correlation"]:
        correlation.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["cluster"]:
        cluster.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["listeners"]:
        listeners.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["parse"]:
        parse.main(sys.argv[2:])
        return
    named = sys.argv[1:] or list(ALL)
    unknown = [name for name in named if name not in ALL]
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are {', '.join(ALL)}")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; median (lowest to highest)\n")
    for name in ALL:
        if name in named:
            ALL[name]()
            print(flush=True)


if __name__ == "__main__":
    main()
