"""Tests of pycast.auth.signed_address: what is signed gets in, until its end, from its address, and nothing else."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.auth.signed_address import signature, signed_path, why_not
from pycast.http.query import parse_form
from tests.e2e.programs import require
from tests.web.sites import make_request

KEYS = ("the new key, 16 or more", "the old key, 16 or more")
NOW = 1_000_000.0
DOCUMENT = Path(__file__).parents[2] / "docs" / "authentication.md"


def answer(path: str, ip: str = "192.0.2.7", now: float = NOW, keys: tuple[str, ...] = KEYS) -> str:
    request = make_request(path)
    return why_not(keys, request.path, request.query, ip, now)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("mount", ["/live.mp3", "/a b/ü+%.ogg"])
def test_what_one_of_the_keys_signed_is_good(key: str, mount: str) -> None:
    assert answer(signed_path(key, mount, int(NOW) + 1)) == ""


@pytest.mark.parametrize("end", ["=", "%3D"])
def test_base64_may_have_its_end(end: str) -> None:
    assert answer(signed_path(KEYS[0], "/live.mp3", int(NOW) + 1) + end) == ""


@pytest.mark.parametrize("address", ["::ffff:192.0.2.7", "::ffff:c000:207", "::ffff:192.0.2.0/120"])
def test_an_ipv4_address_may_be_signed_as_a_web_site_on_a_port_of_both_kinds_sees_it(address: str) -> None:
    path = signed_path(KEYS[0], "/live.mp3", int(NOW) + 1, address)
    assert answer(path) == ""
    assert "another IP address" in answer(path, "192.0.3.7")


def test_other_keys_other_mounts_and_changed_parameters_are_wrong() -> None:
    good = signed_path(KEYS[0], "/live.mp3", int(NOW) + 9)
    for wrong in (
        signed_path("another key, 16 or more", "/live.mp3", int(NOW) + 9),
        good.replace("/live", "/other"),
        good.replace(f"{int(NOW) + 9}", f"{int(NOW) + 99}"),
        good + "&address=192.0.2.7",
        good[:-1],
        good + "x",
        f"/live.mp3?expires={int(NOW) + 9}&signature=%C3%A4",
    ):
        assert answer(wrong) == "The signature of this address is wrong", wrong


def test_words_tell_what_is_wrong() -> None:
    assert answer(signed_path(KEYS[0], "/x", int(NOW))).startswith("This address has expired")
    assert answer("/x").startswith("This stream needs a signed address")
    assert answer("/x?signature=a").startswith("This stream needs a signed address")
    assert answer("/x?expires=9").startswith("This stream needs a signed address")


def test_who_has_no_key_does_not_learn_that_an_address_has_expired() -> None:
    expired = f"/x?expires={int(NOW) - 9}&signature={'A' * 43}"
    assert answer(expired) == "The signature of this address is wrong"


@pytest.mark.parametrize(
    ("address", "ip", "is_good"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.0/24", "192.0.2.8", True),
        ("192.0.2.9/24", "192.0.2.8", True),
        ("2001:db8::/64", "2001:db8::5", True),
        ("2001:db8::/64", "2001:db9::5", False),
        ("nonsense", "192.0.2.7", False),
    ],
)
def test_address_may_be_for_one_network_only(address: str, ip: str, is_good: bool) -> None:
    said = answer(signed_path(KEYS[0], "/x", int(NOW) + 9, address), ip)
    assert said == ("" if is_good else "This address was made for another IP address")


def test_signed_times_that_are_none_are_wrong() -> None:
    for expires in ("", "x", "-5", "9" * 16, "²"):
        form = f"expires={expires}&signature={signature(KEYS[0], '/x', expires)}".encode()
        assert why_not(KEYS, "/x", parse_form(form), "192.0.2.7", NOW)


@given(st.binary(max_size=200))
def test_any_query_is_answered(data: bytes) -> None:
    assert why_not(KEYS, "/x", parse_form(data), "192.0.2.7", NOW)


def test_lines_of_the_document_make_good_addresses(tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    (tmp_path / "sign.py").write_text(code)
    run = f"from sign import signed; print(signed({KEYS[0]!r}, '/live.mp3', 60, '192.0.2.7'))"
    done = subprocess.run([sys.executable, "-c", run], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer(done.stdout.strip(), now=time.time()) == ""


@pytest.mark.parametrize(
    ("mount", "address"), [("/live.mp3", "192.0.2.7"), ("/a b/ü'+%.ogg", "192.0.2.0/24"), ("/x", "")]
)
def test_lines_of_the_document_in_php_make_good_addresses(mount: str, address: str) -> None:
    [code] = re.findall(r"```php\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    run = f"{code}\necho signed($argv[1], $argv[2], 60, $argv[3]);"
    command = [require("php"), "-n", "-r", run, "--", KEYS[0], mount, address]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "" and answer(done.stdout, now=time.time()) == ""
