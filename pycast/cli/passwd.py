"""`pycast passwd FILE USER`: edits the password file of a mount with `type = "htpasswd"`.

The format is in pycast/auth/password_file.py. A running server reads the file again by itself.
"""

import sys
from pathlib import Path

import click

from pycast.auth.password_file import edit_file, user_of, why_no_user, with_user, without_user


@click.command(short_help="Edit a file of listeners and their passwords.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("user")
@click.option("--password", help="The password. Default: asks for it, or reads it from stdin.")
@click.option("-D", "--delete", is_flag=True, help="Delete the user instead.")
def command(file: Path, user: str, password: str | None, delete: bool) -> None:
    """Add or change USER in the listener password file FILE, which a mount names in mount.authentication.filename.

    A running server reads the file again by itself. Passwords are stored salted, as scrypt hashes, which Icecast does
    not read; lines that Icecast has written stay as they are.
    """
    if why := why_no_user(user):
        raise click.BadParameter(why, param_hint="USER")
    done = "deleted"

    def edit(lines: list[str]) -> list[str]:
        nonlocal done
        is_known = any(user_of(line) == user for line in lines)
        if delete:
            if not is_known:
                raise click.ClickException(f"{file} has no user {user}")
            return without_user(lines, user)
        done = "changed" if is_known else "added"
        return with_user(lines, user, new or "")

    new = None if delete else password or _ask(user)
    try:
        edit_file(file, edit)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{file}: {error}") from error
    click.echo(f"{done} {user} in {file}")


def _ask(user: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n") or _no_password()
    answer: str = click.prompt(f"Password for {user}", hide_input=True, confirmation_prompt=True)
    return answer


def _no_password() -> str:
    raise click.ClickException("no password: give one on stdin or with --password")
