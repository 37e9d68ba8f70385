"""A real Kafka broker and a real Elasticsearch node for tests, as fixtures."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test and say why; fail it under CI=true, where real servers are a duty."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka() -> str:
    """HOST:PORT of a real Kafka broker; tests take names of their own there."""
    given = os.environ.get("ALMENA_TEST_KAFKA")
    if given:
        return given
    missing("no Kafka broker: name one in $ALMENA_TEST_KAFKA as HOST:PORT")


@pytest.fixture(scope="session")
def elasticsearch() -> str:
    """http://HOST:PORT of a real Elasticsearch node; tests take names of their own there."""
    given = os.environ.get("ALMENA_TEST_ELASTICSEARCH")
    if given:
        return given
    missing("no Elasticsearch node: name one in $ALMENA_TEST_ELASTICSEARCH as http://HOST:PORT")
