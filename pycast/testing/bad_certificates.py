"""Certificates that a client must not take.

The one invariant: of one that is expired or for another name nothing else is wrong, for who trusts the authority of
servers under test.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pycast.testing.certificates import DAY_S, HOSTS, Authority, the_authority

if TYPE_CHECKING:
    import ssl

OTHER_HOST = "other.example.org"


class BadPair(NamedTuple):
    """The file of a certificate with its key, and that of who has signed it."""

    certificate: Path
    authority: Path

    def context(self) -> "ssl.SSLContext":
        """Returns what a server with this certificate uses."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        return context


def make_bad_certificate(folder: Path, flaw: Literal["expired", "wrong-name", "self-signed"]) -> BadPair:
    """Makes a certificate in `folder`, for this machine unless the name is what is wrong."""
    pair = BadPair(folder / "server.pem", folder / "authority.pem")
    if flaw == "self-signed":
        text = Authority(HOSTS[0]).issue_to_itself(HOSTS)
        authority = text
    else:
        hosts = (OTHER_HOST,) if flaw == "wrong-name" else HOSTS
        times = {"begins_s": -60 * DAY_S, "ends_s": -30 * DAY_S} if flaw == "expired" else {}
        text, authority = the_authority().issue(hosts, **times), the_authority().certificate
    pair.certificate.write_text(text)
    pair.authority.write_text(authority.partition("-----BEGIN PRIVATE")[0])
    return pair
