"""A question knows the class of its answer."""

from pycast.cluster.link.message_kinds import Question, answer_type


class Number:
    """An answer."""


class HowMany(Question[Number]):
    """A question."""


def test_the_class_of_the_answer_is_that_of_the_declaration() -> None:
    assert answer_type(HowMany) is Number
