"""What finds attacks and frauds: one detector per file, one line in a list."""

from __future__ import annotations

from detectors.first_seen_network import FirstSeenNetwork
from detectors.silence import Silence
from detectors.web_session import WebSession

DETECTORS: dict[str, type] = {
    "first_seen_network": FirstSeenNetwork,
    "silence": Silence,
    "web_session": WebSession,
}
"""The anomaly detectors by name: the section of the configuration, and what their hits are addressed to."""
