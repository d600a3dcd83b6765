"""Snapshots for the tests of this folder: the node of the golden samples, and any node that hypothesis generates."""

from dataclasses import fields, replace
from typing import Any

from hypothesis import strategies as st

from pycast.stats.counters import Counters
from pycast.stats.snapshot import ClusterSnapshot, ListenerSnapshot, MountSnapshot, NodeSnapshot

START = 1763794760.9  # 2025-11-22 06:59:20 UTC

MP3 = MountSnapshot(
    name="/live.mp3",
    is_live=True,
    hidden=False,
    public=True,
    content_type="audio/mpeg",
    subtype="",
    listeners=2,
    listener_peak=4,
    listener_connections=9,
    slow_listeners=0,
    max_listeners=-1,
    artist="",
    title="1979",
    server_name='My "Stream" \\ x',
    server_description="Unspecified description",
    server_url="",
    genre="various",
    bitrate="",
    audio_info="",
    stream_start=START + 40,
    source_ip="127.0.0.1",
    user_agent="Lavf/60",
    connected_s=12,
    total_bytes_read=123,
    total_bytes_sent=456,
)
VORBIS = replace(
    MP3,
    name="/fb.ogg",
    content_type="application/ogg",
    subtype="Vorbis",
    artist="É",
    server_name="Unspecified name",
    stats={"audio_bitrate": "80000", "audio_channels": "1", "audio_samplerate": "44100", "ice-bitrate": "80"},
)
NODE = NodeSnapshot(
    admin="icemaster@localhost",
    host="localhost",
    location="Earth",
    server_id="Icecast 2.4.4",
    listen_url="http://localhost:8000",
    server_start=START,
    taken=START + 60,
    clients=3,
    listeners=2,
    sources=1,
    fanout_lag_s=0.25,
    counters=Counters(
        connections=57,
        client_connections=42,
        listener_connections=9,
        file_connections=1,
        source_client_connections=1,
        slow_listeners=0,
        refused_connections=0,
        bytes_read=1000,
        bytes_sent=2000,
    ),
)

CLUSTER = ClusterSnapshot(
    name="radio",
    node="a",
    registry="mesh",
    is_registry_up=True,
    members=(),
    origins=0,
    waiting=0,
    mirrors=0,
    standbys=0,
)


def mount(**changes: Any) -> MountSnapshot:
    """Returns the MP3 mount of the golden samples, with changes."""
    return replace(MP3, **changes)


def node(*mounts: MountSnapshot, **changes: Any) -> NodeSnapshot:
    """Returns the node of the golden samples with these mounts; counters by their own names."""
    counters = {one.name: changes.pop(one.name) for one in fields(Counters) if one.name in changes}
    return replace(
        NODE,
        mounts=tuple(sorted(mounts, key=lambda one: one.name)),
        counters=replace(NODE.counters, **counters),
        **changes,
    )


# Every code point, lone surrogates too: whatever a peer sends must render.
any_text = st.text(st.characters(exclude_categories=()), max_size=40)
nasty_text = any_text | st.sampled_from(
    [
        "-",
        ".5",
        "1.",
        "007",
        "1e999",
        " 5 ",
        "TRUE",
        "null",
        "]]>",
        "&#0;",
        '"',
        "\\",
        "\x00\x1f",
        "\u2028",
        "9" * 5000,
        "a - b",
    ]
)
mounts = st.builds(
    MountSnapshot,
    name=nasty_text.map(lambda text: "/" + text),
    is_live=st.booleans(),
    hidden=st.booleans(),
    public=st.booleans(),
    content_type=nasty_text,
    subtype=nasty_text,
    listeners=st.integers(0, 10**6),
    listener_peak=st.integers(0, 10**6),
    listener_connections=st.integers(0, 10**6),
    slow_listeners=st.integers(0, 10**6),
    max_listeners=st.integers(-1, 10**6),
    artist=nasty_text,
    title=nasty_text,
    server_name=nasty_text,
    server_description=nasty_text,
    server_url=nasty_text,
    genre=nasty_text,
    bitrate=nasty_text,
    audio_info=nasty_text,
    stats=st.dictionaries(
        nasty_text | st.sampled_from(["dummy", "listeners", "title", "vbr", "x connections"]), nasty_text, max_size=4
    ),
    stream_start=st.floats(0, 4e9),
    source_ip=nasty_text,
    user_agent=nasty_text,
)
nodes = st.builds(
    lambda some, text: node(*some, admin=text, host=text, location=text, server_id=text),
    st.lists(mounts, max_size=3, unique_by=lambda one: one.name),
    nasty_text,
)
listeners = st.builds(
    ListenerSnapshot,
    id=st.integers(0),
    ip=nasty_text,
    user_agent=nasty_text,
    connected_s=st.integers(0),
    bytes_sent=st.integers(0),
    lag=st.integers(0),
)
