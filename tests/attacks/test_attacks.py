"""Each attack in a short form: no byte of the listener beside it is wrong or missing, and the server's memory stays.

How long the listener and the health check have to wait is measured by `make attack`, on a machine that does nothing
else; here only a silence that no buffer covers counts.
"""

import pytest

from attacks.run import ATTACKS, carry_out
from attacks.target import Attack

SHORT = 0.02
PATIENCE = 5.0


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name.replace(" ", "-") for attack in ATTACKS])
def test_an_attack_does_no_harm(attack: Attack) -> None:
    outcome = carry_out(attack, SHORT, PATIENCE)
    assert not outcome.harm
    assert outcome.tried > 0
    assert outcome.testimony.frames > 100


def test_harm_is_seen() -> None:
    """A server that stands still for longer than the patience is found out."""

    def freeze(target: object, scale: float) -> int:
        server = getattr(target, "server")  # noqa: B009
        server.pause()
        try:
            with pytest.raises(TimeoutError):
                server.get("/livez", timeout=1.5)
        finally:
            server.resume()
        return 1

    outcome = carry_out(Attack("freeze", "a server that stands still", freeze), SHORT, 1.0)
    assert "silence" in outcome.harm or "health check" in outcome.harm
