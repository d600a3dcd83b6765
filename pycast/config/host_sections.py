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
    adminroot: Text = key(
        "",
        "The folder of your own files below /admin/, for the admin: style sheets (*.xsl) for the pages of Icecast's "
        "commands, and any other files. Empty: none; the commands have pages of pycast's own.",
        example="/srv/radio/admin",
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
    deny_ip: Text = key(
        "",
        "A list of addresses that may not connect, one on each line: 192.0.2.7, 10.0.0.0/8, 2001:db8::/32 or 10.0.*. "
        "Empty: none.",
        example="/etc/pycast/deny-ip.txt",
        icecast=("deny-ip", "banfile", "ban-file"),
    )
    allow_ip: Text = key(
        "",
        "A list of the only addresses that may connect. Those of load balancers and of your own machines have to be "
        "among them. Empty: all may.",
        example="/etc/pycast/allow-ip.txt",
    )
    deny_agents: Text = key(
        "",
        "A list of players that may not connect, each by its User-Agent, in which * stands for anything. Empty: none.",
        example="/etc/pycast/deny-agents.txt",
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
