"""The tree of errors is the one that its docstring draws, and each peer error has the answer that the peer gets."""

import re

import pytest

from pycast import errors
from pycast.errors import HeadTooLarge, PeerError, PycastError, Refused, RequestError

LINE = re.compile(r"^((?:[│ ]   )*)(?:[├└]── )?([A-Z]\w+)(?:  |$)")


def drawn() -> dict[str, str]:
    """Returns the parent of each class as the docstring draws it; the root has none."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = LINE.match(line)
        if match and (match[2] == "PycastError" or "── " in line):
            depth = 0 if match[2] == "PycastError" else len(match[1]) // 4 + 1
            above = [*above[:depth], match[2]]
            found[match[2]] = above[depth - 1] if depth else ""
    return found


def test_the_tree_that_is_drawn_is_the_tree_of_classes() -> None:
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, PycastError)]
    parents = {one.__name__: one.__bases__[0].__name__ for one in classes if one is not PycastError}
    assert drawn() == {"PycastError": ""} | parents


@pytest.mark.parametrize(
    ("error", "status"),
    [(PeerError("x"), 400), (RequestError("x"), 400), (HeadTooLarge("x"), 431), (Refused("x"), 403)],
)
def test_each_peer_error_has_its_status(error: PeerError, status: int) -> None:
    assert error.status == status


def test_a_status_that_is_given_holds_over_that_of_the_class() -> None:
    assert Refused("gone", status=404).status == 404


def test_the_log_gets_the_cause_and_the_peer_only_the_public_text() -> None:
    error = Refused("mount in use", cause="/x has a source of 10.0.0.1")
    assert (error.public, str(error)) == ("mount in use", "/x has a source of 10.0.0.1")
    assert str(Refused("mount in use")) == "mount in use"


def test_a_wrong_configuration_has_a_line_for_each_problem() -> None:
    error = errors.ConfigError(["one", "two"])
    assert (error.problems, str(error)) == (["one", "two"], "one\ntwo")
