"""Listening sockets, connections, sources and listeners."""
