"""`/admin.cgi?mode=viewxml`: the statistics of a mount as SHOUTcast has them there, and icecast-kh.

With the password of the mount's source or of the admin, in `pass=` or as HTTP wants it: there are addresses of
listeners in it. A mount without a source is an answer, too: that is what scripts look for.
"""

from pycast.http.response import Response
from pycast.stats.icestats import find_mount
from pycast.stats.shoutcast_xml import shoutcast_xml
from pycast.web.route import Call, shoutcast_login

XML = "text/xml; charset=utf-8"


def viewxml(call: Call) -> Response:
    """Answers with the statistics, or the part of them that `page=` names. May switch."""
    name = shoutcast_login(call)[0]
    snapshot = call.control.snapshot()
    mount = find_mount(snapshot, name)
    played = mount.history if mount else call.site.history.of(name)
    listeners = call.control.listeners(name) if mount else ()
    return Response(200, shoutcast_xml(snapshot, mount, listeners, played, call.text("page")), XML)
