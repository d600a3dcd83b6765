"""Which listeners may stay when the next source sends another content type."""

import pytest

from pycast.stream.fanout import Reason
from tests.stream.test_mount import description, listen, new_mount


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        ("audio/mpeg", "audio/mpeg", True),
        ("audio/mpeg", "Audio/MP3; charset=x", True),
        ("audio/mpeg", "audio/aac", False),
        ("audio/aacp", "audio/aac", True),
        ("audio/mpeg", "audio/flac", False),
        ("audio/ogg", "application/ogg", True),
        ("audio/ogg", "audio/webm", False),
        ("audio/webm", "audio/mpeg", False),
    ],
)
def test_listeners_stay_only_for_the_format_that_they_were_promised(before: str, after: str, stays: bool) -> None:
    mount, gone = new_mount()
    mount.start(description(before))
    listen(mount)
    mount.end()
    mount.start(description(after))
    assert gone == ([] if stays else [Reason.OTHER_FORMAT])
