"""What an operator may set about the console, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from almena.clock import HOUR, MINUTE
from almena.errors import ConfigError


@dataclass(kw_only=True, frozen=True)
class ConsoleSettings:
    """How the console listens, whom it answers and how long a sign-in lasts."""

    listen: str = "127.0.0.1:8080"
    """Address and port to listen on; `[::1]:8080` for IPv6."""
    public_url: str = ""
    """How people reach the console, such as `https://almena.example.gob.mx`; empty: at the address it listens on."""
    hosts: tuple[str, ...] = ()
    """Further host names that requests may name; any other host is refused."""
    session_hours: float = 12
    """Hours after which a person signs in again, whatever they do: one shift."""
    idle_minutes: float = 60
    """Minutes without a page opened by hand after which a person signs in again; the live queue does not count."""
    secure_cookies: Literal["auto", "yes", "no"] = "auto"
    """Send cookies over HTTPS only; `auto`: when `public_url` begins with https."""
    zone: str = "America/Mexico_City"
    """The time zone of the times on screen."""
    quiet_minutes: float = 15
    """Minutes without an arrival after which a source is shown as quiet; `expect` of a source says what is wrong."""
    refresh_seconds: float = 5
    """Seconds between two looks of the live queue."""

    def __post_init__(self) -> None:
        """Raise ConfigError for what cannot work."""
        self.address()
        self.time_zone()
        if self.public_url and not (self.public_url.startswith(("http://", "https://")) and self._public_host()):
            raise ConfigError(f"public_url: {self.public_url!r} is no address; write 'https://host'")
        for name in ("session_hours", "idle_minutes", "quiet_minutes", "refresh_seconds"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}: {getattr(self, name)!r} is not above zero")

    def address(self) -> tuple[str, int]:
        """Host and port of `listen`; raises ConfigError."""
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            raise ConfigError(f"listen: {self.listen!r} is no address; write '127.0.0.1:8080'")
        return host.strip("[]"), int(port)

    def time_zone(self) -> ZoneInfo:
        """The zone of times on screen; raises ConfigError when this machine does not know it."""
        try:
            return ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigError(
                f"zone: {self.zone!r} is not known here; write 'America/Mexico_City', "
                "and install the system's tzdata when it is missing"
            ) from None

    def allowed_hosts(self) -> frozenset[str]:
        """The host names, without port, that a request may name."""
        listen = self.address()[0]
        named = {host.lower() for host in (*self.hosts, self._public_host(), listen) if host}
        return frozenset(named - {"0.0.0.0", "::"} | {"localhost", "127.0.0.1", "::1"})  # noqa: S104 (taken out here)

    def secure(self) -> bool:
        """Whether cookies are sent over HTTPS only."""
        if self.secure_cookies == "auto":
            return self.public_url.startswith("https:")
        return self.secure_cookies == "yes"

    def lifetimes(self) -> tuple[int, int]:
        """Microseconds of a whole session and of an idle one."""
        return round(self.session_hours * HOUR), round(self.idle_minutes * MINUTE)

    def _public_host(self) -> str:
        try:
            return (urlsplit(self.public_url).hostname or "") if self.public_url else ""
        except ValueError:
            return ""
