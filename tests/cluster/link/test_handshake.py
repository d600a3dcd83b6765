"""A proof depends on every part that goes into it, so it cannot be used for another handshake."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pycast.cluster.link.handshake import PROOF_SIZE, answerer_proof, caller_proof, is_same


def test_both_sides_of_one_handshake_compute_the_same() -> None:
    assert is_same(caller_proof("secret", "radio", "1", "2"), caller_proof("secret", "radio", "1", "2"))
    assert len(answerer_proof("secret", "radio", "1", "2")) == PROOF_SIZE


def test_a_proof_depends_on_secret_cluster_both_nonces_and_its_sender() -> None:
    args = [
        ("secret", "radio", "1", "2"),
        ("Secret", "radio", "1", "2"),
        ("secret", "tv", "1", "2"),
        ("secret", "radio", "x", "2"),
        ("secret", "radio", "1", "x"),
        ("secret", "radio", "2", "1"),
    ]
    proofs = sorted(make(*one) for one in args for make in (caller_proof, answerer_proof))
    assert not any(is_same(one, other) for one, other in pairwise(proofs))


@given(st.text(max_size=4), st.text(max_size=4), st.text(max_size=4), st.integers(0, 4))
def test_characters_cannot_be_moved_from_one_part_to_the_next(one: str, two: str, three: str, by: int) -> None:
    moved = (one + two[:by], two[by:], three)
    is_moved = moved != (one, two, three)
    assert is_same(caller_proof("s", one, two, three), caller_proof("s", *moved)) is not is_moved


def test_a_secret_may_be_in_any_script() -> None:
    assert len(caller_proof("Gehëimnis \udcff", "radio", "1", "2")) == PROOF_SIZE


def test_a_proof_of_another_length_is_not_the_same() -> None:
    assert not is_same(b"", caller_proof("secret", "radio", "1", "2"))
