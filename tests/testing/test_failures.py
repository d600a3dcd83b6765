"""Who catches a timeout catches a refusal as well."""

from pycast.testing import ServerDied, ServerRefused, ServerTimeout


def test_a_refusal_is_a_wait_that_failed() -> None:
    assert issubclass(ServerRefused, ServerTimeout) and issubclass(ServerTimeout, TimeoutError)
    assert issubclass(ServerDied, RuntimeError) and not issubclass(ServerDied, ServerTimeout)
