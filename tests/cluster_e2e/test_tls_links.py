"""Nodes that speak TLS with each other: certificates of one authority, made by openssl, for 127.0.0.1."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pycast.testing import Cluster, Server
from tests.cluster_e2e.nodes import MOUNT, metric
from tests.e2e.deadline import until
from tests.e2e.programs import require
from tests.e2e.wire import FRAME_BYTES, ask, assert_run_of, frames, get, listen, source

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: str) -> None:
    done = subprocess.run([require("openssl"), *arguments], capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


def make_authority(folder: Path, name: str) -> Path:
    """Its certificate; the key lies beside it."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    what = ("-days", "2", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-x509", *KEY, *what, "-keyout", str(key), "-out", str(certificate))
    return certificate


def make_certificate(folder: Path, name: str, authority: Path) -> dict[str, str]:
    """A node's certificate that `authority` has signed, as the section [tls] takes it."""
    certificate, key, request, names = (folder / f"{name}.{end}" for end in ("crt", "key", "csr", "ext"))
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("req", "-new", *KEY, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
    openssl(
        "x509", "-req", "-days", "2", "-in", str(request), "-CA", str(authority), "-CAkey",
        str(authority.with_suffix(".key")), "-CAcreateserial", "-extfile", str(names), "-out", str(certificate),
    )  # fmt: skip
    return {"certificate": str(certificate), "private_key": str(key)}


@contextmanager
def speaking_tls(authority: Path, certificates: Mapping[str, dict[str, str]]) -> Iterator[Cluster]:
    """A node for each certificate; their only port speaks TLS."""

    def build(name: str, settings: Mapping[str, Any]) -> Server:
        listen = [{**settings["listen"][0], "tls": True}]
        links = {**settings["cluster"], "tls": True, "tls_ca": str(authority)}
        return Server(**{**settings, "listen": listen, "cluster": links, "tls": certificates[name]})

    with Cluster(len(certificates), build=build) as nodes:
        yield nodes


def test_a_source_on_one_node_is_heard_on_the_other_by_tls(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "authority")
    with speaking_tls(authority, {name: make_certificate(tmp_path, name, authority) for name in "ab"}) as nodes:
        a, b = nodes
        until(lambda: metric(a, "pycast_cluster_nodes", status="up") == 2, "two nodes")
        with source(a.port, MOUNT, a.source_password, tls=True) as feed:
            feed.send(frames(0, 200))
            nodes.wait_for_mount(MOUNT)
            wire, _ = listen(b.port, MOUNT, tls=True)
            with wire:
                feed.send(frames(200, 50))
                assert_run_of(wire.read(150 * FRAME_BYTES), frames(0, 250))
            assert metric(b, "pycast_mirror_bytes_total") > 100 * FRAME_BYTES


@pytest.mark.parametrize("is_known", [True, False], ids=["signed by the authority", "signed by somebody else"])
def test_a_node_whose_certificate_the_authority_has_not_signed_is_refused_and_the_log_says_why(
    tmp_path: Path, is_known: bool
) -> None:
    authority = make_authority(tmp_path, "authority")
    signer = authority if is_known else make_authority(tmp_path, "somebody")
    certificates = {
        "a": make_certificate(tmp_path, "a", authority),
        "b": make_certificate(tmp_path, "b", signer),
    }
    with speaking_tls(authority, certificates) as nodes:
        a, b = nodes
        with source(b.port, MOUNT, b.source_password, tls=True) as feed:
            feed.send(frames(0, 100))
            if is_known:
                nodes.wait_for_mount(MOUNT)
                return
            refused = f"cannot reach the node at 127.0.0.1:{b.port}"
            until(lambda: refused in a.log() and "certificate verify failed" in a.log(), "the refusal in the log")
            assert ask(a.port, f"GET {MOUNT} HTTP/1.0\r\n\r\n", tls=True).status == 404
            assert metric(a, "pycast_mirror_bytes_total") == 0, "a stranger's audio is taken"


def test_a_node_that_speaks_no_tls_is_none_of_the_cluster(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "authority")
    with speaking_tls(authority, {"a": make_certificate(tmp_path, "a", authority)}) as nodes:
        (a,) = nodes
        with Server(cluster={"secret": "x", "node": "z", "peers": [f"127.0.0.1:{a.port}"]}) as plain:
            until(lambda: f"no line to 127.0.0.1:{a.port}" in plain.log(), "the failure in the log")
            assert metric(plain, "pycast_cluster_nodes", status="up") == 1
            assert get(plain.port, MOUNT).status == 404
