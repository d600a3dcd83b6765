"""The listener password file in Icecast's format: lines in, lines out, and whether a password is right.

A line is `user:hash`, split at the last ":". Blank lines and lines that begin with "#" are kept as they are (icecast
2.4, auth_htpasswd.c). Icecast's hash is the MD5 of the password in 32 hexadecimal digits. It has no salt, and a
graphics card tries some ten thousand million in a second, so it is read, and never written. New hashes are
scrypt's: salted, and each try takes 8 MiB of memory for some 20 ms, which makes weak passwords in a stolen file hard to
find too. Not PBKDF2, which a graphics card computes with almost no memory, thousands at the same time; and scrypt is in
the standard library, which bcrypt and Argon2 are not. The numbers are in each hash, so they can grow later.

Icecast 2.5 writes hashes of crypt(3), `$6$…` and the like. They are checked by the system's own libcrypt; on a system
without it they are hashes of an unknown kind.

Invariant: a reader of the file sees the old one or the new one, never a part of one.
"""

import ctypes
import fcntl
import hashlib
import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from hmac import compare_digest
from pathlib import Path

from pycast.disk.whole_file import replace_file
from pycast.patterns import pattern

# 2^13 blocks of 8 × 128 bytes: 8 MiB. Twice as much would keep a thousand listeners that come back after a restart
# waiting for a minute, on the two cores of a small server.
LOG_COST, BLOCKS, PARALLEL = 13, 8, 1
SALT_SIZE = KEY_SIZE = 16

# What a hash may ask for. A file that somebody else has written must not take all memory.
MOST_MEMORY = 64 << 20

# Larger than any file of users; one that was named by mistake, such as a recording, is not read whole.
LARGEST_FILE = 16 << 20

_SCRYPT = pattern(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{1,88}={0,2})\$([A-Za-z0-9+/]{1,88}={0,2})"
)
# Kinds of crypt(3) that Icecast 2.5 knows, and bcrypt. Others, such as DES, would take any text for a hash.
_CRYPT = pattern(r"\$(?:1|5|6|7|y|2[aby])\$[!-9;-~]{1,200}")
# Larger than `struct crypt_data` of any libcrypt.
_CRYPT_DATA = 1 << 18
_MD5 = pattern(r"[0-9A-Fa-f]{32}")

Edit = Callable[[list[str]], "list[str] | None"]
"""Returns the lines to write, None if nothing is to be changed."""


def users_in(lines: Iterable[str]) -> dict[str, str]:
    """Returns the hash of each user. Of two lines with the same user the first one counts, as in Icecast."""
    found: dict[str, str] = {}
    for line in lines:
        user = user_of(line)
        if user:
            found.setdefault(user, line.rpartition(":")[2].strip())
    return found


def user_of(line: str) -> str | None:
    """Returns the user of a line, None if it has none."""
    if line.startswith("#") or ":" not in line:
        return None
    return line.rpartition(":")[0]


def why_no_user(user: str) -> str:
    """Returns why a user cannot have this name, empty if he can. A ":" ends the name in what a player sends."""
    if not user or ":" in user or user.startswith("#") or not user.isprintable() or len(user) > 255:
        return 'a name must be one line without ":", must not begin with "#", and has 255 characters at most'
    return ""


def with_user(lines: list[str], user: str, password: str) -> list[str]:
    """Returns `lines` with that user, in its old place or at the end. Takes some 20 ms."""
    entry = f"{user}:{hashed(password, os.urandom(SALT_SIZE))}"
    kept = [entry if user_of(line) == user else line for line in lines]
    return kept if entry in kept else [*kept, entry]


def without_user(lines: list[str], user: str) -> list[str]:
    """Returns `lines` without that user."""
    return [line for line in lines if user_of(line) != user]


def hashed(password: str, salt: bytes) -> str:
    """Returns the hash of a new password. Takes some 20 ms."""
    key = _scrypt(password, salt, LOG_COST, BLOCKS, PARALLEL, KEY_SIZE)
    return f"$scrypt$ln={LOG_COST},r={BLOCKS},p={PARALLEL}${b64encode(salt).decode()}${b64encode(key).decode()}"


def is_slow(stored: str) -> bool:
    """Whether `is_right` takes long for this hash."""
    return stored.startswith("$")


def is_known_kind(stored: str) -> bool:
    """Whether this is a hash that can be checked."""
    is_crypt = bool(_CRYPT.fullmatch(stored)) and _libcrypt() is not None
    return bool(_MD5.fullmatch(stored)) or is_crypt or _parts(stored) is not None


def is_right(stored: str, password: str) -> bool:
    """Whether this is the hash of the password. A hash of an unknown kind is that of none."""
    if _MD5.fullmatch(stored):
        digest = hashlib.md5(password.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
        return compare_digest(digest, stored.lower())
    if _CRYPT.fullmatch(stored):
        return compare_digest(_crypt(password, stored), stored.encode())
    parts = _parts(stored)
    if parts is None:
        return False
    log_cost, blocks, parallel, salt, key = parts
    return compare_digest(_scrypt(password, salt, log_cost, blocks, parallel, len(key)), key)


def read_lines(path: Path) -> list[str]:
    """Returns the lines of a file. Raises OSError, or ValueError if it is no file of users. Blocks."""
    with path.open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"it has more than {LARGEST_FILE >> 20} MiB")
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return data.decode("latin-1").splitlines()


def edit_file(path: Path, edit: Edit) -> None:
    """Changes a file, or makes a new one, which only its owner can read. Two who change it at the same time, be they
    two processes, come one after the other. Raises OSError, ValueError. Blocks.
    """
    path = Path(os.path.realpath(path))  # a link stays one
    with _locked(path.parent):
        lines = read_lines(path) if path.exists() else []
        new = edit(lines)
        if new is None:
            return
        before = path.stat() if path.exists() else None
        replace_file(path, "".join(f"{line}\n" for line in new).encode("utf-8", "replace"), before)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder: one on the file would be gone with the old file."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _parts(stored: str) -> tuple[int, int, int, bytes, bytes] | None:
    found = _SCRYPT.fullmatch(stored)
    if found is None:
        return None
    log_cost, blocks, parallel = (int(found[index]) for index in (1, 2, 3))
    if not (log_cost >= 1 and 1 <= parallel <= 16 and blocks >= 1 and 128 * blocks << log_cost <= MOST_MEMORY):
        return None
    try:
        salt, key = (b64decode(found[index] + "=" * (-len(found[index]) % 4)) for index in (4, 5))
    except Base64Error:
        return None
    return (log_cost, blocks, parallel, salt, key) if key else None


@cache
def _libcrypt() -> ctypes.CDLL | None:
    for name in ("libcrypt.so.1", "libcrypt.so.2"):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.crypt_r.restype = ctypes.c_char_p
        library.crypt_r.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
        return library
    return None


def _crypt(password: str, stored: str) -> bytes:
    """Returns the hash of the password with the salt of `stored`; no bytes if there is none."""
    library = _libcrypt()
    if library is None or "\0" in password:
        return b""
    room = ctypes.create_string_buffer(_CRYPT_DATA)
    found = library.crypt_r(password.encode("utf-8", "replace"), stored.encode(), ctypes.cast(room, ctypes.c_void_p))
    return bytes(found or b"")


def _scrypt(password: str, salt: bytes, log_cost: int, blocks: int, parallel: int, size: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "replace"),
        salt=salt,
        n=1 << log_cost,
        r=blocks,
        p=parallel,
        maxmem=2 * MOST_MEMORY,
        dklen=size,
    )
