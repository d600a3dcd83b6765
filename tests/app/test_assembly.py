"""The wiring plan: each question of another node has somebody who answers it, with what the answer must be."""

from collections.abc import Iterator
from typing import get_type_hints

import pytest

from pycast.app.assembly import NodeParts
from pycast.app.node import Node
from pycast.cluster.link.questions import WIRE_NAMES, Question, answer_type
from pycast.config.load import loads

TOML = (
    '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n[logging]\naccess_log = ""\n'
    '[cluster]\nsecret = "long enough a secret"\n'
)


@pytest.fixture
def parts() -> Iterator[NodeParts]:
    node = Node(loads(TOML, {}, "test"), None, None, 1000)
    yield node.parts
    node.stop()


def test_each_question_of_another_node_is_answered_with_its_answer(parts: NodeParts) -> None:
    assert parts.context.cluster is not None
    handlers = parts.context.cluster._rpc_server._handlers
    assert {name: one.kind for name, one in handlers.items()} == {name: kind for kind, name in WIRE_NAMES.items()}
    for one in handlers.values():
        *taken, given = get_type_hints(one.handle).values()
        assert taken == [one.kind]
        assert given is (answer_type(one.kind) if issubclass(one.kind, Question) else type(None))
