"""What the loader says of the result of an import, as notes. Pure."""

from pycast.config.icecast_xml import Imported
from pycast.config.import_notes import ImportNote, NoteKind
from pycast.config.load import loads
from pycast.errors import ConfigError
from pycast.patterns import pattern

_WHERE = pattern(r"^pycast\.toml(:\d+)?: ")


def checked(imported: Imported) -> Imported:
    """Returns the same with a note for each problem that the loader has with it."""
    try:
        loads(imported.body, {}, "pycast.toml")
    except ConfigError as error:
        # The body's lines are not those of the whole file, which has the notes at its head.
        problems = [ImportNote(NoteKind.TO_CORRECT, 0, _WHERE.sub("", problem)) for problem in error.problems]
        before = [note for note in imported.notes if note.kind in (NoteKind.REFUSED, NoteKind.CLOSED)]
        return imported._replace(notes=(*before, *problems, *imported.notes[len(before) :]))
    return imported
