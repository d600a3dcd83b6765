"""All the relays of this node: those of the configuration, and those of a master's list.

A reload, or a new list, changes what has changed and leaves the others alone. The configuration's own section for a
mount counts before a master's. The one invariant: a mount has one relay at most.
"""

import logging
from collections.abc import Callable

from gevent.event import Event

from pycast.control.on_demand import OnDemand
from pycast.control.relay_desk import RelayDesk
from pycast.http.mount_names import why_no_mount
from pycast.net.group import Task
from pycast.relay.dial import Dialler
from pycast.relay.master import Master
from pycast.relay.place import RelaySpec, spec_of
from pycast.relay.relay import Relay
from pycast.server.context import ServerContext

log = logging.getLogger(__name__)


class Relays:
    """The relays: `run` them in a greenlet of their own."""

    def __init__(
        self,
        context: ServerContext,
        dialler: Dialler,
        on_demand: OnDemand,
        children: Callable[[str], int],
        jitter: Callable[[], float],
        changed: Event,
        desk: RelayDesk,
    ) -> None:
        """`changed` is set when the configuration was read again. At the `desk` an admin finds the relays."""
        self._context = context
        self._dialler = dialler
        self._on_demand = on_demand
        self._children = children
        self._jitter = jitter
        self._changed = changed
        self._desk = desk
        self._relays: dict[str, tuple[Relay, Task]] = {}
        self._master = Master(context.settings, dialler, changed.set, lambda: context.site.address.plain)
        self._master_task: Task | None = None
        self._left_out: set[str] = set()
        """The mounts of the configuration that cannot be, of which the log has told."""

    def __len__(self) -> int:
        return len(self._relays)

    def get(self, mount: str) -> Relay | None:
        """Returns the relay of a mount."""
        found = self._relays.get(mount)
        return found[0] if found else None

    def run(self) -> None:
        """Keeps the relays as the configuration and the master say, for ever. May switch."""
        while True:
            self._changed.clear()
            self.apply()
            self._changed.wait()

    def apply(self) -> None:
        """Starts, changes and stops relays, so that they are what is wanted now. Never switches."""
        config = self._context.settings.now
        if config.master.server and self._master_task is None:
            self._master_task = self._context.group.spawn_forever("list of the master", self._master.run)
        own = self._configured()
        listed = self._master.specs if config.master.server else {}
        wanted = listed | own
        for mount, (relay, task) in list(self._relays.items()):
            if task.ready():  # it was retired
                del self._relays[mount]
            elif mount not in wanted and config.master.server and relay.is_listed:
                relay.retire()
            elif mount not in wanted:
                task.kill(block=False)
                del self._relays[mount]
                log.info("mount %s: its relay is gone", mount)
        for mount, spec in wanted.items():
            found = self._relays.get(mount)
            if found is None:
                self._start(spec, is_listed=mount not in own)
            else:
                found[0].is_listed = mount not in own
                found[0].change(spec)
        self._context.admission.set_relays(len(self._relays))
        self._desk.set((mount, relay) for mount, (relay, _) in self._relays.items())

    def _configured(self) -> dict[str, RelaySpec]:
        found: dict[str, RelaySpec] = {}
        for spec in map(spec_of, self._context.settings.now.relay):
            if why := why_no_mount(spec.mount):
                if spec.mount not in self._left_out:
                    log.error("the relay to %s is left out: this name cannot be a mount: %s", spec.mount, why)
                self._left_out.add(spec.mount)
            elif spec.places:
                found[spec.mount] = spec
        return found

    def _start(self, spec: RelaySpec, *, is_listed: bool) -> None:
        relay = Relay(spec, self._context, self._dialler, self._on_demand, self._children, self._jitter)
        relay.is_listed = is_listed
        if self._desk.is_off(spec.mount):
            relay.obey("disable")
        task = self._context.group.spawn_forever(f"relay to {spec.mount}", relay.run)
        self._relays[spec.mount] = relay, task
