"""`pycast conf [NAME]`: prints the examples of conf/, from a checkout or from the installed package.

The wheel has the folder as pycast/conf (see pyproject.toml); a checkout has it beside the package. The first line of an
example says what it is. The one invariant: an example is printed byte by byte as it is in the folder.
"""

import difflib
import json
from pathlib import Path

import click

import pycast

_PACKAGE = Path(pycast.__file__).parent


@click.command(short_help="Print an example file, or list them all.")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Print the example file NAME. Without a name, list all examples.

    `pycast conf minimal > pycast.toml` makes a file to start from. The ending can be left out if only one example has
    that name.
    """
    known = examples()
    if name is None:
        width = max(map(len, known))
        for each, file in known.items():
            click.echo(f"{each:{width}}  {summary(file.read_text('utf-8'))}")
        return
    # The examples name each other as conf/….
    found = named(name.removeprefix("conf/"), list(known))
    if len(found) != 1:
        raise click.ClickException(_which(name, found or nearest(name, list(known))))
    click.echo(known[found[0]].read_bytes(), nl=False)


def examples() -> dict[str, Path]:
    """Returns the files by their names in conf/, those of subfolders last."""
    folder = _PACKAGE / "conf"
    if not folder.is_dir():
        folder = _PACKAGE.parent / "conf"
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return dict(sorted(names.items(), key=lambda pair: (pair[0].count("/") > 0, pair[0])))


def named(name: str, known: list[str]) -> list[str]:
    """Returns the examples with that name, with or without its ending."""
    return [name] if name in known else [one for one in known if one.rpartition(".")[0] == name]


def nearest(name: str, known: list[str]) -> list[str]:
    """Returns the example whose name is most similar, as a list of one or none."""
    # A name may be written with or without its folder and its ending.
    spellings = {form: one for one in known for form in (one, one.rpartition(".")[0], one.rpartition("/")[2])}
    return [spellings[form] for form in difflib.get_close_matches(name, spellings, n=1)]


def summary(text: str) -> str:
    """Returns the first line of an example, which says what it is."""
    # JSON has no comments.
    head = str(json.loads(text)["description"]) if text.startswith("{") else text.partition("\n")[0]
    return head.strip("#; ").removesuffix(".")


def _which(name: str, candidates: list[str]) -> str:
    if not candidates:
        return f"no example {name}; `pycast conf` lists all"
    return f"no example {name}; did you mean {' or '.join(candidates)}? `pycast conf` lists all"
