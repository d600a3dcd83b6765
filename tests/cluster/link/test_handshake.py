"""A proof depends on every part that goes into it, so it is none for another handshake, step, node or address."""

from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from pycast.cluster.link.handshake import (
    LinkKeys,
    NodeIdentity,
    Opening,
    Step,
    Transcript,
    is_same,
    keys,
    proof,
    request_proof,
)

A, B, C = (NodeIdentity(name, f"{name}1", f"{name}.example:8000") for name in "abc")
OPENING = Opening("radio", A, B.address, "1" * 32)
TRANSCRIPT = Transcript(OPENING, B, "2" * 32)

OTHER_OPENINGS = [
    replace(OPENING, cluster="tv"),
    replace(OPENING, caller=C),
    replace(OPENING, caller=replace(A, node="c")),
    replace(OPENING, caller=replace(A, boot="a2")),
    replace(OPENING, caller=replace(A, address="c.example:8000")),
    replace(OPENING, dialled=C.address),
    replace(OPENING, nonce="3" * 32),
]
OTHERS = [
    *(replace(TRANSCRIPT, opening=opening) for opening in OTHER_OPENINGS),
    replace(TRANSCRIPT, answerer=replace(B, node="c")),
    replace(TRANSCRIPT, answerer=replace(B, boot="b2")),
    replace(TRANSCRIPT, answerer=replace(B, address="c.example:8000")),
    replace(TRANSCRIPT, nonce="3" * 32),
    Transcript(replace(OPENING, caller=B), A, TRANSCRIPT.nonce),
]


def made(secret: str, transcript: Transcript) -> list[str]:
    """Returns all proofs and keys of a handshake."""
    proofs = [proof(secret, step, transcript) for step in (Step.ANSWER, Step.ELSEWHERE, Step.CALLER)]
    both = keys(secret, transcript)
    return [request_proof(secret, transcript.opening), *proofs, both.from_caller.hex(), both.from_answerer.hex()]


def test_both_ends_of_one_handshake_compute_the_same() -> None:
    again = Transcript(Opening("radio", A, B.address, "1" * 32), B, "2" * 32)
    assert all(map(is_same, made("secret", TRANSCRIPT), made("secret", again)))


def test_no_two_steps_and_no_two_directions_have_the_same_proof_or_key() -> None:
    assert len(set(made("secret", TRANSCRIPT))) == len(made("secret", TRANSCRIPT))


def test_proofs_and_keys_depend_on_the_secret_and_on_every_part_of_both_ends() -> None:
    handshakes = [made("secret", TRANSCRIPT), made("Secret", TRANSCRIPT), *(made("secret", one) for one in OTHERS)]
    for one, other in combinations(handshakes, 2):
        # The request is made before the answerer is known; all that follows differs.
        assert not set(one[1:]) & set(other)


def test_a_request_depends_on_every_part_of_the_caller() -> None:
    proofs = {request_proof("secret", one) for one in (OPENING, *OTHER_OPENINGS)}
    assert len(proofs) == 1 + len(OTHER_OPENINGS)


@given(st.text(max_size=4), st.text(max_size=4), st.text(max_size=4), st.integers(0, 4))
def test_characters_cannot_be_moved_from_one_part_to_the_next(one: str, two: str, three: str, by: int) -> None:
    parts, moved = (one, two, three), (one + two[:by], two[by:], three)
    first, second = (request_proof("s", replace(OPENING, caller=NodeIdentity(*these))) for these in (parts, moved))
    assert is_same(first, second) is (parts == moved)


def test_a_secret_and_a_name_may_be_in_any_script() -> None:
    opening = replace(OPENING, caller=NodeIdentity("Knötchen \udcff", "1", "x:1"))
    assert len(request_proof("Gehëimnis \udcff", opening)) == 64
    assert isinstance(keys("Gehëimnis", replace(TRANSCRIPT, opening=opening)), LinkKeys)


def test_a_proof_of_another_length_or_script_is_not_the_same() -> None:
    assert not is_same("", request_proof("secret", OPENING))
    assert not is_same("ÿ\udcff", request_proof("secret", OPENING))
