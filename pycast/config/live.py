"""The settings in force: one handle that all parts share, and the list of changes that need a restart.

A part that keeps a `Live` and reads `now` each time sees what a reload has changed. The one invariant: `now` is one
whole configuration, never a mixture of two.
"""

from collections.abc import Iterator

from pycast.config.problems import dotted
from pycast.config.schema import Config
from pycast.config.section import Section
from pycast.signals import Signal


class Live:
    """A handle on the configuration in force, which only a reload replaces."""

    def __init__(self, config: Config) -> None:
        self.replaced: Signal[Config] = Signal()
        """Emitted with the new configuration when it is in force."""
        self._now = config

    @property
    def now(self) -> Config:
        return self._now

    def replace(self, config: Config) -> None:
        self._now = config
        self.replaced.emit(config)


def restart_needed(before: Config, after: Config) -> list[str]:
    """Returns the keys that differ and whose change takes effect only after a restart, such as `listen[0].port`.

    If the number of sections differs, the name of the section stands for all of them.
    """
    return list(_changed(before, after))


def _changed(before: Config, after: Config) -> Iterator[str]:
    for name, key in Config.KEYS.items():
        old, new = getattr(before, name), getattr(after, name)
        if key.section is None or not any(one.needs_restart for one in key.section.KEYS.values()):
            continue
        if not key.is_array:
            yield from (dotted((name, one)) for one in _differing(old, new))
        elif len(old) != len(new):
            yield name
        else:
            for index, pair in enumerate(zip(old, new, strict=True)):
                yield from (dotted((name, index, one)) for one in _differing(*pair))


def _differing(before: Section, after: Section) -> Iterator[str]:
    for name, key in before.KEYS.items():
        if key.needs_restart and getattr(before, name) != getattr(after, name):
            yield name
