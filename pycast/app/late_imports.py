"""Loads, a moment after the start, what the start did without: what renders pages and metrics, and the formats.

Loaded on demand it would stop the loop for some 60 ms at the first page or scrape, and with it every listener. So it is
loaded in pieces as soon as the node has been up for `AFTER_S`, with turns of the loop between; the largest, jinja2,
takes 20 to 40 ms. By then the listeners that come back after a restart are served. A node that ends before has not
paid for it, which doubles what a node costs that lives for a second in a test. What is asked for before that is loaded
on demand.

It is not done in a thread: Python lets two threads that import one package at the same time see it half loaded.
"""

from importlib import import_module

import gevent

from pycast.patterns import compile_patterns

AFTER_S = 5.0
PAUSE_S = 0.05

# Before a package stands what it imports itself, so that each piece is small.
MODULES = (
    *(
        "pycast.stats.snapshot",
        "pycast.stats.merge",
        "pycast.formats.opaque",
        "pycast.formats.mpeg",
        "pycast.formats.adts",
        "pycast.formats.detect",
        "pycast.formats.ogg",
    ),
    *("pycast.formats.webm", "pycast.formats.flac", "pycast.formats.mp4", "pycast.formats.wav"),
    *("pycast.formats.file_webm", "pycast.formats.file_flac", "pycast.formats.file_mp4", "pycast.formats.file_wav"),
    *("pycast.formats.file_audio", "pycast.formats.silence", "pycast.disk.looped_file", "pycast.stream.file_player"),
    "pycast.stream.intro",
    *("pycast.http.shoutcast", "pycast.server.shoutcast_source"),
    *("email.utils", "email.parser", "ssl", "subprocess", "http.client", "mimetypes", "shutil"),
    *("http.server", "urllib.request"),
    *("wsgiref.simple_server", "prometheus_client.core", "prometheus_client.exposition"),
    *("random", "tempfile", "jinja2", "pycast.web.cover", "pycast.web.page_templates", "pycast.web.station_card"),
    *("pycast.web.pages", "pycast.web.nodes_page"),
    *("xml.etree.ElementTree", "pycast.web.admin_looks", "pycast.web.stats_stream", "pycast.web.event_feed"),
    "pycast.web.log_tail",
    *("pycast.stats.scraped_pages", "pycast.web.shoutcast_stats", "pycast.http.multipart_form"),
    *("pycast.web.files", "pycast.web.xsl"),
    *("hashlib", "hmac", "zlib"),
    *("pycast.auth.url_forms", "pycast.auth.signed_address", "pycast.auth.htpasswd", "pycast.server.guest_door"),
    *("decimal", "mutagen", "mutagen.flac", "unicodedata"),
)


def import_late() -> None:
    """Waits `AFTER_S`, then loads `MODULES` and compiles the pages. Switches."""
    gevent.sleep(AFTER_S)
    for name in MODULES:
        import_module(name)
        gevent.sleep(PAUSE_S)
    for _ in import_module("pycast.web.page_templates").compile_templates():
        gevent.sleep(PAUSE_S)
    for _ in compile_patterns():
        gevent.sleep(0)
