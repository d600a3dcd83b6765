"""What the benchmark of fallbacks calls out of step is out of step, and nothing else is."""

from collections.abc import Iterator
from itertools import islice

import pytest

from benchmarks.fallback_crowd import Ear
from benchmarks.paced_source import mp3_units, opus_units
from pycast.formats.file_audio import with_serial
from pycast.http.icy import title_block

HEAD = b"HTTP/1.0 200 OK\r\nicy-metaint:1000\r\n\r\n"


@pytest.fixture
def ear() -> Iterator[Ear]:
    made = Ear("/x.mp3", is_icy=True)
    yield made
    made.sock.close()


def test_title_blocks_in_their_places_are_counted_and_others_are_an_error(ear: Ear) -> None:
    stream = HEAD + (bytes(1000) + title_block("a title") + bytes(1000) + b"\0") * 5
    for at in range(0, len(stream), 1600):
        ear.take(stream[at : at + 1600], 7 + at / 16_000)
    assert (ear.blocks, ear.error) == (10, "")
    assert ear.dry_s == pytest.approx(0, abs=0.001) and ear.gap_s == pytest.approx(0.1)
    ear.take(b"x" * 5000, 99.0)
    assert ear.error == "no title where icy-metaint says" and ear.dry_s > 80


def test_an_answer_that_is_not_200_is_an_error(ear: Ear) -> None:
    ear.take(b"HTTP/1.0 404 File Not Found\r\n\r\n", 1.0)
    assert ear.error.startswith("HTTP/1.0 404")


def test_an_ogg_listener_needs_the_headers_of_each_page() -> None:
    ear = Ear("/x.ogg", is_icy=False)
    ear.sock.close()
    pages = [data for _, data in islice(opus_units(), 5)]
    ear.take(b"HTTP/1.0 200 OK\r\n\r\n" + b"".join(pages), 1.0)
    assert ear.error == ""
    ear.take(with_serial(pages[-1], 9), 2.0)
    assert ear.error != ""


def test_units_are_due_one_after_the_other() -> None:
    for units in (mp3_units(), opus_units()):
        times = [due_s for due_s, _ in islice(units, 50)]
        assert times == sorted(times) and times[-1] > 1
