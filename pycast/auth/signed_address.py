"""Signed addresses of streams: made by your own web site, checked here without asking anybody.

    /live.mp3?expires=1767225600&signature=…
    /live.mp3?expires=1767225600&address=192.0.2.7&signature=…

The signature is an HMAC with SHA-256, in base64 for URLs without "=" at its end. It is over three lines: the mount's
name, `expires` (seconds since 1970), and `address` (one IP address or a network, empty for everybody). Pure.

Invariant: what is not signed with one of the keys is not looked at any closer, so nobody learns from the answer what a
good address has.
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest, digest
from ipaddress import ip_network
from urllib.parse import quote

from pycast.http.addresses import Networks
from pycast.http.query import Pairs


def signature(key: str, mount: str, expires: str, address: str = "") -> str:
    """Returns the signature of a mount's address."""
    text = "\n".join((mount, expires, address)).encode("utf-8", "replace")
    return urlsafe_b64encode(digest(key.encode(), text, sha256)).decode().rstrip("=")


def signed_path(key: str, mount: str, expires: int, address: str = "") -> str:
    """Returns what comes after the host and port."""
    more = f"&address={quote(address, safe='')}" if address else ""
    signed = signature(key, mount, str(expires), address)
    return f"{quote(mount, safe='/')}?expires={expires}{more}&signature={signed}"


def why_not(keys: Sequence[str], mount: str, query: Pairs, ip: str, now: float) -> str:
    """Returns why the address that a player came by is refused, empty if it is good. `now` is in seconds since 1970."""
    given, expires, address = (query.text(name) for name in ("signature", "expires", "address"))
    # Many libraries write the "=" that the length asks for.
    given = given.rstrip("=")
    if not given or not expires:
        return "This stream needs a signed address: get a new one from the site that links to it"
    # All keys, so that the time does not tell which one it was.
    right = [compare_digest(signature(key, mount, expires, address).encode(), given.encode()) for key in keys]
    if not any(right) or not (expires.isascii() and expires.isdigit() and len(expires) < 16):
        return "The signature of this address is wrong"
    if now >= int(expires):
        return "This address has expired: get a new one from the site that links to it"
    if address and not _covers(address, ip):
        return "This address was made for another IP address"
    return ""


def _covers(network: str, ip: str) -> bool:
    try:
        return Networks([ip_network(network, strict=False)]).cover(ip)
    except ValueError:
        return False
