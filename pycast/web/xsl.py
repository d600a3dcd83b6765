"""Pages of the station's own, made from the statistics by XSL style sheets below `paths.webroot`, as in Icecast.

A style sheet gets the XML of `/admin/stats` as Icecast 2.4.4 gives it to pages: without hidden mounts, with `?mount=`
only that mount. It is applied in a thread, by lxml, the distribution's extra `xsl`. A page is kept for up to a second,
however many ask for it, and one style sheet is applied at a time; one that takes longer than `PATIENCE_S` is given up,
and until it has ended the others are refused, so that style sheets never take more than one thread. What it reads and
what comes out is bounded; what it holds in between is not, as lxml has no such limit.

Style sheets can include others, and read documents, below `paths.webroot`. They reach no other file and no network, and
write nothing. The pages of the server, such as `/status.xsl`, are not made here: they need no lxml.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import gevent
from gevent.event import AsyncResult
from gevent.lock import Semaphore

from pycast.disk.beneath import FoundFile, open_beneath, read_beneath
from pycast.disk.calls import PATIENCE_S, begin_off_hub, off_hub
from pycast.errors import ExternalError, Refused
from pycast.http.response import Response
from pycast.patterns import pattern
from pycast.stats.icestats import visible_mounts
from pycast.stats.xml import stats_document
from pycast.web.files import check_login, is_hidden, unreadable
from pycast.web.route import Call
from pycast.web.shared_pages import SharedPage, packed

if TYPE_CHECKING:
    from lxml import etree

IS_XSL = pattern(r"\.xsl[^/.]*\Z", re.IGNORECASE)

# Of one style sheet or document, and how many one page may read.
MOST_BYTES, MOST_DOCUMENTS = 1 << 20, 32

# Of a page: one of a thousand mounts has a quarter of it. Up to 64 are kept.
MOST_OUTPUT = 4 << 20

_XSL = "http://www.w3.org/1999/XSL/Transform"
_SHEETS = (f"{{{_XSL}}}stylesheet", f"{{{_XSL}}}transform")
_TYPE_OF_METHOD = {"html": "text/html", "text": "text/plain"}
_UNSAFE_IN_TYPE = pattern(r"[^A-Za-z0-9/+.;= _-]")

# Held while a style sheet is applied, whether or not somebody still waits for it.
_turn = Semaphore(1)


class XslError(ExternalError):
    """A style sheet that cannot be applied. The text says why."""


class _Made(NamedTuple):
    """What came out: the page or, if there is none, why."""

    body: bytes = b""
    content_type: str = ""
    why: str = ""


def answer_xsl(call: Call) -> Response:
    """Answers with the page of a style sheet. Raises Refused, with 404 if there is none. May switch."""
    root, path = call.config.paths.webroot, call.request.path
    may_be_there = bool(root) and not is_hidden(path)
    if may_be_there:
        check_login(call)
    try:
        # Before anything is kept for it: a client cannot choose what is kept.
        is_there = may_be_there and off_hub(_is_file, root, path)
    except ExternalError as error:
        raise unreadable(error) from error
    if not is_there:
        raise Refused("Could not parse XSLT file", status=404, cause="no such style sheet")
    mount = call.request.query.text("mount") or None
    if mount is not None and not call.control.knows(mount):
        mount = ""
    key = f"xsl {call.scope} {path}"
    page, content_type = call.site.pages.get_made(key, mount, lambda: _page(call, root, path, mount))
    return page.answer(call.request, content_type)._replace(is_own=True)


def maybe_admin_page(call: Call, command: str, xml: bytes) -> Response | None:
    """Returns the page of a command whose answer is `xml`, made by the style sheet in `paths.adminroot` that has the
    command's name; None if there is none, or nothing to apply it with. Raises Refused. May switch.
    """
    root, path = call.config.paths.adminroot, f"/{command}.xsl"
    try:
        if not root or missing_lxml() or not off_hub(_is_file, root, path):
            return None
    except ExternalError as error:
        raise unreadable(error) from error
    made = _in_a_thread(root, path, xml)
    if made.why:
        raise Refused("Could not parse XSLT file", status=500, cause=made.why)
    return Response(200, made.body, made.content_type, is_own=True)


def missing_lxml() -> str:
    """Returns what to do to have style sheets applied, empty if they can be."""
    try:
        import lxml.etree  # noqa: F401  # for the first style sheet, which stops the loop once for some 30 ms
    except ImportError:
        return "style sheets need lxml: pip install lxml, in the environment that has pycast"
    return ""


def _page(call: Call, root: str, path: str, mount: str | None) -> tuple[SharedPage, str]:
    """Returns the page and its type. Raises Refused. May switch."""
    snapshot = call.control.snapshot()
    snapshot = replace(snapshot, mounts=visible_mounts(snapshot, mount))
    if why := missing_lxml():
        raise Refused(f"This page cannot be made: {why}", status=501, cause=why)
    made = _in_a_thread(root, path, stats_document(snapshot, mount))
    if made.why:
        raise Refused("Could not parse XSLT file", status=500, cause=made.why)
    return packed(made.body), made.content_type


def _in_a_thread(root: str, path: str, xml: bytes) -> _Made:
    deadline = time.monotonic() + PATIENCE_S
    if not _turn.acquire(timeout=PATIENCE_S):
        raise Refused("This page cannot be made at present", status=503, cause="another style sheet does not end")
    result: AsyncResult[_Made] = AsyncResult()

    def done(made: _Made) -> None:
        _turn.release()
        result.set(made)

    if not begin_off_hub(partial(_applied, root, path, xml), done):
        _turn.release()
        raise Refused("This page cannot be made at present", status=503, cause="all threads wait for disks")
    try:
        made = result.get(timeout=max(deadline - time.monotonic(), 0.1))
        assert made is not None
        return made
    except gevent.Timeout:
        cause = f"{path} takes longer than {PATIENCE_S:g} s"
        raise Refused("This page cannot be made at present", status=503, cause=cause) from None


# -- in a thread


def _is_file(root: str, path: str) -> bool:
    found = open_beneath(root, path)
    if not isinstance(found, FoundFile):
        return False
    found.file.close()
    return True


def _applied(root: str, path: str, xml: bytes) -> _Made:
    """Returns the page. Never raises: whatever is wrong with a style sheet, its text says it."""
    from lxml import etree

    try:
        return apply(root, path, xml)
    except (etree.LxmlError, ExternalError, ValueError) as error:
        return _Made(why=f"{path}: {error}")
    except RecursionError:
        return _Made(why=f"{path}: it is nested too deeply")


def apply(root: str, path: str, xml: bytes) -> _Made:
    """Returns what the style sheet at `path` below `root` makes of a document. Raises XslError and what lxml raises.
    Blocks.
    """
    from lxml import etree

    documents = _documents(etree, root)
    parser = etree.XMLParser(no_network=True, load_dtd=False, resolve_entities="internal", huge_tree=False)
    parser.resolvers.add(documents)
    sheet = etree.fromstring(documents.read(path), parser, base_url=path)
    access = etree.XSLTAccessControl(
        read_file=True, write_file=False, create_dir=False, read_network=False, write_network=False
    )
    transform = etree.XSLT(sheet, access_control=access)
    result = transform(etree.fromstring(xml, etree.XMLParser(no_network=True, resolve_entities=False)))
    documents.check()
    body = bytes(result)
    if len(body) > MOST_OUTPUT:
        raise XslError(f"what comes out is larger than {MOST_OUTPUT} bytes")
    return _Made(body, _content_type(list(documents.sheets(etree))))


def _content_type(sheets: "list[etree._Element]") -> str:
    """Returns the type by the style sheets' <xsl:output>, as Icecast does; the first one that says something holds."""
    said = dict(reversed([pair for sheet in sheets for pair in _output_of(sheet)]))
    method = said.get("method", "xml")
    kind = said.get("media-type") or _TYPE_OF_METHOD.get(method, "text/xml")
    return _UNSAFE_IN_TYPE.sub("", f"{kind}; charset={said.get('encoding', 'UTF-8')}")


def _output_of(sheet: "etree._Element") -> Iterator[tuple[str, str]]:
    for output in sheet.iterchildren(f"{{{_XSL}}}output"):
        for name, value in output.attrib.items():
            yield str(name), str(value)


def _documents(etree: Any, root: str) -> Any:
    """Returns what reads documents for style sheets: a resolver of lxml, whose class exists once it is imported."""

    class Documents(etree.Resolver):  # type: ignore[misc]
        def __init__(self) -> None:
            self._read: dict[str, bytes] = {}
            self._why = ""

        def resolve(self, url: str, public_id: str, context: object) -> object:
            # Whoever returns nothing here lets lxml open the file by itself.
            try:
                data = self.read(url)
            except XslError as error:
                self._why = self._why or str(error)
                raise
            return self.resolve_string(data, context, base_url=url)

        def read(self, url: str) -> bytes:
            if len(self._read) >= MOST_DOCUMENTS:
                raise XslError(f"it reads more than {MOST_DOCUMENTS} documents")
            data = read_beneath(root, url, MOST_BYTES) if url.startswith("/") else None
            if data is None:
                raise XslError(f"{url}: no such file of up to {MOST_BYTES} bytes in the folder of the station's files")
            self._read[url] = data
            return data

        def check(self) -> None:
            if self._why:
                raise XslError(self._why)

        def sheets(self, etree: Any) -> "Iterator[etree._Element]":
            for data in self._read.values():
                found = etree.fromstring(data, etree.XMLParser(no_network=True, resolve_entities=False, recover=True))
                if found is not None and found.tag in _SHEETS:
                    yield found

    return Documents()
