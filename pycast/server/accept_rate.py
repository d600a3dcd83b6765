"""How many connections are taken in a second (`limits.accept_rate`): the others wait in the kernel, unharmed.

A storm of players that come back is served as fast as the machine can by default. Where each connection costs more, as
with TLS, a limit keeps those who listen already from waiting behind handshakes.
"""


class AcceptRate:
    """A bucket that holds a tenth of a second's connections."""

    def __init__(self) -> None:
        self._credit = 0.0
        self._last = 0.0

    def take(self, now: float, rate: int, most: int) -> int:
        """How many may be accepted now, at most `most`; `rate` is per second, 0 for no limit."""
        if not rate:
            return most
        self._credit = min(self._credit + (now - self._last) * rate, max(rate / 10, 1.0))
        self._last = now
        allowed = min(int(self._credit), most)
        self._credit -= allowed
        return allowed

    def give_back(self, count: int) -> None:
        """So many of those did not come."""
        self._credit += count
