"""The keys of [mount.authentication]: whom a mount asks who its listeners and sources are.

The names are those of Icecast's options. Who does the asking is in pycast/auth/; checks that need two keys are in
rules.py.
"""

from functools import cached_property
from typing import Literal

from pycast.config.address_values import CallUrl
from pycast.config.section import Section, key
from pycast.config.values import AuthHeader, Flag, HeaderNames, MaybeSecret, Seconds, SigningKeys, Text


class MountAuthentication(Section):
    """Who may listen to a mount: users in a file, whomever your own server lets in, or who has a signed address."""

    type: Literal["none", "htpasswd", "url", "signed"] = key(
        "none",
        '"htpasswd": users and passwords in a file. "url": a server of yours is asked. "signed": the address of the '
        'stream has a signature and an end. "none": everybody, also if a default section says otherwise.',
        example="htpasswd",
    )
    filename: Text = key(
        "",
        'For "htpasswd": the file, a user in each line. Icecast\'s files are read. `pycast passwd` and '
        "/admin/manageauth write it. It is read again when it changes.",
        example="listeners.htpasswd",
    )
    allow_duplicate_users: Flag = key(
        False, 'For "htpasswd" and "url": whether one user may listen to the mount several times at the same time.'
    )
    listener_add: CallUrl = key(
        "",
        'For "url": what is asked about each listener. Without it nobody is asked.',
        example="http://127.0.0.1:8080/listener-add",
    )
    listener_remove: CallUrl = key(
        "", 'For "url": what is told when a listener has left.', example="http://127.0.0.1:8080/listener-remove"
    )
    stream_auth: CallUrl = key(
        "",
        'For "url": what is asked about each source, and about its requests below /admin/, in place of the mount\'s '
        "password.",
        example="http://127.0.0.1:8080/stream-auth",
    )
    mount_add: CallUrl = key(
        "", 'For "url": what is told when a source has connected.', example="http://127.0.0.1:8080/mount-add"
    )
    mount_remove: CallUrl = key(
        "", 'For "url": what is told when the source has gone.', example="http://127.0.0.1:8080/mount-remove"
    )
    username: Text = key(
        "",
        'For "url": the user name for the server that is asked. Empty: that in the URL, else the listener\'s own.',
        example="radio",
    )
    password: MaybeSecret = key("", 'For "url": the password for it.', example="secret")
    auth_header: AuthHeader = key(
        "icecast-auth-user: 1", 'For "url": the header of an answer that lets in, with its value. Case does not matter.'
    )
    timelimit_header: AuthHeader = key(
        "icecast-auth-timelimit:", 'For "url": the header with the seconds after which the listener is disconnected.'
    )
    headers: HeaderNames = key(
        (), 'For "url": headers of the listener that are sent along, such as ["x-session", "cookie"].'
    )
    header_prefix: Text = key("", 'For "url": what their names begin with in the form.', example="ClientHeader-")
    timeout: Seconds = key(
        15.0, 'For "url": how long an answer may take, the time in the queue included.', gt=0, le=120
    )
    on_failure: Literal["deny", "allow"] = key(
        "deny",
        'For "url": what becomes of listeners while the server that is asked fails or does not answer. Sources are '
        "never let in then.",
    )
    keys: SigningKeys = key(
        (),
        'For "signed": the keys, each of 16 characters at least. Two are valid at the same time, so that they can be '
        "changed one after the other.",
        example=("a long random text", "the former long random text"),
    )

    @cached_property
    def asks_listeners(self) -> bool:
        """Whether it decides who may listen."""
        return self.type in ("htpasswd", "signed") or bool(self.url_of("listener_add"))

    @cached_property
    def follows_listeners(self) -> bool:
        """Whether it decides who may listen, or is told of those who leave."""
        return self.asks_listeners or bool(self.url_of("listener_remove"))

    def url_of(self, action: str) -> str:
        """Returns the URL for an action, empty if there is none."""
        return str(getattr(self, action)) if self.type == "url" else ""
