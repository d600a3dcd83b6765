"""The two kinds of messages between nodes; the messages themselves are in questions.py."""

from typing import Any, Generic, TypeVar, cast, get_args

AnswerT = TypeVar("AnswerT")


class Question(Generic[AnswerT]):
    """A message that is answered with an `AnswerT`."""

    __slots__ = ()


class Notification:
    """A message that is not answered."""

    __slots__ = ()


def answer_type(question: type[Question[AnswerT]]) -> type[AnswerT]:
    """Returns the class of the question's answer."""
    (base,) = cast(Any, question).__orig_bases__
    return cast(type[AnswerT], get_args(base)[0])
