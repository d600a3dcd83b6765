"""How a page is made from its template: Jinja's set-up, what all pages have in common, and texts made fit to be shown.

A page is one self-contained file: style, script and pictures are inline, and nothing is loaded.

Invariant: text from outside (names, titles, addresses) reaches a page only through Jinja's escaping, and never as a
script, a style or the scheme of a link. The page's Content-Security-Policy enforces it a second time.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pycast.characters import clean_line
from pycast.http.response import Pair
from pycast.net.turns import in_turns

if TYPE_CHECKING:  # importing Jinja2 takes some 50 ms: that is left to the first page
    from jinja2 import Environment, Template

_TEMPLATES = Path(__file__).parent / "templates"

LONGEST_TEXT = 500
"""Characters of a name or title that are shown. ICY allows 4,080 bytes, more than any layout needs."""

PATH_CHARACTERS = "/:@!$&'()*+,;=~"


def clean(value: str) -> str:
    """Returns a text from outside as one line of limited length, not escaped."""
    value = clean_line(value)
    return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"


def duration(seconds: float) -> str:
    """Returns a duration in its two largest units of days, hours and minutes. player.js does the same."""
    minutes = max(0, int(seconds)) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def moment(seconds: float) -> datetime:
    """Returns a time given in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


@cache
def headers() -> tuple[Pair, ...]:
    """Returns the headers of every page: its policy, and what a policy within the page cannot forbid, frames."""
    return (("Content-Security-Policy", f"{page_policy([_asset('player.js')])}; frame-ancestors 'none'"),)


def render(name: str, **values: object) -> bytes:
    """Returns a page from its template, UTF-8 `text/html`. May switch: a page may have thousands of mounts."""
    parts = in_turns(template(name).generate(**values))
    return "".join(parts).encode("utf-8", "replace")  # a title may have a lone surrogate


def compile_templates() -> Iterator[str]:
    """Compiles the templates, one for each name that it yields, so that no page has to wait for it or for a disk."""
    environment = _environment()
    headers()
    for name in environment.list_templates(["html"]):
        environment.get_template(name)
        yield name


def template(name: str) -> "Template":
    """Returns a template, compiled once."""
    return _environment().get_template(name)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    script = _asset("player.js")
    environment.globals.update(style=Markup(_asset("style.css")), script=Markup(script), policy=page_policy([script]))
    return environment


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def page_policy(scripts: Sequence[str], forms: str = "'none'") -> str:
    """Returns the Content-Security-Policy: it allows our own scripts, by their hashes, and our own server. `forms` is
    where forms may be sent.
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"media-src 'self'; connect-src 'self'; base-uri 'none'; form-action {forms}"
    )
