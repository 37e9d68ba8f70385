"""Installations on Kafka and Elasticsearch for tests, each under names of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from installation import Installation

UNITS = ("collect", "detect", "detect.2", "correlate", "correlate.2", "desk", "console")
"""A cluster in small: two detectors, two correlators, one of all others."""


@contextmanager
def clustered(
    folder: Path,
    kafka: str,
    elasticsearch: str,
    *,
    roles: Sequence[str] = UNITS,
    partitions: int = 4,
    more: str = "",
    client: str = "kafka",
    remove: str = "",
) -> Iterator[Installation]:
    """An installation whose topics and indices nobody else has; the indices are removed afterwards.

    `kafka` is HOST:PORT,..., `elasticsearch` a URL, `remove` another URL of the same server to clean up through.
    """
    prefix = f"t{secrets.token_hex(5)}"
    try:
        yield Installation(
            folder,
            partitions=partitions,
            roles=roles,
            bus=f"{client}://{kafka}",
            store=elasticsearch,
            prefix=prefix,
            more=more,
        )
    finally:
        url = remove or elasticsearch
        names = httpx.get(f"{url}/_cat/indices/{prefix}-*?h=index", timeout=30).text.split()
        if names:
            httpx.delete(f"{url}/{','.join(names)}", timeout=30)
        httpx.delete(f"{url}/_index_template/{prefix}-*", timeout=30)
