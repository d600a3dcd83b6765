"""How many connections may be accepted now, by `limits.accept_rate`. It knows no clock and no sockets."""


class AcceptRate:
    """A token bucket for `limits.accept_rate`, the number of connections accepted in a second. It holds at most a tenth
    of a second's tokens.

    Other connections wait in the kernel's backlog. Without a limit a reconnect storm is served as fast as the machine
    can. Where each connection costs more, as with TLS, a limit keeps present listeners from waiting behind handshakes.
    """

    def __init__(self) -> None:
        self._credit = 0.0
        self._last = 0.0

    def take(self, now: float, rate: int, most: int) -> int:
        """Returns how many connections may be accepted at `now` (monotonic), at most `most`. `rate` is per second, 0
        for no limit.
        """
        if not rate:
            return most
        self._credit = min(self._credit + (now - self._last) * rate, max(rate / 10, 1.0))
        self._last = now
        allowed = min(int(self._credit), most)
        self._credit -= allowed
        return allowed

    def give_back(self, count: int) -> None:
        """Puts `count` tokens of the last `take` back, for connections that did not arrive."""
        self._credit += count
