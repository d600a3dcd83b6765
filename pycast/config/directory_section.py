"""The keys of [[directory]], like those of schema.py: each written once, with type, default, bounds and sentence."""

from typing import Annotated

from pycast.config.address_values import MaybeAddress
from pycast.config.section import Section, key
from pycast.config.values import Seconds
from pycast.patterns import pattern

_PAGE = pattern(r"https?://(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?(?:[/?][!-~]*)?")


def _page(value: object) -> str:
    if value == "":
        return ""
    found = _PAGE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not (found[1] is None or 1 <= int(found[1]) <= 65535):
        raise ValueError('expected an address such as "https://dir.xiph.org/cgi-bin/yp-cgi", without user and password')
    return found[0]


class DirectorySection(Section):
    """A directory (YP) that is told of the public mounts, such as dir.xiph.org. Repeat the section for more of them."""

    yp_url: Annotated[str, _page] = key(
        "", "The address to which streams are reported.", example="https://dir.xiph.org/cgi-bin/yp-cgi"
    )
    yp_url_timeout: Seconds = key(10.0, "How long the directory may take to answer.", gt=0, le=60)
    touch_interval: Seconds = key(
        600.0, "How often it is told who listens, unless it asks for another time.", ge=30, le=86400
    )
    listen_socket_url: MaybeAddress = key(
        "",
        "What the addresses of the streams in this directory begin with. Empty: as everywhere, server.public_url or "
        "http://hostname:port, or the mount's listenurl.",
        example="https://radio.example.org",
        icecast=(),
    )
