"""Tests of pycast.config.lines: the line of a key, however the file is written."""

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.config.lines import line_of

TEXT = """\
# A comment.
[limits]

clients = 5
trusted = [
  "a = [",   # not a key
  "b",
]
text = '''
[limits]
clients = 1
'''
after = 1

[[mount]]
name = "/a"
[[mount]]

name = "/b"
headers = { "x" = "y" }
[mount.authentication]
type = "x"
[a.b]
c.d = 1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("limits",), 2),
        (("limits", "clients"), 4),
        (("limits", "trusted"), 5),
        (("limits", "trusted", 1), 5),
        (("limits", "text"), 9),
        (("limits", "after"), 13),
        (("mount", 0), 15),
        (("mount", 0, "name"), 16),
        (("mount", 1, "name"), 19),
        (("mount", 1, "headers", "x"), 20),
        (("mount", 1, "authentication", "type"), 22),
        (("mount", 1, "missing"), 17),
        (("a", "b", "c", "d"), 24),
        (("nothing",), None),
        ((), None),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_is_where_the_statement_begins(path: tuple[str | int, ...], line: int | None, end: str) -> None:
    assert line_of(TEXT.replace("\n", end), path) == line


def test_text_that_is_not_toml_has_no_lines() -> None:
    assert line_of("a = 1\nb = \n", ("a",)) is None


def test_long_file_is_searched_in_a_few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = 0
    parse = tomli.loads

    def counted(text: str) -> dict[str, object]:
        nonlocal passes
        passes += 1
        return parse(text)

    monkeypatch.setattr("pycast.config.lines.tomli.loads", counted)
    text = "".join(f"key{number} = {number}\n" for number in range(1000))
    assert line_of(text, ("key700",)) == 701
    assert passes < 15


def test_search_of_a_very_long_statement_is_given_up() -> None:
    text = "a = [\n" + "1,\n" * 3000 + "]\nb = 1\n"
    assert line_of(text, ("b",)) in (None, 3003)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["", "# x", "[s{}]", "k{} = 1", "k{} = [\n1,\n]", 'k{} = """\n[x]\n"""']), max_size=12))
def test_each_key_is_found_on_the_line_that_names_it(pieces: list[str]) -> None:
    text = "\n".join(piece.format(number) for number, piece in enumerate(pieces)) + "\n"
    for section, content in tomli.loads(text).items():
        for path in [(section,), *([(section, key) for key in content] if isinstance(content, dict) else [])]:
            number = line_of(text, path)
            assert number is not None
            assert text.split("\n")[number - 1].strip("[]").startswith(path[-1])
