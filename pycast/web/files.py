"""Files of the station: what is below `paths.webroot`, for paths that are no mount and no page of the server.

An answer is a whole file, one part or several of it (RFC 9110, 14), or "not modified" (13). It is read piece by piece
while it is sent (`server/http_exchange.py`), so a file of a gigabyte costs no memory; everything that asks the disk is
done in a thread. A path that ends with "/" is the `index.html` of that folder; nobody gets the list of a folder.

A mount's authentication holds for files of its name too, as in Icecast, so a pattern such as `/members/*` protects a
folder. It is asked for before a file is looked for: who is not let in does not learn which names there are.

Nobody gets out of the folder: see `disk/beneath.py`. Names that begin with a dot are not served (`.htpasswd`, `.git`),
but for `/.well-known/`. An encoder cannot put a file there; what is there, the operator has put there, and it may do in
a browser what pages of the station may do. The files of `paths.adminroot` are below /admin/ in the same way, for the
admin only.
"""

import os
from functools import lru_cache
from itertools import count
from typing import NamedTuple
from urllib.parse import quote

from pycast.auth.guests import Asking
from pycast.config.schema import Config
from pycast.disk.beneath import FoundFile, FoundFolder, open_beneath, read_beneath
from pycast.disk.calls import off_hub
from pycast.errors import ExternalError, Refused
from pycast.http.conditions import CopyState, outcome_of, takes_parts
from pycast.http.headers import basic_credentials
from pycast.http.media_types import media_type, more_types
from pycast.http.ranges import Part, Unsatisfiable, last_line, part_head, parts_of
from pycast.http.request import Request
from pycast.http.response import FileParts, FileRange, Pair, Response, error_response, http_date
from pycast.web.route import Call

INDEX = "index.html"

# Debian's has 100 kB.
MOST_TYPES = 1 << 20

# The numbers of those who are asked for their login: other ones than listeners have.
_ids = count(1 << 40)

_OPEN_FOLDER = "/.well-known"

# Percent signs too: a query is sent on as it came.
_IN_QUERY = "/:@!$&'()*+,;=~?%"


class _Found(NamedTuple):
    """A file with its type; none for a folder that was asked for without the "/" at its end."""

    file: FoundFile | None
    content_type: str = ""


def answer_file(call: Call) -> Response:
    """Answers with the file of that path. Raises Refused with 404 if there is none. May switch."""
    response = maybe_file(call)
    if response is None:
        raise no_file()
    return response


def no_file() -> Refused:
    """Returns the refusal of a path that is nothing."""
    return Refused("The file you requested could not be found", status=404, cause="no such mount or file")


def maybe_file(call: Call) -> Response | None:
    """Returns the answer with the file of that path, None if there is none. Raises Refused. May switch."""
    if not serves_files(call.config) or is_hidden(call.request.path):
        return None
    check_login(call)
    return _maybe_file(call, call.config.paths.webroot, call.request.path)


def maybe_admin_file(call: Call) -> Response | None:
    """As `maybe_file`, for a path below /admin/ and the files of `paths.adminroot`. The access is checked already."""
    root, path = call.config.paths.adminroot, call.request.path.removeprefix("/admin")
    # A style sheet is for the pages of a command, and nobody gets it as it is.
    if not root or is_hidden(path) or path.lower().endswith(".xsl"):
        return None
    found = _maybe_file(call, root, path)
    return found and found._replace(may_be_stored=False)


def _maybe_file(call: Call, root: str, path: str) -> Response | None:
    try:
        found = off_hub(_find, root, path, call.config.paths.mime_types)
    except ExternalError as error:
        raise unreadable(error) from error
    if found is None:
        return None
    if found.file is None:
        return Response(301, headers=(("Location", _as_folder(call.request)),))
    try:
        response = _answer(call, found.file, found.content_type)
    except BaseException:
        found.file.file.close()
        raise
    if not isinstance(response.body, FileRange | FileParts):
        found.file.file.close()
    return response


def _as_folder(request: Request) -> str:
    _, question, query = request.target.partition("?")
    return f"{quote(request.path)}/{question}{quote(query, safe=_IN_QUERY)}"


def check_login(call: Call) -> None:
    """Raises Refused if a file of that path has the name of a mount, if only by a pattern, whose listeners are asked
    who they are, and the visitor would not be one of them, whether or not there is such a file. May switch.
    """
    request, path, guests = call.request, call.request.path, call.site.guests
    for name in (path, f"{path}{INDEX}") if path.endswith("/") else (path,):
        if call.config.for_mount(name).authentication.asks_listeners:
            login, headers = basic_credentials(request.headers), request.headers
            if not guests.is_server(login, call.door.ip):
                asking = Asking(next(_ids), name, request.target, call.door.ip, login, headers, request.query, False)
                guests.give_up(guests.let_in(asking).id)
            return


def has_file(config: Config, path: str) -> bool:
    """Whether there is a file for that path. May switch."""
    if not serves_files(config) or is_hidden(path):
        return False
    try:
        found = off_hub(_find, config.paths.webroot, path, "")
    except ExternalError:
        return False
    if found is not None and found.file is not None:
        found.file.file.close()
    return found is not None


def serves_files(config: Config) -> bool:
    """Whether there are files to be served."""
    return bool(config.paths.webroot) and config.server.fileserve


def is_hidden(path: str) -> bool:
    """Whether a part of the path begins with a dot."""
    below = path.removeprefix(_OPEN_FOLDER) if path.startswith(f"{_OPEN_FOLDER}/") else path
    return "/." in below


def unreadable(error: ExternalError) -> Refused:
    """Returns the refusal for a file that cannot be read now."""
    return Refused("This file cannot be read at present", status=503, cause=str(error))


def _answer(call: Call, found: FoundFile, content_type: str) -> Response:
    request, headers = call.request, call.request.headers
    modified, tag = found.mtime_ns // 10**9, f'"{found.mtime_ns:x}-{found.size:x}"'
    about: tuple[Pair, ...] = (("ETag", tag), ("Last-Modified", http_date(modified)))
    outcome = outcome_of(headers, tag, modified)
    if outcome is CopyState.NOT_MODIFIED:
        return Response(304, headers=about, may_be_stored=True, is_own=True)
    if outcome is CopyState.FAILED:
        return error_response(412)
    about = (("Accept-Ranges", "bytes"), *about)
    wants_parts = request.method == "GET" and "range" in headers and takes_parts(headers, tag, modified)
    parts = parts_of(headers.get("range"), found.size) if wants_parts else ()
    if isinstance(parts, Unsatisfiable):
        return error_response(416, headers=(("Content-Range", f"bytes */{found.size}"),))
    if len(parts) > 1:
        return _several(found, parts, content_type, about)
    if parts:
        about = (*about, ("Content-Range", parts[0].content_range(found.size)))
    start, length = parts[0] if parts else (0, found.size)
    body = FileRange(found.file, start, length)
    return Response(206 if parts else 200, body, content_type, about, may_be_stored=True, is_own=True)


def _several(found: FoundFile, parts: tuple[Part, ...], content_type: str, about: tuple[Pair, ...]) -> Response:
    boundary = os.urandom(12).hex()
    pieces: list[bytes | tuple[int, int]] = []
    for part in parts:
        pieces += [part_head(part, found.size, content_type, boundary), (part.start, part.length)]
    body = FileParts(found.file, (*pieces, last_line(boundary)))
    multipart = f"multipart/byteranges; boundary={boundary}"
    return Response(206, body, multipart, about, may_be_stored=True, is_own=True)


# -- in a thread


def _find(root: str, path: str, types_file: str) -> _Found | None:
    found = open_beneath(root, path)
    if isinstance(found, FoundFolder):
        return _find_index(root, path, types_file)
    return found and _Found(found, media_type(path, _types(types_file)))


def _find_index(root: str, path: str, types_file: str) -> _Found | None:
    name = f"{path.rstrip('/')}/{INDEX}"
    found = open_beneath(root, name)
    if not isinstance(found, FoundFile):
        return None
    if path.endswith("/"):
        return _Found(found, media_type(name, _types(types_file)))
    # Or its links to other files, which are relative, would lead beside the folder.
    found.file.close()
    return _Found(None)


def _types(file: str) -> dict[str, str]:
    """Returns the types of a file such as /etc/mime.types, as it is now; none if it cannot be read."""
    if not file:
        return {}
    try:
        found = open_beneath("/", file)
    except ExternalError:
        return {}
    if not isinstance(found, FoundFile):
        return {}
    found.file.close()
    return _types_of(file, found.mtime_ns)


@lru_cache(maxsize=4)
def _types_of(file: str, mtime_ns: int) -> dict[str, str]:
    data = read_beneath("/", file, MOST_TYPES) or b""
    return more_types(data.decode("utf-8", "replace"))
