"""What a client says about the copy of an answer that it can take or has already.

`Accept-Encoding` (RFC 9110 12.5.3): gzip is the only encoding here. `If-None-Match` (13.1.2): the tags of copies that
the client has; it is answered 304 if the present one is among them. `If-Modified-Since` is ignored, as Icecast does.
"""

from collections.abc import Iterator
from functools import lru_cache

from pycast.http.headers import Headers
from pycast.patterns import pattern

_TAG = pattern(r'(?:W/)?("[^"]*")')
_QUALITY = pattern(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z")


def takes_gzip(headers: Headers) -> bool:
    """Whether the client takes gzip, and likes it no less than no encoding."""
    return "accept-encoding" in headers and _accepts_gzip(",".join(headers.all("accept-encoding")))


# Millions of visitors have a dozen browsers.
@lru_cache(maxsize=64)
def _accepts_gzip(accepted: str) -> bool:
    qualities = dict(_codings(accepted))
    gzip = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0)))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)


def has_copy(headers: Headers, tag: str) -> bool:
    """Whether the client has the copy with this entity tag."""
    if "if-none-match" not in headers:
        return False
    given = ",".join(headers.all("if-none-match")).strip()
    return given == "*" or tag in _TAG.findall(given)


def _codings(text: str) -> Iterator[tuple[str, float]]:
    """Yields the codings with their quality, 1 if there is none, 0 if it cannot be read."""
    for part in text.split(","):
        coding, _, parameters = part.partition(";")
        quality = 1.0
        for parameter in parameters.split(";"):
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                quality = float(value) if _QUALITY.match(value := value.strip()) else 0.0
        if coding := coding.strip().lower():
            yield coding, quality
