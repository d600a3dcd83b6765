"""What goes wrong with a server under test: `ServerDied`, `ServerTimeout`, and `ServerRefused`, which is one.

The one invariant: the text says what was waited for or done, and has the end of the server's log.
"""


class ServerDied(RuntimeError):
    """The server's process has ended by itself. The text has the end of its log."""


class ServerTimeout(TimeoutError):
    """A wait was longer than its timeout. The text says what it waited for, and has the end of the log."""


class ServerRefused(ServerTimeout):
    """The server has refused what a wait is for, so the wait ended at once. The text has the server's reason."""
