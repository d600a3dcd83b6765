"""This node's own record, as it is now: the one place from which all parts of the node take it."""

import secrets
from zlib import crc32

from pycast.cluster.registry.records import NodeRecord


class OwnRecord:
    """Holds the node's record as `now`. Its name and address are empty until the node has joined its cluster."""

    def __init__(self) -> None:
        self.now = NodeRecord("", secrets.token_hex(8), "")

    @property
    def number(self) -> int:
        """A number of 20 bits for the node, with which its listeners are numbered: readers of Icecast's statistics take
        a listener's id for a number, and it has to be unique in the cluster.
        """
        return crc32(self.now.node.encode()) & 0xFFFFF
