"""Bad certificates are made as they are ordered; what a client says of them is in test_faults.py."""

import ssl
from pathlib import Path

import pytest

from pycast.testing.bad_certificates import make_bad_certificate


@pytest.mark.parametrize("flaw", ["expired", "wrong-name", "self-signed"])
def test_a_server_can_use_it(flaw: str, tmp_path: Path) -> None:
    pair = make_bad_certificate(tmp_path, flaw)  # type: ignore[arg-type]
    assert isinstance(pair.context(), ssl.SSLContext)
    assert (pair.authority == pair.certificate) == (flaw == "self-signed")


def test_without_openssl_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="apt-get install openssl"):
        make_bad_certificate(tmp_path, "expired")
    (tmp_path / "openssl").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    (tmp_path / "openssl").chmod(0o755)
    with pytest.raises(RuntimeError, match="broken"):
        make_bad_certificate(tmp_path, "self-signed")
