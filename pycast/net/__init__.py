"""Sockets, TLS, greenlets."""
