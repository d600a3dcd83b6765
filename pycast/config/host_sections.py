"""The keys of the sections about the machine that the server runs on, like those of schema.py: its files and folders,
and the user of the server.
"""

from pycast.config.section import Section, key
from pycast.config.values import Text


class PathsSection(Section):
    """Files and folders."""

    webroot: Text = key(
        "",
        "The folder of the files that mounts name as a fallback or an intro, below which all of them are. Empty: none. "
        "With server.fileserve everybody can fetch what is in it.",
    )
    mime_types: Text = key(
        "/etc/mime.types",
        "The file that says which extension of a file's name has which content type. Common ones are known without it.",
        icecast=("mime-types",),
    )
    pidfile: Text = key(
        "",
        "A file that has the number of the server's process while it runs. It is written before the process changes "
        "its user.",
        restart=True,
    )


class SecuritySection(Section):
    """Who the server runs as, if root has started it."""

    user: Text = key(
        "",
        "The user as which the server goes on as soon as its ports are open and its certificate is read. Log files and "
        "recordings are this user's. Empty: it stays who has started it.",
        example="pycast",
        restart=True,
    )
    group: Text = key("", "The group. Empty: that of the user.", example="pycast", restart=True)
