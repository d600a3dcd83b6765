"""Totals since the start that belong to no mount."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Counted where it happens, read by the snapshot."""

    connections: int = 0
    client_connections: int = 0
    listener_connections: int = 0
    file_connections: int = 0
    source_client_connections: int = 0
    slow_listeners: int = 0
    refused_connections: int = 0
    bad_requests: int = 0
    bytes_read: int = 0
    bytes_sent: int = 0
