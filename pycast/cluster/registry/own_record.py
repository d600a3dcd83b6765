"""This node's own record as it is now. All parts of the node read it from here."""

import secrets
from zlib import crc32

from pycast.cluster.registry.records import NodeRecord


class OwnRecord:
    """The node's record, in `now`. Its name and address are empty until the node has joined its cluster."""

    def __init__(self) -> None:
        self.now = NodeRecord("", secrets.token_hex(8), "")

    @property
    def number(self) -> int:
        """A number of 20 bits for the node. It is part of its listeners' ids: readers of Icecast's statistics expect a
        number there, and it has to be unique in the cluster.
        """
        return crc32(self.now.node.encode()) & 0xFFFFF
