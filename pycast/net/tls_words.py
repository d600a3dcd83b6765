"""Whether one end of a connection speaks TLS and the other does not, by what is said then.

Neither end can know the other's settings, and OpenSSL's words for it ("wrong version number") help nobody.
"""

from pycast.patterns import pattern

# What servers say to plain HTTP on a TLS port: pycast and nginx; Apache.
_OF_TLS = (b"TLS", b"HTTPS port", b"SSL-enabled")
# What OpenSSL says to an answer that is not TLS; the words depend on its version, and on what the answer begins with.
_OF_PLAIN = ("WRONG_VERSION_NUMBER", "wrong version number", "record layer failure", "HTTP_REQUEST")
_PLACE_IN_C = pattern(r" ?\(_ssl\.c:\d+\)")
_VERIFY = pattern(r"certificate verify failed: (.*?) ?\(_ssl\.c")


def is_of_tls_port(status: int, answer: bytes) -> bool:
    """Whether an answer to plain HTTP says that the port takes TLS only."""
    return status == 400 and any(word in answer for word in _OF_TLS)


def is_of_plain_port(error: str) -> bool:
    """Whether an error of OpenSSL says that the port does not use TLS."""
    return any(word in error for word in _OF_PLAIN)


def distrust(error: str) -> str:
    """Returns why a certificate is not trusted, by an error of OpenSSL; empty for another error."""
    found = _VERIFY.search(error)
    return found[1] if found else ""


def plain_words(error: str) -> str:
    """Returns an error of OpenSSL without the places in its source."""
    return _PLACE_IN_C.sub("", error).rsplit("] ", 1)[-1].strip("()")
