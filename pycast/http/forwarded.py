"""The headers of HTTP proxies about a client: `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`, and `Forwarded` (RFC
7239).

Each proxy adds the address of its own peer at the right, and passes on unchanged what is there already, so a client can
write anything at the left. So the addresses are read from the right, over the trusted proxies, to the first one that is
not trusted. (The left-most address, which icecast-kh takes, may be the client's invention.) Where the chain cannot be
followed (a hidden name, a broken field), the last known address counts.

If a request has both kinds, `X-Forwarded-For` counts: nearly all proxies write that one only, and pass on a `Forwarded`
that a client made up. These functions are for requests whose peer is itself a trusted proxy.

Invariant: an address that comes out is in its canonical form, whatever came in.
"""

from collections.abc import Iterator
from itertools import islice

from pycast.http.addresses import Networks, maybe_address
from pycast.http.headers import Headers
from pycast.patterns import pattern

# AWS's application balancer refuses a request with more addresses; longer chains are loops or attacks.
MAX_HOPS = 30

_TRACES = frozenset({"via", "x-forwarded-for", "x-real-ip", "forwarded"})

# `for=192.0.2.1` or `for="[2001:db8::1]:80"`, then the next pair (;), the next proxy (,) or the end. Values without
# quotes are taken with colons too, which RFC 7239 forbids and proxies send.
_PAIR = pattern(r'\s*([^\s=;,"]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,]*))\s*([;,]|\Z)')
_PORT = pattern(r"[1-9][0-9]{0,4}\Z")
_ESCAPED = pattern(r"\\(.)")


def is_proxied(headers: Headers) -> bool:
    """Whether a header shows that an HTTP proxy passed the request on. Any client can send such a header."""
    return headers.has_any(_TRACES)


def client_ip(peer: str, named: str, headers: Headers | None, trusted: Networks) -> str:
    """Returns whose address a request has, whichever way it came: everything goes by this one.

    It is that of the connection, `peer`, or the one that the connection's PROXY header names, `named` (empty without
    one). If that is one of the trusted proxies, it is the nearest one in the request's `headers` that is none. They are
    None before there is a request.
    """
    ip = named or peer
    if headers is None or not trusted.cover(ip):
        return ip
    for hop in islice(_hops(headers), MAX_HOPS):
        address = maybe_address(_without_port(hop))
        if address is None:
            break
        ip = str(address)
        if address not in trusted:
            break
    return ip


def client_scheme(headers: Headers) -> str:
    """Returns `http` or `https`, as the proxy nearest to us reports it; empty if it does not."""
    scheme = headers.get("x-forwarded-proto").rpartition(",")[2]
    if not scheme:
        scheme = _elements(headers.get("forwarded"))[-1].get("proto", "")
    scheme = scheme.strip().lower()
    return scheme if scheme in ("http", "https") else ""


def client_host(headers: Headers) -> str:
    """Returns the host and port that the client asked for, as the proxy nearest to us reports it; empty if it does
    not.
    """
    host = headers.get("x-forwarded-host").rpartition(",")[2]
    if not host:
        host = _elements(headers.get("forwarded"))[-1].get("host", "")
    return host.strip()


def asked_host(headers: Headers, scheme: str) -> str:
    """Returns the host that the client asked for, and its port unless it is the scheme's: as the proxy nearest to us
    reports them, else from `Host`.
    """
    host = client_host(headers) or headers.get("host")
    port = headers.get("x-forwarded-port").rpartition(",")[2].strip()
    if not host or ":" in host.rpartition("]")[2] or not _PORT.match(port):
        return host
    return host if port == {"http": "80", "https": "443"}.get(scheme) else f"{host}:{port}"


def _hops(headers: Headers) -> Iterator[str]:
    """Yields the addresses as written, the nearest proxy's first. A proxy may add a line or extend the last one."""
    lines = headers.all("x-forwarded-for")
    for line in reversed(lines):
        yield from filter(None, (hop.strip() for hop in reversed(line.split(","))))
    if not lines:
        for line in reversed(headers.all("forwarded")):
            yield from (element.get("for", "") for element in reversed(_elements(line)))


def _elements(line: str) -> list[dict[str, str]]:
    """Returns the pairs in a `Forwarded` field, one dict for each proxy. A broken field gives one empty dict: a quote
    that a client left open must not swallow what a proxy added behind it.
    """
    elements: list[dict[str, str]] = [{}]
    at, end = 0, ";"
    while end:
        pair = _PAIR.match(line, at)
        if pair is None:
            return [{}]
        name, quoted, plain, end = pair.groups()
        elements[-1][name.lower()] = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
        if end == ",":
            elements.append({})
        at = pair.end()
    return elements


def _without_port(hop: str) -> str:
    """Returns `192.0.2.1:80`, `[2001:db8::1]:80` or `[2001:db8::1]` without port and brackets; other text as it is."""
    if hop.startswith("["):
        host, bracket, port = hop[1:].partition("]")
        return host if bracket and port[:1] in ("", ":") else ""
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
