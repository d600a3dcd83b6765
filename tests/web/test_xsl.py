"""Tests of pycast.web.xsl: the station's style sheets, which reach nothing but the statistics and their own folder."""

import gzip
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pycast.disk import calls
from pycast.errors import Refused
from pycast.web import xsl
from pycast.web.site import Site
from tests.stats.snapshots import mount, node
from tests.web.sites import ADMIN, PASSWORDS, FakeControl, ask, make_site, refusal, text_of

HEAD = '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
SHEET = HEAD + '{output}<xsl:template match="/icestats">{body}</xsl:template></xsl:stylesheet>'
COPY = '<xsl:copy-of select="."/>'
LIVE = node(mount(title="Ä & <b>"), mount(name="/other.ogg"), mount(name="/secret", hidden=True))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    root = tmp_path / "web"
    root.mkdir()
    (tmp_path / "secret.xml").write_text("<secret>geheim</secret>")
    return make_site(FakeControl(LIVE), toml=f'{PASSWORDS}[paths]\nwebroot = "{root}"\n')


Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, body: str = COPY, output: str = "", text: str = "") -> None:
        (tmp_path / "web" / name).write_text(text or SHEET.format(output=output, body=body))

    return write


def test_it_gets_icecasts_statistics_without_hidden_mounts(site: Site, write: Write) -> None:
    write("all.xsl")
    page = text_of(ask(site, "/all.xsl"))
    assert page.startswith('<?xml version="1.0"?>\n<icestats><admin>icemaster@localhost</admin>')
    assert '<source mount="/live.mp3"><genre>various</genre>' in page and "/other.ogg" in page
    assert "/secret" not in page and "source_ip" in page


def test_it_can_be_about_one_mount(site: Site, write: Write) -> None:
    write("one.xsl", '<xsl:for-each select="source">[<xsl:value-of select="@mount"/>]</xsl:for-each>')
    assert "[/other.ogg]" in text_of(ask(site, "/one.xsl?mount=/other.ogg"))
    assert "[/live.mp3]" not in text_of(ask(site, "/one.xsl?mount=/other.ogg"))
    for name in ("/secret", "/nothing"):
        assert "[" not in text_of(ask(site, f"/one.xsl?mount={name}"))


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("", "text/xml; charset=UTF-8"),
        ('<xsl:output method="html"/>', "text/html; charset=UTF-8"),
        ('<xsl:output method="text" encoding="ISO-8859-1"/>', "text/plain; charset=ISO-8859-1"),
        ('<xsl:output media-type="application/json" method="text"/>', "application/json; charset=UTF-8"),
    ],
)
def test_its_output_says_what_the_page_is(site: Site, write: Write, output: str, kind: str) -> None:
    write("page.xsl", output=output)
    response = ask(site, "/page.xsl")
    assert response.content_type == kind and response.is_own


def test_a_style_sheet_may_be_called_a_transform(site: Site, write: Write) -> None:
    text = SHEET.format(output='<xsl:output method="html"/>', body=COPY).replace("xsl:stylesheet", "xsl:transform")
    write("page.xsl", text=text)
    assert ask(site, "/page.xsl").content_type == "text/html; charset=UTF-8"


def test_text_is_in_its_encoding(site: Site, write: Write) -> None:
    write("t.xsl", '<xsl:value-of select="source/title"/>', '<xsl:output method="text" encoding="ISO-8859-1"/>')
    assert ask(site, "/t.xsl").body == "Ä & <b>".encode("latin-1")


def test_icecasts_own_pages_come_out(tmp_path: Path, site: Site) -> None:
    own = Path("/usr/share/icecast2/web")
    assert own.exists(), "icecast2 is not installed: apt-get install icecast2"
    for name in ("server_version.xsl", "status-json.xsl", "xml2json.xslt", "auth.xsl"):
        (tmp_path / "web" / name.replace("status-json", "own-json")).write_bytes((own / name).read_bytes())
    assert ask(site, "/own-json.xsl").content_type == "application/json; charset=UTF-8"
    body = ask(site, "/own-json.xsl").body
    assert isinstance(body, bytes) and body.startswith(b'{"icestats":{"admin":') and b'"title":"\xc3\x84 & <b>"' in body
    assert "Icecast" in text_of(ask(site, "/auth.xsl"))


def test_entities_of_its_own_are_read(site: Site, write: Write) -> None:
    write("e.xsl", text='<!DOCTYPE x [<!ENTITY nbsp "&#160;">]>' + SHEET.format(output="", body="<p>a&nbsp;b</p>"))
    assert "a\xa0b" in text_of(ask(site, "/e.xsl"))


OUT = (
    "../secret.xml",
    "file://{0}/secret.xml",
    "{0}/secret.xml",
    "http://127.0.0.1:9/x",
    "ftp://127.0.0.1/x",
    "link.xml",
)


@pytest.mark.parametrize("where", OUT)
@pytest.mark.parametrize("way", ["document", "include", "import", "entity", "dtd"])
def test_it_reads_no_other_file_and_no_network(
    site: Site, write: Write, tmp_path: Path, where: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    where = where.format(tmp_path)
    (tmp_path / "web" / "link.xml").symlink_to("../secret.xml")
    copy = f"<xsl:copy-of select=\"document('{where}')\"/>"
    texts = {
        "document": SHEET.format(output="", body=copy),
        "include": SHEET.format(output=f'<xsl:include href="{where}"/>', body="x"),
        "import": SHEET.format(output=f'<xsl:import href="{where}"/>', body="x"),
        "entity": f'<!DOCTYPE x [<!ENTITY s SYSTEM "{where}">]>' + SHEET.format(output="", body="<p>&s;</p>"),
        "dtd": f'<!DOCTYPE x SYSTEM "{where}">' + SHEET.format(output="", body="<p/>"),
    }
    write("out.xsl", text=texts[way])
    try:
        page = text_of(ask(site, "/out.xsl"))
    except Refused as error:
        page = str(error)
    assert "geheim" not in page and "geheim" not in caplog.text


@pytest.mark.parametrize("element", ["exsl:document", "xsl:document", "saxon:output"])
def test_it_writes_nothing(site: Site, write: Write, tmp_path: Path, element: str) -> None:
    spaces = 'xmlns:exsl="http://exslt.org/common" xmlns:saxon="http://icl.com/saxon"'
    attribute = f'href="{tmp_path}/web/written" file="{tmp_path}/web/written"'
    text = SHEET.format(output="", body=f"<{element} {attribute}>x</{element}>")
    text = text.replace("<xsl:stylesheet", f'<xsl:stylesheet {spaces} extension-element-prefixes="exsl saxon"')
    write("w.xsl", text=text)
    try:
        ask(site, "/w.xsl")
    except Refused as error:
        assert error.public == "Could not parse XSLT file"
    assert not (tmp_path / "web" / "written").exists()


def test_files_of_the_folder_can_be_read(site: Site, write: Write, tmp_path: Path) -> None:
    (tmp_path / "web" / "own.xml").write_text("<own>here</own>")
    write("inner.xsl", "<xsl:value-of select=\"document('own.xml')/own\"/>")
    write("outer.xsl", text=HEAD + '<xsl:include href="inner.xsl"/></xsl:stylesheet>')
    assert "here" in text_of(ask(site, "/outer.xsl"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no XML", "Start tag expected"),
        (HEAD, "Premature end"),
        (SHEET.format(output="", body='<xsl:call-template name="x"/>'), "x"),
        (SHEET.format(output="", body='<xsl:apply-templates select="."/>'), "e.xsl"),
    ],
)
def test_a_style_sheet_with_an_error_is_told_with_the_reason(site: Site, write: Write, text: str, why: str) -> None:
    write("e.xsl", text=text)
    with pytest.raises(Refused, match=why) as error:
        ask(site, "/e.xsl")
    assert (error.value.status, error.value.public) == (500, "Could not parse XSLT file")


ENDLESS = (
    '<xsl:template name="more"><xsl:param name="left"/><xsl:if test="$left &gt; 0">{line}'
    '<xsl:call-template name="more"><xsl:with-param name="left" select="$left - 1"/></xsl:call-template></xsl:if>'
    "</xsl:template>"
)


def test_more_output_than_a_page_may_have_is_no_page(site: Site, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xsl, "MOST_OUTPUT", 100_000)
    body = '<xsl:call-template name="more"><xsl:with-param name="left" select="{}"/></xsl:call-template>'
    line = f"<p>{'x' * 93}</p>"
    for name, lines in (("fits.xsl", 900), ("large.xsl", 1100)):
        write(name, text=SHEET.format(output=ENDLESS.format(line=line), body=body.format(lines)))
    assert text_of(ask(site, "/fits.xsl")).count(line) == 900
    with pytest.raises(Refused, match="larger than 100000 bytes") as error:
        ask(site, "/large.xsl")
    assert (error.value.status, error.value.public) == (500, "Could not parse XSLT file")


def test_a_style_sheet_that_is_too_large_is_not_read(site: Site, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xsl, "MOST_BYTES", 1000)
    write("large.xsl", "<!-- " + "x" * 1000 + " -->")
    with pytest.raises(Refused, match="no such file of up to 1000 bytes") as error:
        ask(site, "/large.xsl")
    assert error.value.status == 500


@pytest.mark.parametrize("path", ["/none.xsl", "/.hidden.xsl", "/a.xslx", "/folder.xsl"])
def test_one_that_is_not_there_is_not_found(site: Site, tmp_path: Path, path: str) -> None:
    (tmp_path / "web" / ".hidden.xsl").write_text(SHEET)
    (tmp_path / "web" / "folder.xsl").mkdir()
    assert refusal(site, path) == (404, "Could not parse XSLT file")
    assert refusal(make_site(), path) == (404, "Could not parse XSLT file")


def test_nothing_is_kept_for_what_is_not_there(site: Site) -> None:
    for number in range(10):
        refusal(site, f"/no{number}.xsl")
    assert not site.pages._whole and not site.pages._of_mounts


def test_a_page_is_made_once_for_all(site: Site, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    applied = []

    def count(root: str, path: str, xml: bytes) -> xsl._Made:
        applied.append(path)
        time.sleep(0.02)
        return xsl._Made(b"<p>" + b"x" * 2000, "text/html")

    monkeypatch.setattr(xsl, "_applied", count)
    write("p.xsl")
    bodies = [ask(site, "/p.xsl", more="Accept-Encoding: gzip\r\n").body for _ in range(5)]
    assert applied == ["/p.xsl"] and all(one is bodies[0] for one in bodies)
    assert isinstance(bodies[0], bytes) and gzip.decompress(bodies[0]).endswith(b"xx")


def test_the_page_of_this_node_alone_is_another_one_than_that_of_the_cluster(tmp_path: Path, write: Write) -> None:
    (tmp_path / "web").mkdir()
    toml = f'{PASSWORDS}[paths]\nwebroot = "{tmp_path}/web"\n'
    site = make_site(FakeControl(node(mount(name="/here"))), FakeControl(node(mount(name="/there"))), toml=toml)
    write("all.xsl")
    assert "/there" in text_of(ask(site, "/all.xsl"))
    assert "/here" in text_of(ask(site, "/all.xsl?scope=node"))


def test_without_lxml_it_says_what_to_install(site: Site, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lxml", None)
    monkeypatch.setitem(sys.modules, "lxml.etree", None)
    write("p.xsl")
    status, text = refusal(site, "/p.xsl")
    assert status == 501 and "pip install lxml" in text


def test_one_that_does_not_end_holds_up_no_more_than_one_thread(
    site: Site, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_free = False

    def hang(root: str, path: str, xml: bytes) -> xsl._Made:
        while not is_free:
            time.sleep(0.005)
        return xsl._Made(b"late", "text/html")

    monkeypatch.setattr(xsl, "_applied", hang)
    monkeypatch.setattr(xsl, "PATIENCE_S", 0.05)
    for name in ("a.xsl", "b.xsl", "c.xsl"):
        write(name)
        assert refusal(site, f"/{name}") == (503, "This page cannot be made at present")
    assert calls._threads.unanswered == 1
    is_free = True
    monkeypatch.setattr(xsl, "PATIENCE_S", 5.0)
    assert text_of(ask(site, "/a.xsl")) == "late"


def test_pages_of_commands_are_made_by_style_sheets_of_the_admin(tmp_path: Path) -> None:
    admin = tmp_path / "admin"
    admin.mkdir()
    output = '<xsl:output method="html"/>'
    body = '<p><xsl:value-of select="source[@mount=\'/live.mp3\']/title"/></p><xsl:value-of select="count(source)"/>'
    (admin / "stats.xsl").write_text(SHEET.format(output=output, body=body))
    (admin / "listmounts.xsl").write_text("no XML")
    made = make_site(FakeControl(LIVE), toml=f'{PASSWORDS}[paths]\nadminroot = "{admin}"\n')
    page = ask(made, "/admin/stats.xsl", authorization=ADMIN)
    assert page.content_type == "text/html; charset=UTF-8"
    assert "<p>Ä &amp; &lt;b&gt;</p>3" in text_of(page), "hidden mounts, too"
    assert "<p>" in text_of(ask(made, "/admin/", authorization=ADMIN))
    one = ask(made, "/admin/stats.xsl?mount=/live.mp3", authorization=ADMIN)
    assert text_of(one).strip().endswith("</p>1")
    assert refusal(made, "/admin/stats.xsl")[0] == 401
    assert refusal(made, "/admin/listmounts.xsl", authorization=ADMIN) == (500, "Could not parse XSLT file")
    own = ask(made, "/admin/showlog.xsl", authorization=ADMIN)
    assert own.content_type.startswith("text/html") and "<p>Ä" not in text_of(own)
