"""What nodes say to each other, as `ss` has counted it: sums of what was sent between two readings, by both ends."""

import socket

from benchmarks import traffic
from benchmarks.traffic import HEADER_BYTES, Traffic

LINE = (
    "0      0      127.0.0.1:{own} 127.0.0.1:{other} cubic rto:204 bytes_sent:{sent} bytes_acked:1 "
    "bytes_received:9 segs_out:{segments} segs_in:4 data_segs_out:{messages} data_segs_in:1 send 2bps\n"
)


def test_counters_are_read_for_each_end_of_a_connection() -> None:
    output = LINE.format(own=1, other=2, sent=100, segments=7, messages=3) + "0 0 127.0.0.1:2 127.0.0.1:1 cubic\n"
    assert traffic.parse(output) == {
        ("127.0.0.1:1", "127.0.0.1:2"): Traffic(100, 3, 7),
        ("127.0.0.1:2", "127.0.0.1:1"): Traffic(),
    }


def test_only_what_was_sent_since_counts_and_a_new_connection_counts_whole() -> None:
    before = {("a", "b"): Traffic(100, 3, 7), ("gone", "b"): Traffic(5, 5, 5)}
    after = {("a", "b"): Traffic(150, 4, 9), ("new", "b"): Traffic(10, 1, 2)}
    said = traffic.between(before, after)
    assert said == Traffic(60, 2, 4)
    assert said.wire_bytes == 60 + 4 * HEADER_BYTES


def test_the_kernel_counts_what_goes_over_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as one, server.accept()[0] as other:
            before = traffic.read([port])
            assert len(before) == 2
            one.sendall(b"x" * 71)
            other.sendall(b"y" * 29)
            assert (one.recv(100), other.recv(100)) == (b"y" * 29, b"x" * 71)
            said = traffic.between(before, traffic.read([port]))
    assert (said.payload_bytes, said.messages) == (100, 2)
