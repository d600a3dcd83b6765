"""Patterns are compiled late, and are what compiled ones are."""

import re
import subprocess
import sys
from pathlib import Path

import pycast
from pycast import patterns
from pycast.patterns import compile_patterns, pattern

PACKAGE = Path(pycast.__file__).parent


def test_it_does_what_a_compiled_pattern_does() -> None:
    lazy, real = pattern(r"(a+)(b)?", re.IGNORECASE), re.compile(r"(a+)(b)?", re.IGNORECASE)
    for _ in range(2):  # the first use, and the next
        assert lazy.sub("-", "xAAby") == real.sub("-", "xAAby") == "x-y"
        assert [found.groups() for found in lazy.finditer("ab a")] == [("a", "b"), ("a", None)]
        assert lazy.fullmatch("ab") and not lazy.fullmatch("abc") and lazy.match("abc") and lazy.search("xa")
        assert lazy.split("xay") == real.split("xay") and lazy.findall("ab") == [("a", "b")]
        assert lazy.subn("", "ab") == ("", 1)
    assert (lazy.pattern, lazy.groups, lazy.flags) == (real.pattern, real.groups, real.flags)
    assert pattern(rb"\d").match(b"1")


def test_it_is_compiled_when_it_is_used_or_when_there_is_time() -> None:
    list(compile_patterns())
    wrong, right = pattern("("), pattern("a")
    try:
        assert patterns._waiting == [wrong, right]  # so it was not compiled yet: that would have raised
        right.match("a")
        patterns._waiting.remove(wrong)  # type: ignore[arg-type]
        assert len(list(compile_patterns())) == 1
    finally:
        patterns._waiting.clear()


def test_every_pattern_of_the_server_can_be_compiled() -> None:
    names = sorted(
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in PACKAGE.rglob("*.py")
        if "pattern(" in path.read_text() and path.name != "patterns.py"
    )
    script = f"""
import importlib
for name in {names!r}:
    importlib.import_module(name)
from pycast.patterns import compile_patterns
print(len(list(compile_patterns())))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert int(done.stdout) > 80, done.stderr


def test_no_module_compiles_a_pattern_when_it_is_loaded() -> None:
    early = [
        f"{path.relative_to(PACKAGE)}: {line}"
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text().splitlines()
        if "re.compile(" in line and not line.startswith(" ") and "testing" not in path.parts
    ]
    assert not early
