"""The core of Almena: events, alerts, the bus, the store and the roles; it knows no component by name."""

__version__ = "0.1.0"
