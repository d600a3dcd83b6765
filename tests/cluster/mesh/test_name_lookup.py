"""A name is looked up to addresses of nodes; a name that does not exist is an OSError."""

import pytest

from pycast.cluster.mesh.name_lookup import addresses_of


@pytest.mark.parametrize(("dns", "port"), [("localhost:8001", 8001), ("localhost", 8000)])
def test_nodes_have_the_port_of_the_name_or_this_nodes_own(dns: str, port: int) -> None:
    found = addresses_of(dns, "10.0.0.1:8000")
    assert f"127.0.0.1:{port}" in found
    assert set(found) <= {f"127.0.0.1:{port}", f"[::1]:{port}"}


def test_a_name_that_does_not_exist_is_an_error_that_the_driver_expects() -> None:
    with pytest.raises(OSError, match=r"\S"):
        addresses_of("does-not-exist.invalid:8000", "10.0.0.1:8000")
