"""What the Windows events that are known say: by data set and event id, the action and where each datum goes."""

from __future__ import annotations

from collectors.parsers.windows_channels import CHANNELS
from collectors.parsers.windows_security import SECURITY
from collectors.parsers.windows_sysmon import SYSMON
from collectors.parsers.windows_table import Meaning

MEANINGS: dict[str, dict[str, Meaning]] = {"security": SECURITY, "sysmon": SYSMON, **CHANNELS}
"""What is known, by the last part of the data set's name and the event id."""
