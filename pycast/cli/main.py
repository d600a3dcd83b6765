"""The command line: a table of commands, each imported when it runs, and the text of errors.

Started under the name `icecast` or `icecast2`, as a link to the command, it is Icecast's command (icecast.py).

`pycast serve` should accept within 0.2 s, so this file imports nothing that only one command needs. Errors that pycast
raises on purpose become text on stderr and exit status 1; any other exception is a bug and keeps its traceback.
"""

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import click

from pycast import __version__
from pycast.characters import escaped
from pycast.errors import ConfigError, ExternalError

_COMMANDS = {
    "serve": "pycast.cli.serve",
    "demo": "pycast.cli.demo",
    "status": "pycast.cli.status",
    "cluster": "pycast.cli.cluster",
    "drain": "pycast.cli.drain",
    "check": "pycast.cli.check",
    "config": "pycast.cli.config",
    "conf": "pycast.cli.conf",
    "import-icecast": "pycast.cli.import_icecast",
    "passwd": "pycast.cli.passwd",
    "sign": "pycast.cli.sign",
}
"""The modules of the commands, in the order of the help page. Each has its click command as `command`."""

_HIDDEN = {"fork-server": "pycast.cli.fork_server", "icecast": "pycast.cli.icecast"}
"""Commands that nobody gives: `pycast.testing` starts the one, the names in `_ICECAST` stand for the other."""

_HINTS = {
    errno.EADDRINUSE: "Another program uses that port. Choose another one with --port; --port 0 takes any free one.",
    errno.ECONNREFUSED: "Nothing listens there. Is the server running, and is the port right?",
    errno.EADDRNOTAVAIL: "This machine has no such address; see bind_address in [[listen]].",
    errno.EACCES: "This user lacks the permission; `ls -ld` shows who has it for a file and for its folder.",
    errno.EISDIR: "That is a folder; name a file in it.",
    errno.ENOSPC: "The disk is full; `df -h` shows which.",
    errno.EROFS: "That file system can only be read; name a file elsewhere.",
}
"""What to do about an error of the operating system, where the error itself has no hint."""


_MANUAL = "`pycast config` prints every setting with its meaning."


_ICECAST = ("icecast", "icecast2")
"""Names under which the command takes Icecast's options. The last part of a path counts, so a link has such a name."""


class Commands(click.Group):
    """The table of commands, and the one place where errors become text."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command that the arguments name; under Icecast's name, the one with Icecast's options."""
        if args is None and os.path.basename(sys.argv[0]) in _ICECAST:
            args, prog_name = ["icecast", *sys.argv[1:]], os.path.basename(sys.argv[0])
        return super().main(args, prog_name, complete_var, standalone_mode, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name) or _HIDDEN.get(cmd_name)
        if module is None:
            self._suggest(ctx, cmd_name)
            return None
        command = import_module(module).command
        assert isinstance(command, click.Command)
        return command

    def _suggest(self, ctx: click.Context, name: str) -> None:
        """Fails with the command that was probably meant, if there is one."""
        from difflib import get_close_matches

        near = get_close_matches(name, _COMMANDS, n=1)
        if near and not ctx.resilient_parsing:
            ctx.fail(f"no such command {name}; did you mean {near[0]}?")

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            next_step = [error.hint] if error.hint else list(_hints(error))
            raise Failure([*error.problems, *(next_step or [_MANUAL])]) from error
        except (ExternalError, OSError) as error:
            raise Failure([_what_failed(error), *_hints(error)]) from error


class Failure(click.ClickException):
    """The failure of a command: its lines say what failed, then what to do."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))

    def show(self, file: object = None) -> None:
        """Writes the lines to stderr. They may quote a file, or what a server has answered."""
        for line in self.message.split("\n"):
            click.echo(f"{click.style('pycast:', fg='red', bold=True)} {escaped(line)}" if line else "", err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="pycast", message="%(prog)s %(version)s")
def main() -> None:
    """A streaming server for internet radio: a drop-in for Icecast.

    Try it with `pycast demo`. Run it with `pycast serve`.
    """


def _what_failed(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _hints(error: BaseException | None) -> Iterator[str]:
    """Yields what to do about an error, by its errno or that of the error that caused it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _HINTS:
            yield _HINTS[error.errno]
            return
        error = error.__cause__
