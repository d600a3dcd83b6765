"""Mounts that one node mirrors from another: both ends of the connection, its messages, the choice of the parent."""
