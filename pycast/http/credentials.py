"""Who the peer says it is: HTTP Basic credentials.

Kinder than Icecast 2.4, which wants a capital B: any case of "basic" (RFC 9110 11.1). Trailing NULs are cut, because
Icecast 2.5's relays encode the C string with its end. Whether the credentials are right is not decided here.
"""

from base64 import b64decode
from binascii import Error as Base64Error

from pycast.http.charset import decode
from pycast.http.headers import Headers


def basic_credentials(headers: Headers) -> tuple[str, str] | None:
    """(user, password) of the Authorization header; None if there is none, it is not Basic, or not to be decoded."""
    scheme, _, encoded = headers.get("authorization").partition(" ")
    if scheme.lower() != "basic":
        return None
    encoded = encoded.strip()
    try:
        raw = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (Base64Error, ValueError):
        return None
    user, colon, password = decode(raw.rstrip(b"\0")).partition(":")
    return (user, password) if colon else None
