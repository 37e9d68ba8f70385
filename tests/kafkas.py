"""Names of a test's own on a shared Kafka broker, removed when the test is over."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from kafka import KafkaAdminClient


def admin(server: str, **options: Any) -> Any:
    """kafka-python's admin client, to be closed."""
    return closing(KafkaAdminClient(bootstrap_servers=server, **options))


@contextmanager
def kafka_prefix(server: str, name: str = "test") -> Iterator[str]:
    """A prefix that nobody else uses; its topics and groups are deleted at the end."""
    prefix = f"{name}-{secrets.token_hex(4)}"
    try:
        yield prefix
    finally:
        with admin(server) as client:
            topics = [topic for topic in client.list_topics() if topic.startswith(f"{prefix}.")]
            if topics:
                client.delete_topics(topics, raise_errors=False)
            groups = [group["group_id"] for group in client.list_groups() if group["group_id"].startswith(f"{prefix}.")]
            if groups:
                client.delete_groups(groups)
