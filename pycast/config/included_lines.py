"""Lines of files that an icecast.xml includes. Pure.

Such a line is a number like that of the file itself, so it goes the same ways; only who shows it looks at its file.
"""


class IncludedLine(int):
    """The number of a line in an included file."""

    file: str

    def __new__(cls, number: int, file: str) -> "IncludedLine":
        made = super().__new__(cls, number)
        made.file = file
        return made

    def __format__(self, spec: str) -> str:
        return f"{self.file}:{int(self)}"


def place_of(file: str, line: int) -> str:
    """Returns `file:line`, or the place in the file that is included there."""
    return f"{line}" if isinstance(line, IncludedLine) else f"{file}:{line}"
