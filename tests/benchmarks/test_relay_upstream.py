"""The relays' generator: what a listener has got is counted right, however it was cut."""

from benchmarks.relay_upstream import FRAME_BYTES, Heard, RelayUpstream, frame


def test_frames_are_counted_in_any_pieces_from_the_first_whole_one() -> None:
    data = b"".join(frame(3, seq, 10**9) for seq in range(20))[100:]
    for size in (1, 50, 1000):
        heard = Heard(3)
        for start in range(0, len(data), size):
            heard.feed(data[start : start + size], 2 * 10**9)
        assert (heard.frames, heard.errors, heard.next_seq, heard.worst_latency_s) == (19, 0, 20, 1.0)


def test_missing_and_foreign_frames_are_errors() -> None:
    heard = Heard(3)
    heard.feed(frame(3, 0, 1) + frame(3, 2, 1) + frame(4, 3, 1) + frame(3, 4, 1), 2)
    assert (heard.frames, heard.errors) == (4, 2)
    assert len(frame(3, 2**31, 2**62)) == FRAME_BYTES


def test_upstream_gives_its_list_and_its_streams() -> None:
    upstream = RelayUpstream(2)
    try:
        upstream.hear(upstream.port)  # its listeners may be its own
        upstream.run(0.3)
        assert upstream.connected == 2 and upstream.broken == 0
        assert all(heard.frames > 250 and not heard.errors for heard in upstream.listeners)
    finally:
        upstream.close()
