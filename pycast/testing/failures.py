"""What goes wrong with a server under test: `ServerDied`, `ServerTimeout`, and `ServerRefused`, which is one; and with
the sources and listeners that the kit has for it.

The one invariant: the text says what was waited for or done, and what came instead: of a server, the end of its log.
"""


class ServerDied(RuntimeError):
    """The server's process has ended by itself. The text has the end of its log."""


class ServerTimeout(TimeoutError):
    """A wait was longer than its timeout. The text says what it waited for, and has the end of the log."""


class ServerRefused(ServerTimeout):
    """The server has refused what a wait is for, so the wait ended at once. The text has the server's reason."""


class StreamRefused(RuntimeError):
    """The server did not take the source or its title. `status` is what it answered, 0 if it only closed."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class StreamOver(RuntimeError):
    """The stream has ended, and what was waited for did not come. The text has both."""


class ListenTimeout(TimeoutError):
    """A wait was longer than its timeout. The text says what it waited for, and what has come."""
