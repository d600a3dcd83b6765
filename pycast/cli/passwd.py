"""`pycast passwd FILE USER`: edits a listener password file in Icecast's format.

The server does not read such a file yet, and the command says so. A line is `user:` and the MD5 of the password in 32
lower-case hexadecimal digits, split at the last ":". Blank lines and lines that begin with "#" are kept as they are
(icecast 2.4, auth_htpasswd.c). MD5 without salt is weak, but the format has nothing else. The one invariant: a reader
sees the old file or the new one, never a part of one.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import click

_NOT_READ_YET = "pycast does not read this file yet; listener authentication is not implemented. Icecast reads it."


@click.command(short_help="Edit a password file (for Icecast only, so far).")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("user")
@click.option("--password", help="The password. Default: asks for it, or reads it from stdin.")
@click.option("-D", "--delete", is_flag=True, help="Delete the user instead.")
def command(file: Path, user: str, password: str | None, delete: bool) -> None:
    """Add or change USER in the listener password file FILE, in Icecast's format.

    pycast does not read this file yet; listener authentication is not implemented, and no listener is asked for a
    password. Icecast reads it.
    """
    if not user or ":" in user or user.startswith("#") or not user.isprintable():
        raise click.BadParameter('a name must not have ":" in it or begin with "#"', param_hint="USER")
    lines = file.read_text().splitlines() if file.exists() else []
    known = any(_user_of(line) == user for line in lines)
    if delete and not known:
        raise click.ClickException(f"{file} has no user {user}")
    write_lines(file, without_user(lines, user) if delete else with_user(lines, user, password or _ask(user)))
    click.echo(f"{'deleted' if delete else 'changed' if known else 'added'} {user} in {file}")
    click.echo(f"{click.style('note:', fg='yellow')} {_NOT_READ_YET}", err=True)


def with_user(lines: list[str], user: str, password: str) -> list[str]:
    """Returns `lines` with that user, in its old place or at the end."""
    entry = f"{user}:{hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()}"
    kept = [entry if _user_of(line) == user else line for line in lines]
    return kept if entry in kept else [*kept, entry]


def without_user(lines: list[str], user: str) -> list[str]:
    """Returns `lines` without that user."""
    return [line for line in lines if _user_of(line) != user]


def write_lines(file: Path, lines: list[str]) -> None:
    """Replaces the file in one step. It keeps its mode; a new file is readable by its owner only."""
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w") as new:
            new.write("".join(f"{line}\n" for line in lines))
            os.fchmod(new.fileno(), mode)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise


def _user_of(line: str) -> str | None:
    if line.startswith("#") or ":" not in line:
        return None
    return line.rpartition(":")[0]


def _ask(user: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n") or _no_password()
    answer: str = click.prompt(f"Password for {user}", hide_input=True, confirmation_prompt=True)
    return answer


def _no_password() -> str:
    raise click.ClickException("no password: give one on stdin or with --password")
