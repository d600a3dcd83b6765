"""Certificates that a client must not take, made by the program openssl in some 50 ms.

The one invariant: of a certificate that is expired or for another name nothing else is wrong, for who trusts its
authority.
"""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import ssl

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_HOSTS = "subjectAltName=DNS:localhost,IP:127.0.0.1"
_OTHER_HOST = "subjectAltName=DNS:other.example.org"
_DATES = {True: ("20200101000000Z", "20200201000000Z"), False: ("20200101000000Z", "20491231000000Z")}
OPENSSL_S = 30.0


class BadPair(NamedTuple):
    """A certificate with its key, and who has signed it."""

    certificate: Path
    key: Path
    authority: Path

    def context(self) -> "ssl.SSLContext":
        """Returns what a server with this certificate uses."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_bad_certificate(folder: Path, flaw: Literal["expired", "wrong-name", "self-signed"]) -> BadPair:
    """Makes a certificate in `folder`, for localhost unless the name is what is wrong."""
    certificate, key, request = (folder / f"server.{end}" for end in ("crt", "key", "csr"))
    if flaw == "self-signed":
        _openssl("req", "-x509", *_KEY, "-subj", "/CN=localhost", "-addext", _HOSTS, "-days", "3650",
                 "-keyout", str(key), "-out", str(certificate))  # fmt: skip
        return BadPair(certificate, key, certificate)
    authority = folder / "authority.crt"
    _openssl("req", "-x509", *_KEY, "-subj", "/CN=pycast test authority", "-days", "3650",
             "-keyout", str(folder / "authority.key"), "-out", str(authority))  # fmt: skip
    _openssl("req", "-new", *_KEY, "-subj", "/CN=pycast test", "-keyout", str(key), "-out", str(request))
    begin, end = _DATES[flaw == "expired"]
    (folder / "index").write_text("")
    (folder / "names").write_text(_OTHER_HOST if flaw == "wrong-name" else _HOSTS)
    (folder / "ca").write_text(
        f"[ca]\ndefault_ca = d\n[d]\ndatabase = {folder}/index\nnew_certs_dir = {folder}\nrand_serial = yes\n"
        "default_md = sha256\npolicy = p\n[p]\ncommonName = supplied\n"
    )
    _openssl("ca", "-batch", "-config", str(folder / "ca"), "-in", str(request), "-cert", str(authority),
             "-keyfile", str(folder / "authority.key"), "-startdate", begin, "-enddate", end,
             "-extfile", str(folder / "names"), "-notext", "-out", str(certificate))  # fmt: skip
    return BadPair(certificate, key, authority)


def _openssl(*arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, timeout=OPENSSL_S)
    except FileNotFoundError:
        raise RuntimeError("a bad certificate needs the program openssl: apt-get install openssl") from None
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr}")
