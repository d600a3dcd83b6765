"""Configured headers go with the statuses that they are for."""

import pytest

from pycast.config.load import loads
from pycast.config.status_headers import HeaderValue, by_status, for_statuses, sent_with
from pycast.errors import ConfigError

HEADERS: dict[str, HeaderValue] = {"X-All": "a", "X-Some": {"404": "b", "4*": "c", "*": "d", "20*": "e"}}


@pytest.mark.parametrize(
    ("status", "sent"), [(301, ["a", "d"]), (206, ["a", "d", "e"]), (403, ["a", "c", "d"]), (404, ["a", "b", "c", "d"])]
)
def test_all_texts_whose_status_matches_are_sent(status: int, sent: list[str]) -> None:
    assert [text for _, text in sent_with(status, HEADERS)] == sent


def test_only_those_for_some_statuses_are_found() -> None:
    assert for_statuses(HEADERS) == {"X-Some": HEADERS["X-Some"]}


@pytest.mark.parametrize("text", ["404", "4*", "40*", "*"])
def test_statuses_and_patterns(text: str) -> None:
    assert by_status({text: "x"}, str) == {text: "x"}


@pytest.mark.parametrize("text", ["", "4", "4xx", "4?4", "600", "0", "**", "4040", "404\n"])
def test_what_is_no_status_is_an_error_of_the_configuration(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a status"):
        loads(f'[http_headers]\nX-A = {{ "{repr(text)[1:-1]}" = "b" }}', {}, "test")
