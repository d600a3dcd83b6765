"""Acceptor sockets, one connection, sources, listeners."""
