"""Whether a browser sent a request for a page of another site.

A page can make its visitor's browser send requests to any server, with the credentials that the browser has for it: a
link, a form, a picture, a script. Browsers say so. `Sec-Fetch-Site` says it in every request over TLS or to the own
machine, and no script can change it. `Origin` names the page's site in forms and scripts, `Referer` in the others
unless the page forbids it. Programs send none of them, so what they send is never taken for a browser's.

Our own site is what the browser was asked for, the host and port in `Host`. "same-site" is another port, or another
name below the same domain: another site here, because it may belong to somebody else.

Over plain HTTP to another machine a browser sends no `Sec-Fetch-Site`. A page that forbids `Referer` can still open a
link there that nothing tells from a typed address: only TLS helps.
"""

from collections.abc import Iterable

from pycast.http.headers import Headers

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_cross_site(headers: Headers, hosts: Iterable[str]) -> bool:
    """Whether a browser says that another site made this request. `hosts` are our own, as in `Host`."""
    # Only the browser itself can set it, and it also knows our site behind a proxy that changes `Host`.
    site = headers.get("sec-fetch-site").strip().lower()
    if site:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if not origin:
        # Old programs send a Referer of their own making: a browser's only.
        origin = headers.get("referer") if headers.get("user-agent").startswith("Mozilla/") else ""
        if not origin:
            return False
    own = {_without_default_port(host) for host in hosts if host}
    return _authority(origin) not in own


def _authority(url: str) -> str | None:
    """Returns the host and the port of a URL, None if it has none: "null" is the origin of a page without a site."""
    scheme, separator, rest = url.strip().partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _DEFAULT_PORTS:
        return None
    host = rest.partition("/")[0].rpartition("@")[2]
    return _without_default_port(host) or None


def _without_default_port(host: str) -> str:
    # A proxy that ends TLS may pass `Host` with or without the port, so both defaults count as none.
    host = host.strip().lower()
    for port in _DEFAULT_PORTS.values():
        host = host.removesuffix(port)
    return host
