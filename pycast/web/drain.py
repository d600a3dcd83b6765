"""`/admin/drain`: empties the server before it is stopped, for its admin.

POST begins (`?now=1`: without the lead, `?cancel=1`: serves again), GET only looks; both answer with where it is, as
JSON. Icecast's commands act on a GET; this one would take a server out of service because a browser fetched a link
ahead of time.
"""

import json
from dataclasses import asdict

from pycast.auth.credentials import is_admin
from pycast.errors import Refused
from pycast.http.headers import basic_credentials
from pycast.http.query import parse_form
from pycast.http.request import Request
from pycast.http.response import Response
from pycast.web.site import Site

JSON = "application/json"


def drain(site: Site, request: Request, body: bytes) -> Response:
    """Begins, cancels or shows the drain. Raises Refused."""
    if not is_admin(site.settings.now, basic_credentials(request.headers)):
        raise Refused("You need to authenticate", status=401, cause="wrong credentials for /admin/drain")
    if request.method == "POST":
        wanted = {**request.query, **parse_form(body)}
        if wanted.get("cancel", b"0") != b"0":
            site.drain.cancel()
        else:
            site.drain.begin(now=wanted.get("now", b"0") != b"0")
    progress = asdict(site.drain.progress())
    text = json.dumps(progress | {"state": progress["state"].value})
    return Response(200, f"{text}\n".encode(), JSON)
