"""Mounts that one node copies from another: both ends of the connection, its messages, and who copies from whom."""
