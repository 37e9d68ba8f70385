"""Flows over UDP, from datagrams to events: wire, layout, shape and meanings, what is remembered, and the socket."""
