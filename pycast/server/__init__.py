"""Listening sockets, one connection, sources, listeners."""
