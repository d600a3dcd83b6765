"""How long a worker has given no sign of life. Pure: the beats and the time come in as arguments.

Only time in which the parent itself ran counts. A machine that was suspended, a virtual machine that was stopped for a
minute, or a group of processes that a debugger or a container held: all of them stop the parent with its workers, and
when it goes on it must not take the gap for their silence. So one look counts for `MOST_S` at most.
"""

# How often the parent looks.
LOOK_S = 0.25

# What one look counts for at most, however long it is since the last one.
MOST_S = 2 * LOOK_S

# After this long without a sign, new connections go to the other workers. Far longer than a loaded loop's turn, and far
# shorter than a client's patience.
DOUBT_S = 2.0

# A limit below this is not a sensible one: the beats come four times a second.
LEAST_LIMIT_S = 1.0


class Pulse:
    """The silence of one process, in `quiet_s` seconds."""

    def __init__(self) -> None:
        self.quiet_s = 0.0
        self._beats = 0

    def look(self, beats: int, passed_s: float) -> None:
        """Notes the beats as they are now, `passed_s` after the last look."""
        self.quiet_s = 0.0 if beats != self._beats else self.quiet_s + min(passed_s, MOST_S)
        self._beats = beats

    @property
    def is_doubtful(self) -> bool:
        """Whether other workers should take the new connections."""
        return self.quiet_s >= DOUBT_S

    def has_stopped(self, limit_s: float) -> bool:
        """Whether the process has been silent for `limit_s`; 0 for no limit."""
        return limit_s > 0 and self.quiet_s >= max(limit_s, LEAST_LIMIT_S)
