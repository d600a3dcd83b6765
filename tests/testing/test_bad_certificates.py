"""Bad certificates are made as they are ordered; what a client says of them is in test_faults.py."""

import ssl
from pathlib import Path
from typing import get_args

import pytest

from pycast.testing.bad_certificates import make_bad_certificate
from pycast.testing.faults import CertificateFlaw


@pytest.mark.parametrize("flaw", get_args(CertificateFlaw))
def test_a_server_can_use_it_and_a_client_can_trust_who_signed_it(flaw: CertificateFlaw, tmp_path: Path) -> None:
    pair = make_bad_certificate(tmp_path, flaw)
    assert isinstance(pair.context(), ssl.SSLContext)
    assert ssl.create_default_context(cafile=str(pair.authority)).cert_store_stats()["x509"] == 1
    assert "PRIVATE" not in pair.authority.read_text()
