"""The messages between nodes: each is read as it was written, and a malformed one is a ValueError."""

import ast
import json
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.cluster.codec import Matching, Within, decode, encode
from pycast.cluster.link import questions
from pycast.cluster.link.admin_answers import ListenersAnswer, SnapshotAnswer
from pycast.cluster.link.frames import FrameReader, Kind, pack_json, read_json
from pycast.cluster.link.message_kinds import Notification, Question, answer_type
from pycast.cluster.link.questions import WIRE_NAMES, AskTail, Hello, HelloAnswer, TailAnswer, Verdict
from pycast.cluster.registry.epoch import Epoch
from pycast.stats.snapshot import ListenerSnapshot
from tests.stats.snapshots import MP3, NODE

ASKED = [kind for kind in WIRE_NAMES if issubclass(kind, Question)]
TOLD = [kind for kind in WIRE_NAMES if issubclass(kind, Notification)]
MESSAGES: list[type[Any]] = [*WIRE_NAMES, *dict.fromkeys(answer_type(kind) for kind in ASKED)]

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    bool: st.booleans(),
    int: st.integers(-(2**63) + 1, 2**63 - 1),
    float: st.floats(0, 2**37),
    Epoch: st.builds(Epoch, st.integers(0, 1000), st.integers(0, 1 << 40), st.integers(0, 9), st.text(max_size=8)),
    Mapping[str, str]: st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def hints_of(hint: Any) -> dict[str, Any]:
    return get_type_hints(hint, include_extras=True)


def annotated(hint: Any) -> st.SearchStrategy[Any]:
    """Returns a strategy for a type with bounds."""
    plain, *extras = get_args(hint)
    for extra in extras:
        if isinstance(extra, Within):
            return st.integers(extra.least, extra.most)
        if isinstance(extra, Matching):
            good = "/live.mp3" if extra.is_good("/live.mp3") else "10.0.0.1:8000"
            return st.sampled_from([good, good.replace("1", "2")])
    return values(plain)


@cache
def values(hint: Hashable) -> st.SearchStrategy[Any]:
    """Returns a strategy for any value of a field's type."""
    if get_origin(hint) is Annotated:
        return annotated(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if is_dataclass(hint):
        return st.builds(cast(Any, hint), **{name: values(one) for name, one in hints_of(hint).items()})
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0]), max_size=3).map(tuple)
    if get_origin(hint) is UnionType:
        return st.none() | values(get_args(hint)[0])
    return st.sampled_from(cast(Any, hint))


messages = pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)


@messages
@settings(max_examples=30)  # of each of the messages, of which there are more than thirty
@given(data=st.data())
def test_a_message_is_read_as_it_was_written(kind: type[Any], data: st.DataObject) -> None:
    message = data.draw(values(cast(Any, kind)))
    ((_, payload),) = FrameReader().feed(pack_json(Kind.CALL, encode(message)))
    assert decode(kind, read_json(payload)) == message


@messages
@settings(max_examples=30)  # of each of the messages, of which there are more than thirty
@given(data=st.data())
def test_any_json_is_the_message_or_a_value_error(kind: type[Any], data: st.DataObject) -> None:
    message = encode(data.draw(values(cast(Any, kind))))
    names = st.sampled_from(sorted(message)) if message else st.text(max_size=8)
    for value in (data.draw(ANYTHING), message | data.draw(st.dictionaries(names, ANYTHING, max_size=3))):
        try:
            assert isinstance(decode(kind, value), kind)
        except ValueError:
            continue


@messages
def test_a_message_is_a_frozen_value_with_a_docstring(kind: type[Any]) -> None:
    assert is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)
    assert kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}(")


def test_each_class_has_its_own_name_on_the_wire() -> None:
    assert len(set(WIRE_NAMES.values())) == len(WIRE_NAMES)
    made = [one for one in vars(questions).values() if isinstance(one, type) and one.__module__ == questions.__name__]
    wanted = [one for one in made if issubclass(one, Question | Notification) and one not in (Question, Notification)]
    assert set(wanted) == set(WIRE_NAMES)
    assert len(ASKED) + len(TOLD) == len(WIRE_NAMES)


def test_the_head_of_the_file_lists_each_message() -> None:
    head = ast.get_docstring(ast.parse(Path(questions.__file__).read_text(encoding="utf-8")))
    assert head is not None
    listed = {line.split()[0] for line in head.splitlines() if line.startswith("    ") and line.split()}
    assert {kind.__name__ for kind in WIRE_NAMES} <= listed


def test_a_question_knows_the_class_of_its_answer() -> None:
    assert answer_type(Hello) is HelloAnswer
    assert answer_type(AskTail) is TailAnswer


def test_a_verdict_without_fields_is_an_objection() -> None:
    assert decode(Verdict, {}).objects


def test_statistics_may_have_longer_texts_than_node_records() -> None:
    """Headers and comments in a stream may have any length; a long one must not hide a node."""
    long = "x" * 100_000
    node = json.loads(json.dumps(encode(SnapshotAnswer(NODE))))
    node["snapshot"]["mounts"] = [{**encode(MP3), "title": long, "stats": {"comment": long}}]
    read = decode(SnapshotAnswer, node).snapshot.mounts[0]
    assert (read.title, read.stats) == (long, {"comment": long})


def test_ten_thousand_listeners_fit_an_answer() -> None:
    one = ListenerSnapshot(1, "2001:db8::ffff:ffff:ffff", "x" * 200, 100_000, 1 << 40, 1 << 20)
    answer = ListenersAnswer((one,) * 10_000)
    ((_, payload),) = FrameReader().feed(pack_json(Kind.REPLY, {"n": 1, "with": encode(answer)}))
    assert decode(ListenersAnswer, read_json(payload)["with"]) == answer


def test_a_missing_tail_differs_from_a_tail() -> None:
    assert decode(TailAnswer, {}) == TailAnswer(None)
    tail = questions.Tail(Epoch(0, 1, 1, "a"), 5, 0)
    assert decode(TailAnswer, encode(TailAnswer(tail))).tail == tail
    assert [one.name for one in fields(tail)] == ["epoch", "head", "oldest"]
