"""Where a stream is on another server, and what the configuration says about each relay.

Pure: values of the configuration in, values out. The one invariant: a login goes to the server that it is for, and to
no other one that a redirect or a list names. Another port of the same host is another server: somebody else may have
it.
"""

from base64 import b64encode
from collections.abc import Iterable
from math import ceil
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from pycast.config.relay_sections import MasterSection, RelaySection
from pycast.patterns import pattern

# Percent signs of escapes stay: who writes an address writes it encoded, and Icecast sends names as they are. One that
# begins no escape (`/100% hits.mp3`) would be a broken request.
_LONE_PERCENT = pattern("%(?![0-9A-Fa-f]{2})")
_SAFE = "/:@!$&'()*+,;=~?%[]"

_PORTS = {"http": 80, "https": 443}


class Place(NamedTuple):
    """A path on a server, and how to ask for it."""

    host: str
    """A name, written as in the DNS, or an address, without brackets."""
    port: int
    path: str
    """With the query, encoded."""
    tls: bool = False
    username: str = ""
    password: str = ""
    wants_titles: bool = True
    bind: str = ""
    """The address of this machine to connect from."""
    tls_ca: str = ""
    """The file of the authorities to trust; empty: the system's."""

    @property
    def url(self) -> str:
        """The address, without the login: for logs."""
        return f"{'https' if self.tls else 'http'}://{self.host_field}{self.path}"

    @property
    def host_field(self) -> str:
        """The value of the Host header: the port is in it only if it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"

    @property
    def authorization(self) -> str:
        """The value of the Authorization header, empty without a user, as in Icecast."""
        if not self.username:
            return ""
        return f"Basic {b64encode(f'{self.username}:{self.password}'.encode()).decode()}"

    def at(self, location: str, named: Iterable["Place"] = ()) -> "Place":
        """Returns the place to which this one's answer redirects: with this one's login on the same server, or with
        that of one of the places `named` on theirs. Raises ValueError if it is no HTTP address.
        """
        found = place_of_url(urljoin(self.url, location), wants_titles=self.wants_titles).by_way_of(self)
        return found.with_login_of(self, *named)

    def with_login_of(self, *others: "Place") -> "Place":
        """Returns the same place, with the login of the first one that is on the same server, unless it has its own."""
        server = self._server
        other = next((one for one in others if one._server == server), None)
        if self.authorization or other is None:
            return self
        return self._replace(username=other.username, password=other.password)

    @property
    def _server(self) -> tuple[str, int, bool]:
        return self.host.lower(), self.port, self.tls

    def by_way_of(self, other: "Place") -> "Place":
        """Returns the same place, reached from the address and trusted by the authorities of another one."""
        return self._replace(bind=other.bind, tls_ca=other.tls_ca)


class RelaySpec(NamedTuple):
    """One relay: the mount here, and where its stream is, best first."""

    mount: str
    places: tuple[Place, ...]
    on_demand: bool = False
    run_on: float = 0.0


def place_of_url(url: str, *, wants_titles: bool = True) -> Place:
    """Returns the place with that address. Raises ValueError if it is none of HTTP."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("not an address that begins with http:// or https://")
    path = _encoded(parts.path or "/") + (f"?{_encoded(parts.query)}" if parts.query else "")
    return Place(
        host=_host(parts.hostname),
        port=parts.port or _PORTS[parts.scheme],
        path=path,
        tls=parts.scheme == "https",
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        wants_titles=wants_titles,
    )


def _host(text: str) -> str:
    name = text.strip("[]")
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:  # it is no name, as the look-up will say
        return name


def _encoded(text: str) -> str:
    return quote(_LONE_PERCENT.sub("%25", text), safe=_SAFE)


def spec_of(relay: RelaySection) -> RelaySpec:
    """Returns the relay that a section describes."""
    first = Place(
        host=_host(relay.server),
        port=relay.port,
        path=_encoded(relay.mount),
        tls=relay.tls,
        username=relay.username,
        password=relay.password,
        wants_titles=relay.relay_shoutcast_metadata,
        bind=relay.bind,
        tls_ca=relay.tls_ca,
    )
    places = [first] if relay.server else []
    for url in relay.upstreams:
        place = place_of_url(url, wants_titles=first.wants_titles).by_way_of(first)
        has_own = place.username or place.password
        places.append(place if has_own else place._replace(username=relay.username, password=relay.password))
    return RelaySpec(relay.local_name, tuple(places), relay.on_demand, relay.run_on)


def places_of_list(master: MasterSection, own: tuple[str, int] | None = None) -> tuple[Place, Place]:
    """Returns where a master has the list of its mounts: that for servers alone, which icecast-kh and pycast have, and
    that of all. `own` is where this server takes listeners from the master, if it does.
    """
    query = ""
    if own is not None and master.redirect:
        # icecast-kh takes no interval below five seconds.
        query = f"?rserver={quote(own[0])}&rport={own[1]}&interval={max(5, ceil(master.update_interval))}"
    place = Place(
        host=_host(master.server),
        port=master.port,
        path=f"/admin/streams{query}",
        tls=master.tls,
        username=master.username,
        password=master.password,
        wants_titles=False,
        bind=master.bind,
        tls_ca=master.tls_ca,
    )
    return place, place._replace(path=f"/admin/streamlist.txt{query}")
