"""`pycast conf [NAME]`: the examples of conf/, also for those who have the package and no checkout.

The builder puts the folder into the wheel as pycast/conf (see pyproject.toml); a checkout has it beside the package.
The first line of an example says what it is. Invariant: what is printed is the file as it is.
"""

import difflib
import json
from pathlib import Path

import click

import pycast

_PACKAGE = Path(pycast.__file__).parent


@click.command(short_help="Print an example, or the list of them.")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Print the example NAME; without a name, list all of them.

    pycast conf minimal > pycast.toml makes a file to start from. The ending may be left out where only one example has
    the name.
    """
    known = examples()
    if name is None:
        width = max(map(len, known))
        for each, file in known.items():
            click.echo(f"{each:{width}}  {summary(file.read_text('utf-8'))}")
        return
    # The examples speak of each other as conf/….
    found = named(name.removeprefix("conf/"), list(known))
    if len(found) != 1:
        raise click.ClickException(_which(name, found or nearest(name, list(known))))
    click.echo(known[found[0]].read_bytes(), nl=False)


def examples() -> dict[str, Path]:
    """Returns the examples by their names: those of the folder itself first."""
    folder = _PACKAGE / "conf"
    if not folder.is_dir():
        folder = _PACKAGE.parent / "conf"
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return dict(sorted(names.items(), key=lambda pair: (pair[0].count("/") > 0, pair[0])))


def named(name: str, known: list[str]) -> list[str]:
    """Returns the examples that have the name, with or without its ending."""
    return [name] if name in known else [one for one in known if one.rpartition(".")[0] == name]


def nearest(name: str, known: list[str]) -> list[str]:
    """Returns the one example that is spelled most like the name, if any is."""
    # Some say the folder or the ending, some do not.
    spellings = {form: one for one in known for form in (one, one.rpartition(".")[0], one.rpartition("/")[2])}
    return [spellings[form] for form in difflib.get_close_matches(name, spellings, n=1)]


def summary(text: str) -> str:
    """Returns what an example says at its head about itself."""
    # JSON has no comments.
    head = str(json.loads(text)["description"]) if text.startswith("{") else text.partition("\n")[0]
    return head.strip("#; ").removesuffix(".")


def _which(name: str, candidates: list[str]) -> str:
    if not candidates:
        return f"no example {name}; `pycast conf` lists all"
    return f"no example {name}; did you mean {' or '.join(candidates)}? `pycast conf` lists all"
