"""Mounts that one node mirrors from another: both ends of the connection, its messages, and who mirrors from whom."""
