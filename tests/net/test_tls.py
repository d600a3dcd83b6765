"""A certificate goes over to other files by a reload, and a client trusts what it is told to."""

from pathlib import Path

import pytest

from pycast.net.tls import Certificate, trusting
from tests.conftest import WaitUntil
from tests.e2e.test_tls import make_certificate


def test_a_client_trusts_the_file_that_is_named_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    make_certificate(tmp_path, "localhost")
    assert len(trusting(str(tmp_path / "tls.crt")).get_ca_certs()) == 1
    with pytest.raises(OSError, match="No such file"):
        trusting(str(tmp_path / "none"))


def test_a_reload_goes_over_to_other_files_and_keeps_what_works(
    tmp_path: Path, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        make_certificate(folder, "localhost")
    used = Certificate(str(first / "tls.crt"), str(first / "tls.key"), lambda: 0.0)
    before = used.context()
    used.use(str(second / "tls.crt"), str(second / "tls.key"))
    wait_until(lambda: used.context() is not before, "the other certificate")
    after = used.context()
    used.use(str(tmp_path / "none"), "")
    wait_until(lambda: "cannot be used, the old one stays in use" in caplog.text, "the word about the missing file")
    assert used.context() is after
