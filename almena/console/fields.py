"""Which fields say how an event came here rather than what happened."""

from __future__ import annotations

import re

_PLUMBING = re.compile(
    r"""ecs\. | log\. | system\. | source\.address$ | http\.version$ | organization\.id$
      | event\.(?:category|created|dataset|id|ingested|kind|module|provider|sequence|type)$
      | almena\.(?:app|source|misfit)\b
      | winlog\.(?!event_data\.)""",
    re.VERBOSE,
)


def plumbing(name: str) -> bool:
    """Whether a field says how an event came here rather than what happened."""
    return _PLUMBING.match(name) is not None
