"""Messages of Cisco's FTD (Firepower): those of an ASA, its security events, and the pairs alone of old versions.

<113>2026-11-22T19:34:00Z fw1  %FTD-1-430003: AccessControlRuleAction: Block, SrcIP: 10.0.0.5, DstIP: 203.0.113.9
<113>Nov 22 13:34:00 fw1 SFIMS: Protocol: TCP, SrcIP: 10.0.0.5, DstIP: 203.0.113.9, SrcPort: 5150, DstPort: 443
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import cisco_asa, cisco_ftd_events
from collectors.parsers.format import Format
from collectors.parsers.network import put_end, put_transport

_ALERT = re.compile(
    r'\[(\d{1,9}:\d{1,9}):\d{1,9}\] "?([^"\n]{1,512}?)"? \[.{0,512}\{(\w{1,16})\} ([0-9A-Fa-f.:]{2,45}?)(?::(\d{1,5}))?'
    r"(?: \([^)]{1,64}\))? ?-> ?([0-9A-Fa-f.:]{2,45}?)(?::(\d{1,5}))?(?: \([^)]{1,64}\))?$",
    re.ASCII,
)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message into the event; False when it is none of an FTD or ASA."""
    if message[:1] == "%":
        return cisco_asa.read(message, event, context)
    event |= {"observer.vendor": "Cisco", "observer.product": "ftd", "observer.type": "firewall"}
    alert = _ALERT.match(message)
    if alert is not None:
        return _alert(alert, message, event)
    return "SrcIP: " in message[:2_048] and cisco_ftd_events.put("", message, event, context)


def _alert(found: re.Match[str], message: str, event: Event) -> bool:
    """An intrusion as the management centre forwards it."""
    event |= {"event.kind": "alert", "event.action": "intrusion-detected", "message": message}
    event |= {"event.category": ["intrusion_detection"], "event.type": ["info"]}
    event["rule.id"], event["rule.name"] = found[1], found[2]
    put_transport(event, found[3])
    put_end(event, "source", found[4], found[5])
    put_end(event, "destination", found[6], found[7])
    return True


FORMAT = Format(name="cisco_ftd", dataset="cisco.ftd", read=read, programs=("SFIMS",), begins=("%FTD-",), words=False)
