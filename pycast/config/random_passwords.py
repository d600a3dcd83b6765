"""Passwords that nobody knows until they are shown, or ever. Pure: the randomness is an argument."""

from typing import Protocol

# Letters and digits that are not confused with each other when a password is copied by hand.
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_LENGTH = 16


class Rng(Protocol):
    """A source of randomness: `random.SystemRandom()` in the server, `random.Random(1)` in a test."""

    def choice(self, seq: str, /) -> str: ...


def random_password(rng: Rng) -> str:
    """Returns a password of 80 random bits that needs no quoting in a shell, a URL or an XML file."""
    return "".join(rng.choice(_LETTERS) for _ in range(_LENGTH))
