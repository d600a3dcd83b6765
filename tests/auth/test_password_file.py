"""Tests of pycast.auth.password_file: Icecast's hashes and ours, and a file that is changed whole."""

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.auth.password_file import (
    edit_file,
    hashed,
    is_known_kind,
    is_right,
    is_slow,
    read_lines,
    user_of,
    users_in,
    why_no_user,
    with_user,
    without_user,
)

MD5_OF_A = "0cc175b9c0f1b6a831c399e269772661"  # RFC 1321, A.5
# RFC 7914, section 12: "pleaseletmein", N = 16384.
OF_RFC = (
    "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU=$"
    "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw=="
)


# What Icecast 2.5 writes: `openssl passwd -1 -salt abcdefgh secret`, and -5, -6; the last one is yescrypt.
OF_CRYPT = (
    "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
    "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
    "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
    "$y$j9T$abcdefgh$IUWJt2doU4Kf6E/JP1UkAT3S5O3Q7SSA8SJirXIlEu9",
)


@pytest.mark.parametrize(
    ("stored", "password", "is_so"),
    [
        (MD5_OF_A, "a", True),
        (MD5_OF_A.upper(), "a", True),
        (MD5_OF_A, "b", False),
        (MD5_OF_A, "", False),
        (OF_RFC, "pleaseletmein", True),
        (OF_RFC, "pleaseletmeout", False),
        *((stored, "secret", True) for stored in OF_CRYPT),
        *((stored, "secreT", False) for stored in OF_CRYPT),
        (OF_CRYPT[0], "secret\0", False),
        ("", "", False),
        ("a", "a", False),
        ("$1$x$y", "a", False),
    ],
)
def test_hashes_are_those_of_their_passwords_only(stored: str, password: str, is_so: bool) -> None:
    assert is_right(stored, password) is is_so


def test_new_hash_is_salted_slow_and_never_icecasts() -> None:
    first, second = hashed("ä b", b"1" * 16), hashed("ä b", b"2" * 16)
    assert first != second
    assert is_slow(first) and not is_slow(MD5_OF_A)
    assert is_right(first, "ä b") and is_right(second, "ä b") and not is_right(first, "ä c")
    assert ":" not in first


@pytest.mark.parametrize(
    "stored",
    [
        "$scrypt$ln=30,r=8,p=1$AAAA$AAAA",  # 8 GiB
        "$scrypt$ln=13,r=99,p=1$AAAA$AAAA".replace("13", "18"),
        "$scrypt$ln=13,r=8,p=99$AAAA$AAAA",
        "$scrypt$ln=0,r=0,p=0$AAAA$AAAA",
        "$scrypt$ln=13,r=8,p=1$A$A",
        "$9$10$abc",
        "$6$",
    ],
)
def test_hash_that_asks_for_too_much_is_of_no_known_kind(stored: str) -> None:
    assert not is_known_kind(stored)
    assert not is_right(stored, "a")


@given(st.text(max_size=80))
def test_any_text_is_a_line(text: str) -> None:
    for line in text.splitlines():
        users_in([line])
        is_known_kind(line)


def test_lines_are_split_at_the_last_colon_and_the_first_of_a_name_counts() -> None:
    lines = ["# ann:x", "", "ann:1", "b:c:2", "ann:3", "none", ":4"]
    assert users_in(lines) == {"ann": "1", "b:c": "2"}
    assert [user_of(line) for line in lines] == [None, None, "ann", "b:c", "ann", None, ""]


def test_user_is_changed_in_its_place_added_at_the_end_and_taken_out() -> None:
    lines = ["# staff", "ann:old", "", "bob:x"]
    changed = with_user(lines, "ann", "a")
    assert changed[0::2] == ["# staff", ""] and changed[3] == "bob:x"
    assert is_right(users_in(changed)["ann"], "a")
    assert with_user(lines, "eve", "e")[:4] == lines
    assert without_user(lines, "ann") == ["# staff", "", "bob:x"]


@pytest.mark.parametrize("user", ["", "a:b", "#a", "a\nb", "a\0", "x" * 256])
def test_name_that_the_format_cannot_hold_is_none(user: str) -> None:
    assert why_no_user(user)


@pytest.mark.parametrize("user", ["ann", "Änn Müller", "a@b.example", "x" * 255])
def test_other_names_are_good(user: str) -> None:
    assert why_no_user(user) == ""


def test_new_file_is_for_its_owner_only_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "users"
    edit_file(file, lambda lines: [*lines, "a:1"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    edit_file(file, lambda lines: [*lines, "b:2"])
    assert (stat.S_IMODE(file.stat().st_mode), file.read_text()) == (0o640, "a:1\nb:2\n")


def test_link_to_a_file_stays_one_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "users", tmp_path / "users"
    real.write_text("a:1\n")
    link.symlink_to(real)
    edit_file(link, lambda lines: ["b:2"])
    assert link.is_symlink() and real.read_text() == "b:2\n"
    assert os.listdir(real.parent) == ["users"]


def test_edit_that_returns_none_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("a:1\n")
    before = file.stat()
    edit_file(file, lambda lines: None)
    assert file.stat() == before


def test_edits_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "users"
    threads = [
        threading.Thread(target=edit_file, args=(file, lambda lines, n=number: [*lines, f"u{n}:x"]))
        for number in range(20)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert set(users_in(read_lines(file))) == {f"u{number}" for number in range(20)}


def test_latin_1_and_a_mark_at_the_beginning_are_read_and_a_recording_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "users"
    file.write_bytes("änn:1\n".encode("latin-1"))
    assert read_lines(file) == ["änn:1"]
    file.write_bytes(b"\xef\xbb\xbfann:1\r\n")
    assert read_lines(file) == ["ann:1"]
    monkeypatch.setattr("pycast.auth.password_file.LARGEST_FILE", 3)
    with pytest.raises(ValueError, match="more than"):
        read_lines(file)
