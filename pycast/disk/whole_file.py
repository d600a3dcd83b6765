"""Files that are written whole, so that a reader finds the old one or the new one, never a part.

They hold passwords or what only the server needs, so only its user may read them, unless the old file was for others
too. The file is written under another name beside the old one. Nobody can know that name before: in a folder that
others may write to, a link with a name that is known would lead the server to overwrite any of its own files.
"""

import os
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, data: bytes, like: os.stat_result | None = None) -> None:
    """Writes a file in place of the one at `path`, if there is one. It is of mode 0600, or has the mode, and if that
    is possible the owner, of `like`. Raises OSError. Blocks.
    """
    beside = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if like is not None:
                with suppress(PermissionError):
                    os.fchown(fd, like.st_uid, like.st_gid)
                os.fchmod(fd, like.st_mode & 0o777)
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise
