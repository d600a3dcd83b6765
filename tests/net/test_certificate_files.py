"""Tests of pycast.net.certificate_files: which of the two files is wrong, and how long the certificate is valid."""

import ssl
import subprocess
import time
from pathlib import Path

import pytest

from pycast.net.certificate_files import BadCertificate, load_chain, validity
from tests.cluster_e2e.certificates import make_authority, make_certificate
from tests.e2e.programs import require

DAY_S = 86_400


def make(folder: Path, name: str, *options: str, days: str = "2") -> tuple[str, str]:
    """Makes a self-signed certificate and returns its two files."""
    certificate, key = str(folder / f"{name}.crt"), str(folder / f"{name}.key")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    done = subprocess.run(
        [
            *(require("openssl"), "req", "-x509", *kind, "-days", days, "-subj", f"/CN={name}", *options),
            *("-keyout", key, "-out", certificate),
        ],
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return certificate, key


def loaded(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_chain(context, certificate, key)
    return context


def blamed(certificate: str, key: str) -> tuple[str, str]:
    with pytest.raises(BadCertificate) as caught:
        loaded(certificate, key)
    return caught.value.key, str(caught.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def pair(folder: Path) -> tuple[str, str]:
    return make(folder, "radio.example")


def test_right_pair_is_loaded_from_two_files_or_one(folder: Path, pair: tuple[str, str]) -> None:
    loaded(*pair)
    both = folder / "both.pem"
    both.write_text(Path(pair[0]).read_text() + Path(pair[1]).read_text())
    loaded(str(both), "")


def test_fault_of_the_key_is_not_blamed_on_the_certificate(folder: Path, pair: tuple[str, str]) -> None:
    certificate, _ = pair
    other = make(folder, "other")[1]
    broken = folder / "broken.key"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    for key, said in (
        (other, "not of another"),
        ("", "has none"),
        (str(folder / "no.key"), "No such file"),
        (str(folder), "Is a directory"),
        (certificate, "BEGIN PRIVATE KEY"),
        (str(broken), "a private key that OpenSSL can read"),
    ):
        place, text = blamed(certificate, key)
        assert place == "private_key"
        assert said in text


def test_fault_of_the_certificate_is_its_own(folder: Path, pair: tuple[str, str]) -> None:
    _, key = pair
    broken = folder / "broken.crt"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for certificate, said in (
        (str(folder / "no.crt"), "No such file"),
        (key, "BEGIN CERTIFICATE"),
        (str(broken), "a certificate that OpenSSL can read"),
    ):
        place, text = blamed(certificate, key)
        assert place == "certificate"
        assert said in text


def test_key_with_a_passphrase_is_refused_without_asking_for_it(folder: Path, pair: tuple[str, str]) -> None:
    locked = folder / "locked.key"
    done = subprocess.run(
        [require("openssl"), "pkey", "-in", pair[1], "-aes256", "-passout", "pass:geheim", "-out", str(locked)],
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    place, text = blamed(pair[0], str(locked))
    assert place == "private_key"
    assert "without a passphrase" in text


def test_validity_is_told_also_when_it_is_over(folder: Path) -> None:
    now = time.time()
    certificate, key = make(folder, "valid", days="30")
    [found] = validity(loaded(certificate, key), certificate)
    assert found.name == "valid"
    assert found.ends - now == pytest.approx(30 * DAY_S, abs=600)
    assert found.begins == pytest.approx(now, abs=600)
    dates = ("-not_before", "20200101000000Z", "-not_after", "20200201000000Z")
    certificate, key = make_dated(folder, "over", dates)
    [found] = validity(loaded(certificate, key), certificate)
    assert (found.begins, found.ends) == (1_577_836_800, 1_580_515_200)


def make_dated(folder: Path, name: str, dates: tuple[str, ...]) -> tuple[str, str]:
    """Makes a certificate with other dates than from now on."""
    authority = make_authority(folder, f"{name}-ca")
    made = make_certificate(folder, name, authority)
    request = str(folder / f"{name}.csr")
    database, config = folder / f"{name}.index", folder / f"{name}.cnf"
    database.write_text("")
    config.write_text(
        f"[ca]\ndefault_ca = d\n[d]\ndatabase = {database}\nnew_certs_dir = {folder}\nrand_serial = yes\n"
        "default_md = sha256\npolicy = p\n[p]\ncommonName = supplied\n"
    )
    begin, end = dates[1], dates[3]
    done = subprocess.run(
        [
            *(require("openssl"), "ca", "-batch", "-config", str(config), "-in", request, "-cert", str(authority)),
            *("-keyfile", str(authority.with_suffix(".key")), "-startdate", begin, "-enddate", end),
            *("-notext", "-out", made["certificate"]),
        ],
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return made["certificate"], made["private_key"]


def test_authority_in_the_same_file_is_told_too(folder: Path) -> None:
    authority = make_authority(folder, "authority")
    made = make_certificate(folder, "node", authority)
    chain = folder / "chain.crt"
    chain.write_text(Path(made["certificate"]).read_text() + authority.read_text())
    found = validity(loaded(str(chain), made["private_key"]), str(chain))
    assert [one.name for one in found] == ["node", "authority"]


def test_certificate_that_is_not_for_servers_is_refused_with_the_reason(folder: Path) -> None:
    certificate, key = make(folder, "client", "-addext", "extendedKeyUsage=clientAuth")
    with pytest.raises(ssl.SSLError, match="purpose"):
        list(validity(loaded(certificate, key), certificate))
