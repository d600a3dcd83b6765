"""Faults that are ordered from the test kit, as real encoders and players meet them."""

import subprocess
from collections.abc import Iterator

import pytest

from pycast.testing import Server
from pycast.testing.faults import Cut, FlawedCertificate, MountInUse, Redirect, Reset, Stall
from tests.e2e.programs import ENCODINGS, Target, ffmpeg_source, mpv_listener, require

MOUNT, OTHER = "/live.mp3", "/other.mp3"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server whose clients are watched, with two streams."""
    with Server(watch=True) as server, server.stream(MOUNT), server.stream(OTHER, title="On the other"):
        yield server


def curl(server: Server, *options: str, scheme: str = "http") -> int:
    """curl's exit status: https://curl.se/libcurl/c/libcurl-errors.html."""
    command = [
        require("curl"),
        "-s",
        "-o",
        "/dev/null",
        "-m",
        "30",
        *options,
        f"{scheme}://localhost:{server.port}{MOUNT}",
    ]
    return subprocess.run(command, timeout=60, check=False).returncode


def test_ffmpeg_is_told_that_the_mount_is_in_use(server: Server) -> None:
    target = Target(server.port, server.source_password)
    with server.fault("/mine.mp3", MountInUse(), times=1), ffmpeg_source(target, "/mine.mp3", ENCODINGS[0]) as ffmpeg:
        ffmpeg.wait_for_output("403")
        assert ffmpeg.wait() != 0
    refused = server.sources["/mine.mp3"].wait_for_refusal()
    assert refused.status == 403 and refused.user_agent.startswith("Lavf/")


def test_mpv_follows_a_redirect_and_plays_what_is_there(server: Server) -> None:
    with server.fault(MOUNT, Redirect(f"{server.url}{OTHER}"), on="players"), mpv_listener(server.url + MOUNT) as mpv:
        mpv.wait_for_output("icy-title: On the other")
        mpv.wait_for_output("at [0-9]")
    came = server.listeners[OTHER].wait()
    assert came.wants_titles and came.user_agent and server.listeners[MOUNT].refused[-1].status == 302


def test_curl_tells_one_fault_from_the_other(server: Server) -> None:
    with server.fault(MOUNT, Cut(after=5000), on="players"):
        assert curl(server) == 0
    with server.fault(MOUNT, Reset(after=5000), on="players"):
        assert curl(server) == 56
    with server.fault(MOUNT, Stall(after=5000), on="players"):
        assert curl(server, "-m", "1") == 28
    with server.fault(MOUNT, FlawedCertificate("expired")) as fault:
        assert curl(server, "--cacert", str(fault.authority), scheme="https") == 60
        assert curl(server, "-k", "-m", "1", scheme="https") == 28, "it does not stop at the certificate, but plays on"
