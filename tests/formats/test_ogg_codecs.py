"""Each codec is recognised by its first packet, and its parameters are read right."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.ogg_codecs import Role, identify, is_same_sound
from tests.formats import ogg_pages as pages


@pytest.mark.parametrize(
    ("packet", "name", "role", "header_packets", "bitrate", "stats"),
    [
        (
            pages.vorbis_id(48000, 1, 96000),
            "Vorbis",
            Role.AUDIO,
            3,
            96000,
            {
                "audio_samplerate": "48000",
                "audio_channels": "1",
                "audio_bitrate": "96000",
                "ice-bitrate": "96",
            },
        ),
        (
            pages.vorbis_id(nominal=-1),
            "Vorbis",
            Role.AUDIO,
            3,
            None,
            {"audio_samplerate": "44100", "audio_channels": "2"},
        ),
        (pages.opus_head(), "Opus", Role.AUDIO, 2, None, {"audio_samplerate": "48000", "audio_channels": "2"}),
        (
            pages.flac_id(96000, 6),
            "FLAC",
            Role.AUDIO,
            0,
            None,
            {"FLAC_version": "1.0", "audio_samplerate": "96000", "audio_channels": "6"},
        ),
        (
            pages.speex_head(32000, 2, 44000, extra=1),
            "Speex",
            Role.AUDIO,
            3,
            44000,
            {"audio_samplerate": "32000", "audio_channels": "2", "audio_bitrate": "44000"},
        ),
        (
            pages.theora_id((30000, 1001)),
            "Theora",
            Role.VIDEO,
            3,
            None,
            {
                "video_bitrate": "200000",
                "video_quality": "32",
                "frame_size": "640 x 480",
                "frame_rate": "29.97",
            },
        ),
        (b"\x80kate\0\0\0\0\0\x03\x09" + bytes(52), "Kate", Role.EXTRA, 9, None, {}),
        (b"OggMIDI\0" + bytes(10), "MIDI", Role.EXTRA, 1, None, {}),
        (pages.SKELETON_ID, "Skeleton", Role.EXTRA, 0, None, {}),
        (b"CELT    " + bytes(50), "", Role.EXTRA, 1, None, {}),
        (b"", "", Role.EXTRA, 1, None, {}),
    ],
)
def test_a_codec_is_read_from_its_first_packet(
    packet: bytes, name: str, role: Role, header_packets: int, bitrate: int | None, stats: dict[str, str]
) -> None:
    codec = identify(packet)
    assert (codec.name, codec.role, codec.header_packets, codec.bitrate) == (name, role, header_packets, bitrate)
    assert codec.stats == stats


@pytest.mark.parametrize(
    ("packet", "granule", "position_s"),
    [
        (pages.vorbis_id(44100), 44100, 1.0),
        (pages.opus_head(pre_skip=312), 48312, 1.0),
        (pages.flac_id(96000), 48000, 0.5),
        (pages.speex_head(16000), 8000, 0.5),
        (pages.theora_id((25, 1), shift=6), 50 << 6 | 25, 3.0),
    ],
)
def test_granules_become_times(packet: bytes, granule: int, position_s: float) -> None:
    assert identify(packet).position_s(granule) == pytest.approx(position_s)


@pytest.mark.parametrize(
    "packet",
    [
        pages.vorbis_id()[:15],
        pages.vorbis_id(rate=0),
        pages.opus_head()[:9],
        pages.flac_id()[:29],
        pages.flac_id(rate=0),
        pages.speex_head()[:40],
        pages.theora_id((25, 0)),
        pages.theora_id((0, 1)),
        pages.theora_id()[:30],
        b"\x80kate\0\0\0",
    ],
)
def test_a_broken_first_packet_of_a_known_codec_is_refused(packet: bytes) -> None:
    with pytest.raises(FormatError):
        identify(packet)


SIGNATURES = [b"\x01vorbis", b"\x80theora", b"OggMIDI\0", b"\x7fFLAC", b"Speex   ", b"\x80kate\0\0\0", b"OpusHead"]


@given(st.sampled_from([b"", *SIGNATURES]), st.binary(max_size=100))
@settings(deadline=None)
def test_any_packet_gives_a_codec_or_is_refused(signature: bytes, rest: bytes) -> None:
    try:
        codec = identify(signature + rest)
    except FormatError:
        return
    assert codec.rate >= 0.0
    if codec.rate:
        assert isinstance(codec.position_s(2**62), float)


@pytest.mark.parametrize(
    ("first", "audio", "header"),
    [
        (pages.vorbis_id(), pages.VORBIS_AUDIO, pages.VORBIS_SETUP),
        (pages.opus_head(), b"\xfc" + bytes(20), pages.opus_tags()),
        (pages.flac_id(), pages.FLAC_AUDIO, pages.flac_comment()),
        (pages.theora_id(), pages.INTER_FRAME, pages.THEORA_HEADERS[0]),
    ],
)
def test_audio_and_headers_are_distinguished(first: bytes, audio: bytes, header: bytes) -> None:
    codec = identify(first)
    assert codec.is_data(audio)
    assert not codec.is_data(header)


@pytest.mark.parametrize(
    ("first", "packet"),
    [
        (pages.vorbis_id(), pages.vorbis_comment("TITLE=x")[:-1]),
        (pages.opus_head(), pages.opus_tags("TITLE=x")),
        (pages.flac_id(), pages.flac_comment("TITLE=x")),
        (pages.speex_head(), pages.comments("TITLE=x")),
        (pages.theora_id(), b"\x81theora" + pages.comments("TITLE=x")),
    ],
)
def test_comments_are_found_in_every_codec_that_has_them(first: bytes, packet: bytes) -> None:
    at = identify(first).comments_at(packet, 2)
    assert at is not None
    assert packet[at:] == pages.comments("TITLE=x")


def test_other_packets_have_no_comments() -> None:
    assert identify(pages.vorbis_id()).comments_at(pages.VORBIS_SETUP, 3) is None
    assert identify(pages.flac_id()).comments_at(b"\x06" + bytes(30), 3) is None
    assert identify(pages.speex_head()).comments_at(b"extra", 3) is None
    assert identify(pages.SKELETON_ID).comments_at(pages.FISBONE, 2) is None


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("Vorbis", "Vorbis", True),
        ("Vorbis", "Opus", False),
        ("Vorbis", "", True),
        ("Skeleton/Theora/Vorbis", "Vorbis/Theora", True),
        ("Theora/Vorbis", "Vorbis", False),
    ],
)
def test_a_player_goes_on_with_the_same_codecs_only(one: str, other: str, is_same: bool) -> None:
    assert is_same_sound(one, other) is is_same_sound(other, one) is is_same
