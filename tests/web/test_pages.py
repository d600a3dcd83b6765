"""The public page: what it shows, that no outside text becomes markup, and that it loads nothing."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.stats.snapshot import MountSnapshot
from pycast.web import pages
from pycast.web.page_templates import page_policy
from tests.stats import snapshots

VOID = {"meta", "link", "br", "hr", "img", "input", "source", "wbr"}
SELF_CLOSED = {"path", "rect", "circle", "use"}
BASE = "http://radio.example:8000"
NOW = 1_700_000_000.0

MOUNT = replace(
    snapshots.MP3,
    listeners=42,
    listener_peak=96,
    title="Nils Frahm - Says",
    server_name="Harbour Radio",
    server_description="Slow music",
    server_url="https://harbour.example/",
    genre="Ambient",
    bitrate="128",
    stats={"audio_samplerate": "44100", "audio_channels": "2"},
    stream_start=NOW - 11_520,
)

NODE = replace(
    snapshots.NODE,
    admin="admin@radio.example",
    host="radio.example",
    location="Antwerp",
    server_id="pycast 1.2.3",
    listen_url=BASE,
    server_start=NOW - 90_000,
    taken=NOW,
)


class Page(HTMLParser):
    """A parsed page: every tag must be closed in order, ids must be unique."""

    def __init__(self, html: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(html.decode("utf-8"))
        self.close()
        assert self.open == []
        ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        assert len(ids) == len(set(ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in <{tag}>"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SELF_CLOSED
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def stations(self) -> list[dict[str, str]]:
        return self.all("article")


def render(*mounts: MountSnapshot, base_url: str = BASE) -> bytes:
    return pages.render_status(replace(NODE, mounts=mounts)).for_visitor(base_url)


def status(*mounts: MountSnapshot, base_url: str = BASE) -> Page:
    return Page(render(*mounts, base_url=base_url))


def many(count: int) -> list[MountSnapshot]:
    return [replace(MOUNT, name=f"/mount{number:03}") for number in range(count)]


@pytest.mark.parametrize(("count", "shape"), [(0, "empty"), (1, "solo"), (2, "many"), (12, "many"), (200, "many")])
def test_page_is_well_formed_for_any_number_of_mounts(count: int, shape: str) -> None:
    page = status(*many(count))
    assert page.all("main") == [{"id": "stations", "class": shape}]
    assert [station["data-mount"] for station in page.stations()] == [mount.name for mount in many(count)]


def test_mount_shows_its_facts() -> None:
    text = status(MOUNT).text
    for fact in ("Harbour Radio", "Says", "Nils Frahm", "Slow music", "MP3", "128 kbit/s", "44.1 kHz", "Stereo"):
        assert fact in text
    for fact in ("Ambient", "42", "96", "3 h 12 min", f"{BASE}/live.mp3", "On air", "Antwerp", "pycast 1.2.3"):
        assert fact in text


def test_mount_has_player_and_playlists_that_work_without_script() -> None:
    page = status(MOUNT)
    (audio,) = page.all("audio")
    assert audio["src"] == "./live.mp3"
    assert audio["preload"] == "none"
    assert "controls" in audio
    links = {link["href"] for link in page.all("a")}
    assert {"./live.mp3", "./live.mp3.m3u", "./live.mp3.pls", "./live.mp3.xspf", "./status-json.xsl"} <= links


def test_addresses_that_the_operator_has_given_are_marked_for_the_script() -> None:
    mounts = (MOUNT, replace(MOUNT, name="/own.mp3", listen_url="https://cdn.example/own.mp3"))
    for has_public_url, expected in ((False, [False, True]), (True, [True, True])):
        page = pages.render_status(replace(NODE, mounts=mounts), has_public_url=has_public_url).for_visitor(BASE)
        assert ["data-given" in station for station in Page(page).stations()] == expected


def test_who_speaks_to_the_page_can_say_what_a_button_shows() -> None:
    buttons = re.findall(r'<button[^>]* aria-label="([^"]*)"[^>]*>(.*?)</button>', render(MOUNT).decode(), re.DOTALL)
    shown = [(name, re.sub(r"<[^>]*>", "", content).strip()) for name, content in buttons]
    assert ("Listen live to Harbour Radio", "Listen live") in shown
    assert all(text in name for name, text in shown)


def test_a_card_can_go_from_one_page_to_the_next() -> None:
    """The script keeps it, whatever cards come before it."""
    first, other = (status(*mounts).stations()[-1] for mounts in ([MOUNT], [*many(1), MOUNT]))
    assert first == other
    assert first["aria-label"] == "Harbour Radio"


def test_hidden_mounts_are_left_out_altogether() -> None:
    html = render(MOUNT, replace(MOUNT, name="/secret", hidden=True))
    assert b"secret" not in html
    assert [station["data-mount"] for station in Page(html).stations()] == ["/live.mp3"]


def test_waiting_mount_is_marked() -> None:
    page = status(replace(MOUNT, is_live=False))
    assert page.stations()[0]["class"] == "station waiting"
    assert "Waiting for source" in page.text


def test_a_mount_that_is_fetched_on_demand_waits_for_nobody_else() -> None:
    page = status(replace(MOUNT, is_live=False, on_demand=True))
    assert "Plays on demand" in page.text and "Waiting for source" not in page.text
    assert "Plays on demand" not in status(replace(MOUNT, on_demand=True)).text


def test_empty_page_says_how_to_start_and_shows_no_password() -> None:
    page = status()
    assert "icecast://source:PASSWORD@radio.example:8000/live.mp3" in page.text
    assert "-tls 1" not in page.text
    secure = status(base_url="https://radio.example")
    assert "-tls 1 -f mp3 icecast://source:PASSWORD@radio.example/live.mp3" in secure.text
    assert "443" in secure.text


@pytest.mark.parametrize(
    ("base_url", "address", "port"),
    [
        ("http://radio.example:8000/", "radio.example", "8000"),
        ("http://[::1]:8000", "::1", "8000"),
        ("https://radio.example", "radio.example", "443"),
        ("http://", "", "80"),
    ],
)
def test_empty_page_names_address_and_port(base_url: str, address: str, port: str) -> None:
    howto = pages._howto(base_url.rstrip("/"), "source")
    assert (howto["address"], howto["port"]) == (address, port)
    assert len(status(base_url=base_url).all("main")) == 1


@given(host=st.text(max_size=30))
@settings(deadline=None, max_examples=60)
def test_any_host_gives_a_well_formed_page(host: str) -> None:
    assert len(status(base_url=f"http://{host}").all("main")) == 1


def test_command_is_safe_to_paste_whatever_host_the_visitor_named() -> None:
    page = status(base_url="http://radio.example;rm -rf $HOME")
    assert "'icecast://source:PASSWORD@radio.example;rm -rf $HOME/live.mp3'" in page.text


HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "<!-- ",
    "]]></style>",
    "\u202egnp.exe",
    "\x00\x1b[31m\r\n",
    "\ud800",
    "🎷👩‍👩‍👧‍👦",
    "W" * 5000,
)
TEXT_FIELDS = (
    "name",
    "title",
    "artist",
    "server_name",
    "server_description",
    "server_url",
    "genre",
    "bitrate",
    "subtype",
)


def hostile(text: str) -> MountSnapshot:
    mount = replace(MOUNT, **dict.fromkeys(TEXT_FIELDS, text))  # type: ignore[arg-type]
    mount = replace(mount, name=f"/{text}", content_type=f"audio/{text}")
    return replace(mount, stats={"audio_samplerate": text, "audio_channels": text})


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_markup(text: str) -> None:
    page = status(hostile(text), replace(hostile(text), name=f"/2{text}"))
    plain = status(hostile("x"), replace(hostile("x"), name="/2x"))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in page.tags] == [sorted(attributes) for _, attributes in plain.tags]
    assert page.scripts == plain.scripts


@given(text=st.text(st.characters(), max_size=60))
@settings(deadline=None, max_examples=60)
def test_any_text_gives_a_well_formed_page(text: str) -> None:
    page = status(hostile(text))
    assert len(page.stations()) == 1
    assert len(page.scripts) == 1


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "http:", " \tjavascript:x"]
)
def test_only_web_addresses_become_links(url: str) -> None:
    page = status(replace(MOUNT, server_url=url))
    assert all(link["href"].startswith(("./", "#")) for link in page.all("a"))


def test_long_texts_are_cut() -> None:
    html = render(replace(hostile("W" * 4000), name="/w"))
    assert b"W" * 500 in html
    assert b"W" * 501 not in html.replace("…".encode(), b"").replace(b"audio/WW", b"")


def test_mount_names_are_encoded_in_links() -> None:
    page = status(replace(MOUNT, name="/a b?c#d%/é.ogg"))
    assert page.all("audio")[0]["src"] == "./a%20b%3Fc%23d%25/%C3%A9.ogg"
    assert page.stations()[0]["data-mount"] == "/a b?c#d%/é.ogg"


@pytest.mark.parametrize("mounts", [(), (MOUNT,), tuple(many(3))])
def test_page_loads_nothing_from_anywhere(mounts: tuple[MountSnapshot, ...]) -> None:
    html = render(*mounts)
    page = Page(html)
    loaded = [attributes.get("src", "") for _, attributes in page.tags if "src" in attributes]
    loaded += [attributes["href"] for tag, attributes in page.tags if tag in ("link", "use")]
    assert all(address.startswith(("./", "#", "data:")) for address in loaded)
    assert all("src" not in script for script in page.all("script"))
    assert not re.search(rb"@import|url\(", html)


def test_policy_allows_the_script_of_the_page_and_no_other() -> None:
    page = status(MOUNT)
    policy = next(tag["content"] for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy")
    assert page_policy(page.scripts) == policy
    assert "script-src 'sha256-" in policy
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_revision_ignores_what_the_script_updates_itself() -> None:
    def revision(mount: MountSnapshot) -> str:
        return status(mount).stations()[0]["data-revision"]

    assert revision(MOUNT) == revision(replace(MOUNT, title="Another", listeners=1, listener_peak=2))
    changes = (replace(MOUNT, is_live=False), replace(MOUNT, server_name="New"), replace(MOUNT, stream_start=NOW))
    assert len({revision(mount) for mount in (MOUNT, *changes)}) == 4


def test_server_page_shows_who_runs_it() -> None:
    page = Page(pages.render_server_info(replace(NODE, location="<Antwerp>")))
    for fact in ("pycast 1.2.3", "radio.example", "<Antwerp>", "admin@radio.example", "1 d 1 h"):
        assert fact in page.text
    assert page.scripts == []
