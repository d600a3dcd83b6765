"""The requests of players, by their bytes: most players of a station send the same ones, and so does each that comes
back. They are parsed once, and their answer's head is made once in a second, which is in its `Date`.

Only those of which nobody has to be asked anything are known: none with a password, a body, or a wish for a link.
Invariant: what is known for some bytes is what the parser returns for them.
"""

from collections.abc import Callable

from pycast.errors import PeerError
from pycast.http.request import HeadReader, Request

# How many are known, and the longest: more than the players of a station send. Half a megabyte together.
MOST, LONGEST = 512, 1024

_UNUSUAL = frozenset({"upgrade", "transfer-encoding", "content-length", "expect", "authorization"})

Reply = tuple[int, bytes]
"""The bytes between two title blocks, 0 for none, and the head of an answer."""


class PlayerHead:
    """One request, and the answer that it got last."""

    __slots__ = ("_made_of", "_reply", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self._made_of: tuple[object, ...] = ()
        self._reply: Reply = 0, b""

    def reply(self, parts: tuple[object, ...], make: Callable[[], Reply]) -> Reply:
        """Returns the answer to the request, which `make` makes of `parts`: anew if they are others than last time."""
        if parts != self._made_of:
            self._made_of, self._reply = parts, make()
        return self._reply


class PlayerHeads:
    """The requests that are known."""

    def __init__(self) -> None:
        self._known: dict[bytes, PlayerHead] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, head: bytes) -> PlayerHead | None:
        """Returns the request that a player has sent, None if these bytes are that of another one or not a whole one.
        Never switches.
        """
        known = self._known.get(head)
        if known is not None:
            return known
        try:
            request = HeadReader().feed(head)
        except PeerError:
            return None
        if request is None or request.method != "GET" or request.headers.has_any(_UNUSUAL):
            return None
        found = PlayerHead(request)
        # What follows a "?" may be different for each player, or a secret.
        if len(head) <= LONGEST and not request.query:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[head] = found
        return found
