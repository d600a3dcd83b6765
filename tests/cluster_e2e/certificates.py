"""Certificates of an authority of the test's own, made by openssl, for 127.0.0.1."""

import subprocess
from pathlib import Path

from tests.e2e.programs import require

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: str) -> None:
    done = subprocess.run([require("openssl"), *arguments], capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


def make_authority(folder: Path, name: str) -> Path:
    """Makes an authority and returns its certificate; the key is beside it."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    what = ("-days", "2", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-x509", *KEY, *what, "-keyout", str(key), "-out", str(certificate))
    return certificate


def make_certificate(folder: Path, name: str, authority: Path) -> dict[str, str]:
    """Makes a node's certificate, signed by `authority`, and returns the keys of [tls]."""
    certificate, key, request, names = (folder / f"{name}.{end}" for end in ("crt", "key", "csr", "ext"))
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("req", "-new", *KEY, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
    openssl(
        "x509", "-req", "-days", "2", "-in", str(request), "-CA", str(authority), "-CAkey",
        str(authority.with_suffix(".key")), "-CAcreateserial", "-extfile", str(names), "-out", str(certificate),
    )  # fmt: skip
    return {"certificate": str(certificate), "private_key": str(key)}
