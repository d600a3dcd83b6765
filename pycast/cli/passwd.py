"""`pycast passwd FILE USER`: users of a listener password file, in Icecast's format, so that one file serves both.

The server does not read such a file yet, and the command says so: listener authentication is to come.
A line is `user:` and the MD5 of the password in 32 lower-case hexadecimal digits, split at the last ":"; blank lines
and lines that begin with "#" are kept as they are (icecast 2.4, auth_htpasswd.c). MD5 without salt is weak; it is what
the format has. The one invariant: a reader sees the old file or the new one, never a half of it.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import click

_NOT_READ_YET = "The server does not read this file yet: listener authentication is to come. Icecast reads it."


@click.command(short_help="Add a user to a password file (for Icecast; not read yet).")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("user")
@click.option("--password", help="The password; without this it is asked for (or read from stdin).")
@click.option("-D", "--delete", is_flag=True, help="Delete the user instead.")
def command(file: Path, user: str, password: str | None, delete: bool) -> None:
    """Add or change USER in the listener password file FILE, in Icecast's format.

    The server does not read this file yet: listener authentication is to come. Until then no listener
    is asked for a password.
    """
    if not user or ":" in user or user.startswith("#") or not user.isprintable():
        raise click.BadParameter('a name has no ":" in it and does not begin with "#"', param_hint="USER")
    lines = file.read_text().splitlines() if file.exists() else []
    known = any(_user_of(line) == user for line in lines)
    if delete and not known:
        raise click.ClickException(f"{file} has no user {user}")
    write_lines(file, without_user(lines, user) if delete else with_user(lines, user, password or _ask(user)))
    click.echo(f"{'deleted' if delete else 'changed' if known else 'added'} {user} in {file}")
    click.echo(f"{click.style('note:', fg='yellow')} {_NOT_READ_YET}", err=True)


def with_user(lines: list[str], user: str, password: str) -> list[str]:
    """`lines` with that user, in the place where it was or at the end."""
    entry = f"{user}:{hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()}"
    kept = [entry if _user_of(line) == user else line for line in lines]
    return kept if entry in kept else [*kept, entry]


def without_user(lines: list[str], user: str) -> list[str]:
    """`lines` without that user."""
    return [line for line in lines if _user_of(line) != user]


def write_lines(file: Path, lines: list[str]) -> None:
    """Replaces the file in one step. It keeps its mode; a new one can be read by its owner only."""
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
    raise click.ClickException("no password: give it on stdin or with --password")
