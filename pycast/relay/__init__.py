"""Streams of other servers as mounts of this one: a mount's own relay, and all the mounts of a master."""
